/* card: one latent of one SAE, its neighbours and its partners in other seeds. gallery: the rows of
 * many latents. In the explorer both work on the loaded family; `card SAE LATENT` on files. */
#include "commands_private.h"

#include <dirent.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "document.h"
#include "members.h"
#include "nearest.h"
#include "session_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/core/kernels.h"
#include "sextant/run/workspace.h"
#include "sextant/sae/match.h"

/* --- one latent ---------------------------------------------------------------------------------
 */

static float *dup_row(const float *w, uint32_t latent, size_t D)
{
    float *row = sx_xcalloc(D, sizeof *row);
    memcpy(row, w + (size_t)latent * D, D * sizeof *row);
    return row;
}

static void card_free(void *p)
{
    sx_card_release(p);
    sx_free(p);
}

static void describe_latent(const struct sx_sae *sae, uint32_t latent, struct sx_card *card)
{
    const size_t D = (size_t)sae->info.activation_dim;
    const float *enc = sae->W_enc + (size_t)latent * D;
    const float *dec = sae->W_dec + (size_t)latent * D;
    card->latent = latent;
    card->D = D;
    card->image_width = sae->info.image_width;
    card->image_height = sae->info.image_height;
    card->enc_norm = (float)sqrt(sx_sum_sq(enc, D));
    card->dec_norm = (float)sqrt(sx_sum_sq(dec, D));
    card->enc_row = dup_row(sae->W_enc, latent, D);
    card->dec_row = dup_row(sae->W_dec, latent, D);
    card->align = sx_cosine(enc, dec, D);
    card->b_enc = sae->b_enc[latent];
}

/* The partner that the matching names, or the most similar decoder when nothing is matched. */
static enum sx_status find_partner(const struct sx_sae *anchor, uint32_t latent,
                                   const struct sx_sae *other, const struct sx_match_view *view,
                                   struct sx_card_partner *partner, struct sx_task *task)
{
    enum { BEST = 2 };
    const size_t D = (size_t)anchor->info.activation_dim;
    const float *enc = anchor->W_enc + (size_t)latent * D;
    const float *dec = anchor->W_dec + (size_t)latent * D;
    partner->latent = -1;
    partner->sim_dec = partner->sim_enc = partner->runner_up = partner->margin = (float)NAN;
    if (view) {
        partner->latent = view->partner_dec;
        partner->sim_dec = view->sim_dec;
        partner->margin = view->margin;
        partner->runner_up = view->sim_dec - view->margin;
    } else {
        uint32_t index[BEST];
        float cos[BEST];
        size_t found;
        SX_TRY(sx_nearest_rows(other->W_dec, (size_t)other->info.dict_size, D, dec, SIZE_MAX, BEST,
                               index, cos, &found, task));
        if (found) {
            partner->latent = index[0];
            partner->sim_dec = fabsf(cos[0]);
            partner->runner_up = found > 1 ? fabsf(cos[1]) : 0.0F;
            partner->margin = partner->sim_dec - partner->runner_up;
        }
    }
    if (partner->latent < 0)
        return SX_OK;
    const uint32_t found = (uint32_t)partner->latent;
    partner->sim_enc = fabsf(sx_cosine(enc, other->W_enc + (size_t)found * D, D));
    partner->enc_row = dup_row(other->W_enc, found, D);
    partner->dec_row = dup_row(other->W_dec, found, D);
    return SX_OK;
}

/* views [n]: what the matching says about each member; NULL: not matched. */
static enum sx_status make_card(const struct sx_members *members, size_t anchor, uint32_t latent,
                                const struct sx_match_view *views, struct sx_card *card,
                                struct sx_task *task, struct sx_error *err)
{
    const struct sx_sae *sae = members->member[anchor].sae;
    if (latent >= sae->info.dict_size)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: no latent %u, the last one is %llu",
                       members->member[anchor].path, (unsigned)latent,
                       (unsigned long long)sae->info.dict_size - 1);
    describe_latent(sae, latent, card);
    card->family = members->family;
    card->seed_index = anchor;
    card->assigned = views != NULL;
    SX_TRY(sx_nearest_rows(sae->W_dec, (size_t)sae->info.dict_size, (size_t)card->D, card->dec_row,
                           latent, SX_CARD_NEIGHBOURS, card->neighbour, card->neighbour_cos,
                           &card->n_neighbours, task));
    for (size_t i = 0; i < members->n && card->n_partners < SX_CARD_SEEDS; i++) {
        if (i == anchor)
            continue;
        SX_TRY(sx_task_step(task, i + 1, members->n + 1));
        struct sx_card_partner *partner = &card->partner[card->n_partners++];
        partner->seed_index = i;
        SX_TRY(find_partner(sae, latent, members->member[i].sae, views ? &views[i] : NULL, partner,
                            task));
    }
    card->state = SX_STATE_READY;
    return SX_OK;
}

/* --- card in the explorer -----------------------------------------------------------------------
 */

struct card_input {
    struct sx_members members;
    size_t anchor;
    uint32_t latent;
    struct sx_match_view *views; /* owned [n] or NULL */
};

static void card_input_free(void *p)
{
    struct card_input *input = p;
    sx_members_release(&input->members);
    sx_free(input->views);
    sx_free(input);
}

/* What the matching says about one latent, a view a member; NULL: the family is not matched. */
static struct sx_match_view *look(const struct sx_session *session, size_t anchor, uint32_t latent)
{
    const struct sx_match_data *match = &session->match;
    if (match->state != SX_STATE_READY || anchor >= match->set->n_models ||
        latent >= match->set->models[anchor].F)
        return NULL;
    struct sx_match_view *views = sx_xcalloc(match->set->n_models, sizeof *views);
    for (size_t other = 0; other < match->set->n_models; other++)
        if (other != anchor)
            sx_match_look(match->set, match->summary->alive, anchor, other, latent,
                          session->settings.tau, &views[other]);
    return views;
}

SX_PREPARE(card)
{
    const struct sx_value *args = job->args;
    const struct sx_selection *selection = &session->selection;
    if (sx_value_get(args, "sae"))
        return sx_fail(err, SX_ERR_USAGE,
                       "card: in the explorer the selected family is meant; --seed, --latent");
    struct sx_members members;
    SX_TRY(sx_members_take(session, selection->family, &members, err));
    const size_t anchor =
        (size_t)sx_value_int_or(sx_value_get(args, "seed"), (int64_t)selection->seed_index);
    const uint32_t latent =
        (uint32_t)sx_value_int_or(sx_value_get(args, "latent"), (int64_t)selection->latent);
    if (anchor >= members.n) {
        sx_members_release(&members);
        return sx_fail(err, SX_ERR_USAGE, "card: there is no seed %zu", anchor);
    }
    struct card_input *input = sx_xcalloc(1, sizeof *input);
    *input = (struct card_input){members, anchor, latent, look(session, anchor, latent)};
    job->input = input;
    job->input_free = card_input_free;
    sx_card_release(&session->card);
    session->card.state = SX_STATE_PENDING;
    session->card.family = members.family;
    session->card.seed_index = anchor;
    session->card.latent = latent;
    sx_session_touch(session, SX_SLOT_CARD);
    return SX_OK;
}

SX_APPLY(card)
{
    const struct card_input *input = job->input;
    struct sx_card *card = &session->card;
    if (!sx_members_current(session, &input->members) || card->state != SX_STATE_PENDING)
        return;
    sx_session_touch(session, SX_SLOT_CARD);
    if (job->status != SX_OK) {
        sx_slot_fail(&card->state, &card->error, job->status, &job->error);
        return;
    }
    *card = *(struct sx_card *)job->result;
    sx_free(job->result);
    job->result = NULL;
}

/* --- card on the command line -------------------------------------------------------------------
 */

static void add_member(struct sx_members *members, const char *path)
{
    members->member = sx_xrealloc(members->member, (members->n + 1) * sizeof *members->member);
    members->member[members->n++] = (struct sx_member){.path = sx_xstrdup(path)};
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? sx_xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) : sx_xstrdup(".");
}

/* Other files of the same name one folder beside: trainer_0/ae.pt, trainer_8/ae.pt. */
static void paths_beside(const char *file, const char *folder, struct sx_value *paths)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    char *above = parent_of(folder);
    DIR *dir = opendir(above);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) && sx_value_count(paths) < 256) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = sx_xasprintf("%s/%s/%s", above, entry->d_name, name);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
            sx_value_append(paths, sx_value_string(path));
        sx_free(path);
    }
    if (dir)
        closedir(dir);
    sx_free(above);
}

/* Add the family of `file` as a scan of `paths` finds it. */
static enum sx_status add_family_of(struct sx_members *members, const char *const *paths, size_t n,
                                    const char *file, struct sx_task *task)
{
    struct sx_workspace workspace;
    struct stat own;
    struct stat st;
    if (stat(file, &own) != 0 || sx_workspace_scan(paths, n, task, &workspace, NULL) != SX_OK)
        return sx_task_is_cancelled(task) ? SX_CANCELLED : SX_OK;
    for (size_t i = 0; i < workspace.n_families; i++) {
        const struct sx_family *family = &workspace.families[i];
        bool mine = false;
        for (size_t m = 0; m < family->n_members; m++)
            mine |= stat(workspace.entries[family->members[m]].path, &st) == 0 &&
                    st.st_ino == own.st_ino && st.st_dev == own.st_dev;
        for (size_t m = 0; mine && m < family->n_members; m++) {
            const char *path = workspace.entries[family->members[m]].path;
            if (stat(path, &st) == 0 && (st.st_ino != own.st_ino || st.st_dev != own.st_dev))
                add_member(members, path);
        }
    }
    sx_workspace_release(&workspace);
    return SX_OK;
}

/* The other seeds that lie beside an SAE. */
static enum sx_status add_siblings(struct sx_members *members, const struct sx_sae *sae,
                                   struct sx_task *task)
{
    char *folder = parent_of(sae->info.file);
    struct sx_value *paths = sx_value_list();
    const char *const in_folder[] = {folder};
    enum sx_status status = add_family_of(members, in_folder, 1, sae->info.file, task);
    if (status == SX_OK && members->n == 1) {
        paths_beside(sae->info.file, folder, paths);
        const size_t n = sx_value_count(paths);
        const char **list = sx_xcalloc(n + 1, sizeof *list);
        for (size_t i = 0; i < n; i++)
            list[i] = sx_value_string_or(sx_value_item(paths, i), "");
        status = n ? add_family_of(members, list, n, sae->info.file, task) : SX_OK;
        sx_free(list);
    }
    sx_value_free(paths);
    sx_free(folder);
    return status;
}

static enum sx_status collect_files(struct sx_job *job, struct sx_members *members,
                                    struct sx_error *err)
{
    const struct sx_value *against = sx_value_get(job->args, "against");
    const char *path = sx_arg_text(job->args, "sae");
    if (!path || !sx_value_get(job->args, "latent"))
        return sx_fail(err, SX_ERR_USAGE, "card: SAE and LATENT are needed");
    add_member(members, path);
    SX_TRY(sx_sae_load(path, &members->member[0].sae, err));
    for (size_t i = 0; i < sx_value_count(against); i++)
        add_member(members, sx_value_string_or(sx_value_item(against, i), ""));
    if (!against)
        SX_TRY(add_siblings(members, members->member[0].sae, &job->task));
    for (size_t i = 1; i < members->n; i++) {
        struct sx_member *member = &members->member[i];
        SX_TRY(sx_task_step(&job->task, i, members->n));
        SX_TRY(sx_sae_load(member->path, &member->sae, err));
        if (member->sae->info.activation_dim != members->member[0].sae->info.activation_dim)
            return sx_fail(err, SX_ERR_SHAPE, "%s: %llu inputs, expected %llu as %s", member->path,
                           (unsigned long long)member->sae->info.activation_dim,
                           (unsigned long long)members->member[0].sae->info.activation_dim, path);
    }
    return SX_OK;
}

static struct sx_value *describe_card(const struct sx_card *card, const struct sx_members *members)
{
    static const char no_corpus[] = "needs an index of a corpus";
    static const char no_partner[] = "no partner";
    struct sx_value *document = sx_document_new();
    sx_document_text(document, "sae", members->member[card->seed_index].path);
    sx_document_int(document, "latent", card->latent);
    sx_document_real(document, "enc_norm", (double)card->enc_norm, "");
    sx_document_real(document, "dec_norm", (double)card->dec_norm, "");
    sx_document_real(document, "align", (double)card->align, "");
    sx_document_real(document, "b_enc", (double)card->b_enc, "");
    sx_document_real(document, "density", NAN, no_corpus);
    sx_document_real(document, "max", NAN, no_corpus);
    sx_value_set(document, "top", sx_value_list());
    sx_value_set(document, "promoted", sx_value_list());
    sx_value_set(document, "suppressed", sx_value_list());
    struct sx_value *neighbours = sx_value_set(document, "neighbours", sx_value_list());
    for (size_t i = 0; i < card->n_neighbours; i++) {
        struct sx_value *map = sx_value_append(neighbours, sx_value_map());
        sx_document_int(map, "latent", card->neighbour[i]);
        sx_document_real(map, "cos", (double)card->neighbour_cos[i], "");
    }
    struct sx_value *partners = sx_value_set(document, "partners", sx_value_list());
    for (size_t i = 0; i < card->n_partners; i++) {
        const struct sx_card_partner *partner = &card->partner[i];
        struct sx_value *map = sx_value_append(partners, sx_value_map());
        sx_document_text(map, "sae", members->member[partner->seed_index].path);
        if (partner->latent >= 0)
            sx_document_int(map, "latent", partner->latent);
        else
            sx_document_real(map, "latent", NAN, no_partner);
        sx_document_real(map, "sim", (double)partner->sim_dec, no_partner);
        sx_document_real(map, "sim_enc", (double)partner->sim_enc, no_partner);
        sx_document_real(map, "runner_up", (double)partner->runner_up, no_partner);
        sx_document_real(map, "margin", (double)partner->margin, no_partner);
    }
    return document;
}

static enum sx_status run_on_files(struct sx_job *job, struct sx_error *err)
{
    struct sx_members members = {.family = SIZE_MAX};
    struct sx_card *card = sx_xcalloc(1, sizeof *card);
    const uint32_t latent = (uint32_t)sx_value_int_or(sx_value_get(job->args, "latent"), 0);
    enum sx_status status = collect_files(job, &members, err);
    if (status == SX_OK)
        status = make_card(&members, 0, latent, NULL, card, &job->task, err);
    if (status == SX_OK)
        job->document = describe_card(card, &members);
    card_free(card);
    sx_members_release(&members);
    return status;
}

SX_RUN(card)
{
    struct card_input *input = job->input;
    if (!input)
        return run_on_files(job, err);
    struct sx_card *card = sx_xcalloc(1, sizeof *card);
    job->result = card;
    job->result_free = card_free;
    SX_TRY(sx_members_load(&input->members, &job->task, 0, 0, err));
    return make_card(&input->members, input->anchor, input->latent, input->views, card, &job->task,
                     err);
}

SX_PRINT(card)
{
    sx_str_printf(out, "latent %lld of %s\n",
                  (long long)sx_value_int_or(sx_value_get(document, "latent"), 0),
                  sx_value_string_or(sx_value_get(document, "sae"), ""));
    sx_print_field(out, "encoder norm", sx_value_get(document, "enc_norm"));
    sx_print_field(out, "decoder norm", sx_value_get(document, "dec_norm"));
    sx_print_field(out, "alignment", sx_value_get(document, "align"));
    sx_print_field(out, "encoder bias", sx_value_get(document, "b_enc"));
    const struct sx_value *neighbours = sx_value_get(document, "neighbours");
    sx_str_append(out, "\nneighbours by decoder\n");
    for (size_t i = 0; i < sx_value_count(neighbours); i++) {
        const struct sx_value *map = sx_value_item(neighbours, i);
        sx_print_number(out, sx_value_get(map, "latent"), 8, 0);
        sx_print_number(out, sx_value_get(map, "cos"), 9, 4);
        sx_str_append_char(out, '\n');
    }
    const struct sx_value *partners = sx_value_get(document, "partners");
    if (sx_value_count(partners))
        sx_str_append(out, "\nmost similar decoder in other seeds\n  latent      dec      enc   "
                           "margin\n");
    for (size_t i = 0; i < sx_value_count(partners); i++) {
        const struct sx_value *map = sx_value_item(partners, i);
        sx_print_number(out, sx_value_get(map, "latent"), 8, 0);
        sx_print_number(out, sx_value_get(map, "sim"), 9, 4);
        sx_print_number(out, sx_value_get(map, "sim_enc"), 9, 4);
        sx_print_number(out, sx_value_get(map, "margin"), 9, 4);
        sx_str_printf(out, "  %s\n", sx_value_string_or(sx_value_get(map, "sae"), ""));
    }
}

/* --- gallery ------------------------------------------------------------------------------------
 */

struct gallery_input {
    struct sx_members members;
    size_t anchor, first, columns;
    uint32_t *latents;           /* owned [columns], of the anchor */
    struct sx_match_view *views; /* owned [columns, n]; NULL: not matched */
};

static void gallery_input_free(void *p)
{
    struct gallery_input *input = p;
    sx_members_release(&input->members);
    sx_free(input->latents);
    sx_free(input->views);
    sx_free(input);
}

static void gallery_free(void *p)
{
    sx_gallery_release(p);
    sx_free(p);
}

static void take_columns(const struct sx_session *session, struct gallery_input *input)
{
    const size_t n = input->members.n;
    input->latents = sx_xcalloc(input->columns + 1, sizeof *input->latents);
    for (size_t c = 0; c < input->columns; c++) {
        input->latents[c] = session->rows.order[input->first + c];
        struct sx_match_view *views = look(session, input->anchor, input->latents[c]);
        if (!views)
            continue;
        if (!input->views)
            input->views = sx_xcalloc(input->columns * n, sizeof *input->views);
        memcpy(input->views + c * n, views, n * sizeof *views);
        sx_free(views);
    }
}

SX_PREPARE(gallery)
{
    const struct sx_rows *rows = &session->rows;
    struct sx_members members;
    if (rows->state != SX_STATE_READY)
        return sx_fail(err, SX_ERR_USAGE, "gallery: open a family first");
    SX_TRY(sx_members_take(session, session->selection.family, &members, err));
    const size_t first = (size_t)sx_value_int_or(sx_value_get(job->args, "first"), 0);
    const size_t wanted = (size_t)sx_value_int_or(sx_value_get(job->args, "columns"), 1);
    const size_t left = first < rows->n ? rows->n - first : 0;
    struct gallery_input *input = sx_xcalloc(1, sizeof *input);
    *input = (struct gallery_input){.members = members,
                                    .anchor = session->selection.seed_index,
                                    .first = first,
                                    .columns = wanted < left ? wanted : left};
    take_columns(session, input);
    job->input = input;
    job->input_free = gallery_input_free;
    sx_gallery_release(&session->gallery);
    session->gallery.state = SX_STATE_PENDING;
    session->gallery.family = members.family;
    session->gallery.first = first;
    session->gallery.columns = wanted;
    sx_session_touch(session, SX_SLOT_GALLERY);
    return SX_OK;
}

static void put_cell(struct sx_gallery *gallery, size_t row, size_t column,
                     const struct sx_sae *sae, int64_t latent, float sim)
{
    const size_t at = row * gallery->columns + column;
    const size_t D = (size_t)gallery->D;
    gallery->cells[at] = (struct sx_gallery_cell){latent, sim};
    if (latent < 0)
        return;
    memcpy(gallery->enc + at * D, sae->W_enc + (size_t)latent * D, D * sizeof(float));
    memcpy(gallery->dec + at * D, sae->W_dec + (size_t)latent * D, D * sizeof(float));
}

static enum sx_status fill_column(const struct gallery_input *input, struct sx_gallery *gallery,
                                  size_t column, struct sx_task *task)
{
    const struct sx_members *members = &input->members;
    const struct sx_sae *anchor = members->member[input->anchor].sae;
    const uint32_t latent = input->latents[column];
    for (size_t i = 0; i < members->n; i++) {
        const struct sx_sae *sae = members->member[i].sae;
        if (i == input->anchor) {
            put_cell(gallery, i, column, sae, latent, 1);
            continue;
        }
        struct sx_card_partner partner = {0};
        const struct sx_match_view *view =
            input->views ? &input->views[column * members->n + i] : NULL;
        enum sx_status status = find_partner(anchor, latent, sae, view, &partner, task);
        put_cell(gallery, i, column, sae, partner.latent, partner.sim_dec);
        sx_free(partner.enc_row);
        sx_free(partner.dec_row);
        SX_TRY(status);
    }
    /* The same random latent for the same column, however the gallery is scrolled. */
    enum { CONTROL_STREAM = 0x67616c };
    struct sx_rng rng = sx_rng_make(latent, CONTROL_STREAM);
    put_cell(gallery, members->n, column, anchor,
             (int64_t)sx_rng_below(&rng, anchor->info.dict_size), (float)NAN);
    return SX_OK;
}

SX_RUN(gallery)
{
    struct gallery_input *input = job->input;
    struct sx_gallery *gallery = sx_xcalloc(1, sizeof *gallery);
    job->result = gallery;
    job->result_free = gallery_free;
    SX_TRY(sx_members_load(&input->members, &job->task, 0, 0, err));
    const struct sx_sae_info *info = &input->members.member[input->anchor].sae->info;
    gallery->family = input->members.family;
    gallery->first = input->first;
    gallery->D = info->activation_dim;
    gallery->width = info->image_width;
    gallery->height = info->image_height;
    gallery->columns = input->columns;
    gallery->rows = input->members.n + 1;
    const size_t cells = gallery->rows * gallery->columns;
    gallery->cells = sx_xcalloc(cells + 1, sizeof *gallery->cells);
    gallery->enc = sx_calloc_big(cells, (size_t)gallery->D * sizeof(float));
    gallery->dec = sx_calloc_big(cells, (size_t)gallery->D * sizeof(float));
    if (!gallery->enc || !gallery->dec)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu images", cells);
    for (size_t c = 0; c < input->columns; c++) {
        SX_TRY(sx_task_step(&job->task, c, input->columns));
        SX_TRY(fill_column(input, gallery, c, &job->task));
    }
    gallery->state = SX_STATE_READY;
    return SX_OK;
}

SX_APPLY(gallery)
{
    const struct gallery_input *input = job->input;
    struct sx_gallery *gallery = &session->gallery;
    if (!sx_members_current(session, &input->members) || gallery->state != SX_STATE_PENDING)
        return;
    sx_session_touch(session, SX_SLOT_GALLERY);
    if (job->status != SX_OK) {
        sx_slot_fail(&gallery->state, &gallery->error, job->status, &job->error);
        return;
    }
    *gallery = *(struct sx_gallery *)job->result;
    sx_free(job->result);
    job->result = NULL;
}
