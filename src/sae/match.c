/* Building a match set: four exact assignments a pair at most (encoder and decoder, all and alive
 * latents), each reduced to arrays over latents at once, so that only one assignment's candidates
 * are held at a time. */
#include "sextant/sae/match.h"

#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/core/assignment.h"

enum { ORTHOGONALITY_WORK = SX_ASSIGN_WORK };

/* --- memory ------------------------------------------------------------------------------------
 */

static void pair_release(struct sx_match_pair *p)
{
    sx_free(p->partner_enc);
    sx_free(p->partner_dec);
    sx_free(p->sim_enc);
    sx_free(p->sim_dec);
    sx_free(p->max_enc);
    sx_free(p->max_dec);
    sx_free(p->runner_up);
    sx_free(p->margin);
    sx_free(p->back_enc);
    sx_free(p->back_dec);
    sx_free(p->back_max_enc);
    sx_free(p->back_max_dec);
    sx_free(p->back_runner_up);
    sx_free(p->back_margin);
    *p = (struct sx_match_pair){0};
}

static void pairs_free(struct sx_match_pair *pairs, size_t n)
{
    for (size_t i = 0; pairs && i < n; i++)
        pair_release(&pairs[i]);
    sx_free(pairs);
}

static float *unknown_floats(size_t n)
{
    float *x = sx_alloc_big(n, sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = NAN;
    return x;
}

static int32_t *no_latents(size_t n)
{
    int32_t *x = sx_alloc_big(n, sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = -1;
    return x;
}

static bool pair_init(struct sx_match_pair *p, size_t a, size_t b, size_t F_a, size_t F_b)
{
    *p = (struct sx_match_pair){.a = a, .b = b, .F_a = F_a, .F_b = F_b};
    p->mmcs_enc = p->mmcs_dec = p->mmcs = NAN;
    p->partner_enc = no_latents(F_a);
    p->partner_dec = no_latents(F_a);
    p->sim_enc = unknown_floats(F_a);
    p->sim_dec = unknown_floats(F_a);
    p->max_enc = unknown_floats(F_a);
    p->max_dec = unknown_floats(F_a);
    p->runner_up = no_latents(F_a);
    p->margin = unknown_floats(F_a);
    p->back_enc = no_latents(F_b);
    p->back_dec = no_latents(F_b);
    p->back_max_enc = unknown_floats(F_b);
    p->back_max_dec = unknown_floats(F_b);
    p->back_runner_up = no_latents(F_b);
    p->back_margin = unknown_floats(F_b);
    return p->partner_enc && p->partner_dec && p->sim_enc && p->sim_dec && p->max_enc &&
           p->max_dec && p->runner_up && p->margin && p->back_enc && p->back_dec &&
           p->back_max_enc && p->back_max_dec && p->back_runner_up && p->back_margin;
}

void sx_match_set_free(struct sx_match_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; set->models && i < set->n_models; i++) {
        sx_free(set->models[i].name);
        sx_free(set->models[i].align);
    }
    sx_free(set->models);
    pairs_free(set->pairs, set->n_pairs);
    pairs_free(set->alive, set->n_pairs);
    sx_free(set);
}

/* --- one assignment into arrays over latents ---------------------------------------------------
 */

/* The latents of one model that are compared. */
struct subset {
    uint32_t *ids; /* [n], owned; NULL: latent i is row i */
    size_t n;
    float *rows; /* [n,D], owned copy when ids are given */
};

static void subset_release(struct subset *s)
{
    sx_free(s->ids);
    sx_free(s->rows);
    *s = (struct subset){0};
}

static int32_t id_of(const struct subset *s, int32_t row)
{
    return row < 0 || !s->ids ? row : (int32_t)s->ids[row];
}

/* ids of the latents with alignment > cut. */
static bool subset_alive(struct subset *s, const struct sx_match_model *model, double cut)
{
    s->ids = sx_alloc_big(model->F, sizeof *s->ids);
    if (!s->ids)
        return false;
    for (size_t j = 0; j < model->F; j++)
        if ((double)model->align[j] > cut)
            s->ids[s->n++] = (uint32_t)j;
    return true;
}

static const float *subset_rows(struct subset *s, const float *w, size_t d)
{
    if (!s->ids)
        return w;
    if (!s->rows)
        s->rows = sx_alloc_big(s->n, d * sizeof *s->rows);
    for (size_t r = 0; s->rows && r < s->n; r++)
        memcpy(s->rows + r * d, w + (size_t)s->ids[r] * d, d * sizeof *s->rows);
    return s->rows;
}

/* Mean of the rows' maxima; max receives them by latent. */
static double take_maxima(const struct sx_candidates *c, const struct subset *s, float *max)
{
    double sum = 0;
    for (size_t r = 0; r < c->rows; r++) {
        float best = c->sim[r * c->k];
        max[id_of(s, (int32_t)r)] = best;
        sum += (double)best;
    }
    return sum / (double)c->rows;
}

/* Margins of one direction: the partner against the best of the others. */
static void take_margins(const struct sx_candidates *c, const int32_t *partner, const float *sim,
                         const struct subset *from, const struct subset *to, int32_t *runner_up,
                         float *margin)
{
    for (size_t r = 0; r < c->rows; r++) {
        int32_t id = id_of(from, (int32_t)r);
        size_t other = r * c->k + (partner[r] >= 0 && c->index[r * c->k] == partner[r]);
        runner_up[id] = id_of(to, c->index[other]);
        margin[id] = partner[r] < 0 ? NAN : sim[r] - c->sim[other];
    }
}

static enum sx_status take_back_margins(struct sx_match_pair *p, const struct sx_assignment *x,
                                        const struct subset *from, const struct subset *to,
                                        struct sx_error *err)
{
    float *sim = sx_alloc_big(x->m, sizeof *sim);
    if (!sim)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu margins", x->m);
    for (size_t j = 0; j < x->m; j++)
        sim[j] = x->row_of_col[j] < 0 ? 0.0F : x->sim[x->row_of_col[j]];
    take_margins(&x->of_col, x->row_of_col, sim, to, from, p->back_runner_up, p->back_margin);
    sx_free(sim);
    return SX_OK;
}

static void take_partners(const struct sx_assignment *x, const struct subset *from,
                          const struct subset *to, int32_t *partner, float *sim, int32_t *back)
{
    for (size_t r = 0; r < x->n; r++) {
        if (x->col_of_row[r] < 0)
            continue;
        int32_t i = id_of(from, (int32_t)r), j = id_of(to, x->col_of_row[r]);
        partner[i] = j;
        sim[i] = x->sim[r];
        back[j] = i;
    }
}

static enum sx_status match_side(struct sx_match_pair *p, bool is_decoder, const float *a,
                                 const float *b, const struct subset *from, const struct subset *to,
                                 size_t d, struct sx_task *task, struct sx_error *err)
{
    struct sx_assignment x;
    SX_TRY(sx_assign_cosine(a, from->n, b, to->n, d, NULL, task, &x, err));
    take_partners(&x, from, to, is_decoder ? p->partner_dec : p->partner_enc,
                  is_decoder ? p->sim_dec : p->sim_enc, is_decoder ? p->back_dec : p->back_enc);
    double mmcs = (take_maxima(&x.of_row, from, is_decoder ? p->max_dec : p->max_enc) +
                   take_maxima(&x.of_col, to, is_decoder ? p->back_max_dec : p->back_max_enc)) /
                  2;
    struct sx_match_proof proof = {x.certificate.primal, x.certificate.dual, x.certificate.gap,
                                   x.certificate.max_violation};
    enum sx_status status = SX_OK;
    if (is_decoder) {
        p->mmcs_dec = mmcs;
        p->proof_dec = proof;
        take_margins(&x.of_row, x.col_of_row, x.sim, from, to, p->runner_up, p->margin);
        status = take_back_margins(p, &x, from, to, err);
    } else {
        p->mmcs_enc = mmcs;
        p->proof_enc = proof;
    }
    sx_assignment_release(&x);
    return status;
}

static enum sx_status match_pair(struct sx_match_pair *p, const struct sx_match_input *a,
                                 const struct sx_match_input *b, struct subset *from,
                                 struct subset *to, struct sx_task *task, struct sx_error *err)
{
    p->n_a = from->n;
    p->n_b = to->n;
    if (from->n == 0 || to->n == 0) {
        if (task)
            atomic_fetch_add(&task->done, UINT64_C(2) * SX_ASSIGN_WORK);
        return SX_OK;
    }
    for (int is_decoder = 0; is_decoder < 2; is_decoder++) {
        const float *rows_a = subset_rows(from, is_decoder ? a->W_dec : a->W_enc, a->D);
        const float *rows_b = subset_rows(to, is_decoder ? b->W_dec : b->W_enc, b->D);
        if (!rows_a || !rows_b)
            return sx_fail(err, SX_ERR_NOMEM, "no memory for the alive rows");
        enum sx_status status =
            match_side(p, is_decoder, rows_a, rows_b, from, to, a->D, task, err);
        if (status == SX_CANCELLED)
            return status;
        if (status != SX_OK)
            return sx_fail_prefix(err, status, "%s with %s, %s", a->name ? a->name : "model",
                                  b->name ? b->name : "model", is_decoder ? "decoder" : "encoder");
    }
    p->mmcs = (p->mmcs_enc + p->mmcs_dec) / 2;
    return SX_OK;
}

/* --- sets --------------------------------------------------------------------------------------
 */

/* All pairs, over all latents, or over the alive ones when cut is a number. */
static enum sx_status match_pairs(const struct sx_match_set *set,
                                  const struct sx_match_input *models, double cut,
                                  struct sx_match_pair **out, struct sx_task *task,
                                  struct sx_error *err)
{
    enum sx_status status = SX_OK;
    struct sx_match_pair *pairs = sx_xcalloc(set->n_pairs, sizeof *pairs);
    size_t at = 0;
    for (size_t a = 0; a < set->n_models && status == SX_OK; a++)
        for (size_t b = a + 1; b < set->n_models && status == SX_OK; b++, at++) {
            struct subset from = {.n = models[a].F}, to = {.n = models[b].F};
            bool ready = pair_init(&pairs[at], a, b, models[a].F, models[b].F);
            if (ready && !isnan(cut)) {
                from.n = to.n = 0;
                ready = subset_alive(&from, &set->models[a], cut) &&
                        subset_alive(&to, &set->models[b], cut);
            }
            status =
                ready ? match_pair(&pairs[at], &models[a], &models[b], &from, &to, task, err)
                      : sx_fail(err, SX_ERR_NOMEM, "no memory to match %zu latents", models[a].F);
            subset_release(&from);
            subset_release(&to);
        }
    if (status == SX_OK)
        *out = pairs;
    else
        pairs_free(pairs, set->n_pairs);
    return status;
}

static void count_alive(struct sx_match_set *set, double cut)
{
    set->alive_cut = cut;
    for (size_t i = 0; i < set->n_models; i++) {
        struct sx_match_model *m = &set->models[i];
        m->n_alive = m->F;
        if (isnan(cut))
            continue;
        m->n_alive = 0;
        for (size_t j = 0; j < m->F; j++)
            m->n_alive += (double)m->align[j] > cut;
    }
}

static enum sx_status match_alive(struct sx_match_set *set, const struct sx_match_input *models,
                                  double cut, struct sx_task *task, struct sx_error *err)
{
    struct sx_match_pair *alive = NULL;
    if (!isnan(cut))
        SX_TRY(match_pairs(set, models, cut, &alive, task, err));
    pairs_free(set->alive, set->n_pairs);
    set->alive = alive;
    count_alive(set, cut);
    return SX_OK;
}

static uint64_t pass_work(const struct sx_match_set *set)
{
    return UINT64_C(2) * SX_ASSIGN_WORK * set->n_pairs;
}

enum sx_status sx_match_set_alive_cut(struct sx_match_set *set, const struct sx_match_input *models,
                                      double alive_cut, struct sx_task *task, struct sx_error *err)
{
    SX_TRY(sx_task_step(task, 0, pass_work(set)));
    return match_alive(set, models, alive_cut, task, err);
}

static enum sx_status measure_model(struct sx_match_model *m, const struct sx_match_input *in,
                                    struct sx_error *err)
{
    *m = (struct sx_match_model){.name = sx_xstrdup(in->name), .F = in->F, .D = in->D};
    m->align = sx_alloc_big(in->F, sizeof *m->align);
    if (!m->align)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu latents", in->F);
    sx_match_alignment(in, m->align);
    sx_align_stats_of(m->align, in->F, &m->alignment);
    sx_count_dead(in, &m->dead);
    return SX_OK;
}

static enum sx_status measure_orthogonality(struct sx_match_model *m,
                                            const struct sx_match_input *in, double cut,
                                            struct sx_task *task, struct sx_error *err)
{
    SX_TRY(sx_orthogonality_of(in->W_dec, in->F, in->D, NULL, ORTHOGONALITY_WORK, task,
                               &m->orthogonality, err));
    if (isnan(cut))
        return SX_OK;
    bool *keep = sx_xmalloc(in->F * sizeof *keep);
    for (size_t j = 0; j < in->F; j++)
        keep[j] = (double)m->align[j] > cut;
    enum sx_status status = sx_orthogonality_of(in->W_dec, in->F, in->D, keep, ORTHOGONALITY_WORK,
                                                task, &m->orthogonality_alive, err);
    sx_free(keep);
    return status;
}

static enum sx_status check_inputs(const struct sx_match_input *models, size_t n,
                                   struct sx_error *err)
{
    if (n < 2)
        return sx_fail(err, SX_ERR_USAGE, "matching needs two SAEs or more, got %zu", n);
    for (size_t i = 0; i < n; i++) {
        const char *name = models[i].name ? models[i].name : "model";
        if (models[i].F == 0 || models[i].D == 0)
            return sx_fail(err, SX_ERR_SHAPE, "%s has no latents or no inputs", name);
        if (models[i].D != models[0].D)
            return sx_fail(err, SX_ERR_SHAPE,
                           "%s has input dimension %zu, %s has %zu: they cannot be matched", name,
                           models[i].D, models[0].name ? models[0].name : "the first", models[0].D);
    }
    return SX_OK;
}

static enum sx_status fill_set(struct sx_match_set *set, const struct sx_match_input *models,
                               const struct sx_match_options *options, struct sx_task *task,
                               struct sx_error *err)
{
    for (size_t i = 0; i < set->n_models; i++) {
        if (sx_task_is_cancelled(task))
            return SX_CANCELLED;
        SX_TRY(measure_model(&set->models[i], &models[i], err));
    }
    SX_TRY(match_pairs(set, models, NAN, &set->pairs, task, err));
    SX_TRY(match_alive(set, models, options->alive_cut, task, err));
    for (size_t i = 0; i < set->n_models && options->orthogonality; i++)
        SX_TRY(measure_orthogonality(&set->models[i], &models[i], options->alive_cut, task, err));
    return SX_OK;
}

enum sx_status sx_match_new(const struct sx_match_input *models, size_t n_models,
                            const struct sx_match_options *options, struct sx_task *task,
                            struct sx_match_set **out, struct sx_error *err)
{
    *out = NULL;
    SX_TRY(check_inputs(models, n_models, err));
    struct sx_match_set *set = sx_xcalloc(1, sizeof *set);
    set->n_models = n_models;
    set->n_pairs = n_models * (n_models - 1) / 2;
    set->models = sx_xcalloc(n_models, sizeof *set->models);
    set->alive_cut = NAN;
    size_t passes = isnan(options->alive_cut) ? 1 : 2;
    uint64_t work = pass_work(set) * passes;
    if (options->orthogonality)
        work += ORTHOGONALITY_WORK * n_models * passes;
    enum sx_status status = sx_task_step(task, 0, work);
    if (status == SX_OK)
        status = fill_set(set, models, options, task, err);
    if (status == SX_OK)
        *out = set;
    else
        sx_match_set_free(set);
    return status;
}
