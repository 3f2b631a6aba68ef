#include "rows.h"

#include <math.h>
#include <stdlib.h>

#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/sae/match.h"

/* --- one latent ---------------------------------------------------------------------------------
 */

static const double TINY_NORM = 1e-12;

static void describe_partners(const struct sx_session *session, uint32_t latent,
                              struct sx_filter_row *row)
{
    const struct sx_match_data *match = &session->match;
    const size_t anchor = session->selection.seed_index;
    if (match->state != SX_STATE_READY || anchor >= match->set->n_models ||
        match->set->n_models < 2)
        return;
    double sim = 0;
    double sim_enc = 0;
    double margin = 0;
    int margins = 0;
    row->partners = 0;
    for (size_t other = 0; other < match->set->n_models; other++) {
        struct sx_match_view view;
        if (other == anchor)
            continue;
        sx_match_look(match->set, match->summary->alive, anchor, other, latent,
                      session->settings.tau, &view);
        row->partners += view.shared;
        sim += isnan(view.sim_dec) ? 0 : (double)view.sim_dec;
        sim_enc += isnan(view.sim_enc) ? 0 : (double)view.sim_enc;
        margin += isnan(view.margin) ? 0 : (double)view.margin;
        margins += !isnan(view.margin);
    }
    const double others = (double)(match->set->n_models - 1);
    row->sim = sim / others;
    row->sim_enc = sim_enc / others;
    row->margin = margins ? margin / margins : (double)NAN;
    const uint8_t category = match->category ? match->category[latent] : SX_CATEGORY_NOT_COUNTED;
    row->category = category == SX_CATEGORY_NOT_COUNTED ? -1 : category;
}

void sx_row_describe(const struct sx_session *session, uint32_t latent, struct sx_filter_row *row)
{
    const struct sx_seed_latents *seed = &session->family.seeds[session->selection.seed_index];
    const double cut = session->settings.alive;
    *row = (struct sx_filter_row){
        .latent = latent,
        .align = (double)seed->align[latent],
        .enc_norm = (double)seed->enc_norm[latent],
        .dec_norm = (double)seed->dec_norm[latent],
        .sim = NAN,
        .sim_enc = NAN,
        .margin = NAN,
        .partners = -1,
        .category = -1,
        .marked = sx_session_marked(session, latent),
    };
    row->dead = row->enc_norm < TINY_NORM || row->dec_norm < TINY_NORM;
    row->alive = cut <= -1 ? !row->dead : row->align > cut;
    describe_partners(session, latent, row);
}

/* --- order --------------------------------------------------------------------------------------
 */

struct keyed {
    double key;
    uint32_t latent;
};

static double sort_value(const struct sx_filter_row *row, enum sx_sort_key sort)
{
    switch (sort) {
    case SX_SORT_ALIGN:
        return row->align;
    case SX_SORT_ENC_NORM:
        return row->enc_norm;
    case SX_SORT_DEC_NORM:
        return row->dec_norm;
    case SX_SORT_SIMILARITY:
        return row->sim;
    case SX_SORT_MARGIN:
        return row->margin;
    case SX_SORT_CATEGORY:
        return row->category < 0 ? (double)NAN : row->category;
    case SX_SORT_LATENT:
    case SX_SORT_COUNT:
        break;
    }
    return row->latent;
}

/* Not known last, whatever the direction; equal ones by number. */
static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a;
    const struct keyed *y = b;
    if (isnan(x->key) != isnan(y->key))
        return isnan(x->key) ? 1 : -1;
    if (x->key < y->key || x->key > y->key)
        return x->key < y->key ? -1 : 1;
    return x->latent < y->latent ? -1 : x->latent > y->latent;
}

static size_t collect(const struct sx_session *session, const struct sx_filter *filter,
                      struct keyed *keyed)
{
    const struct sx_rows *rows = &session->rows;
    size_t n = 0;
    for (uint64_t latent = 0; latent < session->family.F; latent++) {
        struct sx_filter_row row;
        sx_row_describe(session, (uint32_t)latent, &row);
        if ((session->settings.orphans_only && row.partners != 0) ||
            (session->settings.marked_only && !row.marked) || !sx_filter_holds(filter, &row))
            continue;
        const double key = sort_value(&row, rows->sort);
        keyed[n++] = (struct keyed){rows->descending ? -key : key, (uint32_t)latent};
    }
    return n;
}

void sx_session_update_rows(struct sx_session *session)
{
    struct sx_rows *rows = &session->rows;
    if (session->family.state != SX_STATE_READY ||
        session->selection.seed_index >= session->family.n_seeds) {
        sx_session_empty_rows(session);
        return;
    }
    struct sx_filter *filter = NULL;
    struct sx_error why = {0};
    sx_session_touch(session, SX_SLOT_ROWS);
    sx_free(rows->order);
    rows->order = NULL;
    rows->n = 0;
    if (sx_filter_new(rows->filter, &filter, &why) != SX_OK) {
        rows->state = SX_STATE_FAILED;
        rows->error = why;
        return;
    }
    struct keyed *keyed = sx_xcalloc((size_t)session->family.F, sizeof *keyed);
    rows->n = collect(session, filter, keyed);
    if (rows->n)
        qsort(keyed, rows->n, sizeof *keyed, compare_keyed);
    rows->order = sx_xcalloc(rows->n + 1, sizeof *rows->order);
    for (size_t i = 0; i < rows->n; i++)
        rows->order[i] = keyed[i].latent;
    rows->state = SX_STATE_READY;
    sx_free(keyed);
    sx_filter_free(filter);
}
