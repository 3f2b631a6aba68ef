/* The loop: batches, steps of every seed, the curve, checkpoints. All that decides the outcome is
 * in the states and in the step number; the order of an epoch is drawn from a counter-based
 * generator, so a checkpoint needs no generator state. */
#include "sextant/sae/train.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/base/rng.h"
#include "sextant/base/str.h"
#include "sextant/core/kernels.h"
#include "sextant/core/similarity.h"
#include "sextant/io/folder.h"
#include "sextant/sae/names.h"
#include "sextant/sae/sae.h"
#include "train_private.h"

enum { MAX_PAIRS = SX_TRAIN_MAX_SEEDS * (SX_TRAIN_MAX_SEEDS - 1) / 2 };

/* In the order of struct sx_train_metrics. */
enum metric { LOSS, MSE, SPARSITY, PENALTY, L0, DEAD, ALIGNMENT, METRICS };
static const char *const metric_names[METRICS] = {"loss", "mse",  "sparsity", "penalty",
                                                  "l0",   "dead", "alignment"};

struct run {
    const struct sx_train_config *config;
    const char *out_dir;
    struct sx_task *task;
    struct sx_error *err;
    sx_train_on_row on_row;
    void *user;

    struct sx_train_rules rules;
    struct sx_train_data data;
    uint64_t F;
    uint64_t per_epoch, steps, first_step, step;
    size_t n_seeds, n_pairs;
    struct sx_train_state states[SX_TRAIN_MAX_SEEDS];
    struct sx_train_loss losses[SX_TRAIN_MAX_SEEDS];

    struct sx_gang *gang;
    struct sx_train_workspace *ws;
    size_t n_orders;   /* 1, or one a seed */
    uint32_t *order;   /* [n_orders,N] of the present epoch */
    uint64_t order_of; /* the epoch that `order` is for; UINT64_MAX: none yet */
    float *x;          /* [batch,D] */

    struct sx_train_curve curve;
    struct sx_h5_table *table;
    double started;
};

static char *run_path(const struct run *run, const char *ending)
{
    return sx_xasprintf("%s/%s%s", run->out_dir, run->config->name, ending);
}

/* --- names -------------------------------------------------------------------------------------
 */

static void append_name(struct sx_value *list, char *take_name)
{
    sx_value_append(list, sx_value_string(take_name));
    sx_free(take_name);
}

struct sx_value *sx_train_columns(const struct sx_train_config *config)
{
    struct sx_value *list = sx_value_list();
    sx_value_append(list, sx_value_string("step"));
    sx_value_append(list, sx_value_string("epoch"));
    for (size_t s = 0; s < config->n_seeds; s++)
        for (size_t m = 0; m < METRICS; m++)
            append_name(list,
                        sx_xasprintf("s%lld.%s", (long long)config->seeds[s], metric_names[m]));
    for (size_t a = 0; a < config->n_seeds; a++)
        for (size_t b = a + 1; b < config->n_seeds; b++)
            append_name(list, sx_xasprintf("mmcs.%lld-%lld", (long long)config->seeds[a],
                                           (long long)config->seeds[b]));
    if (config->n_seeds > 1)
        sx_value_append(list, sx_value_string("mmcs"));
    return list;
}

static void metric_values(const struct sx_train_metrics *m, double out[METRICS])
{
    const double values[METRICS] = {m->loss, m->mse,  m->sparsity, m->penalty,
                                    m->l0,   m->dead, m->alignment};
    memcpy(out, values, sizeof values);
}

struct sx_value *sx_train_row_describe(const struct sx_train_row *row)
{
    struct sx_value *map = sx_value_map(), *seeds = sx_value_list();
    sx_value_set(map, "schema", sx_value_int(1));
    sx_value_set(map, "step", sx_value_int((int64_t)row->step));
    sx_value_set(map, "steps", sx_value_int((int64_t)row->steps));
    sx_value_set(map, "epoch", sx_value_real(row->epoch));
    for (size_t s = 0; s < row->n_seeds; s++) {
        double values[METRICS];
        struct sx_value *one = sx_value_append(seeds, sx_value_map());
        metric_values(&row->metrics[s], values);
        sx_value_set(one, "seed", sx_value_int(row->seeds[s]));
        for (size_t m = 0; m < METRICS; m++)
            sx_value_set(one, metric_names[m], sx_value_real(values[m]));
    }
    sx_value_set(map, "seeds", seeds);
    if (row->n_pairs > 0 && isfinite(row->mmcs_mean)) {
        struct sx_value *pairs = sx_value_list();
        for (size_t p = 0; p < row->n_pairs; p++)
            sx_value_append(pairs, sx_value_real(row->mmcs[p]));
        sx_value_set(map, "mmcs", sx_value_real(row->mmcs_mean));
        sx_value_set(map, "mmcs_pairs", pairs);
    }
    sx_value_set(map, "seconds", sx_value_real(row->seconds));
    sx_value_set(map, "eta", row->eta < 0 ? sx_value_null() : sx_value_real(row->eta));
    return map;
}

/* --- batches -----------------------------------------------------------------------------------
 */

static void draw_order(struct run *run, uint64_t epoch)
{
    uint64_t n = run->data.n;
    for (size_t o = 0; o < run->n_orders; o++) {
        uint32_t *order = run->order + o * n;
        /* Apart from the streams of weight initialisation, and from each other. */
        uint64_t own = run->n_orders > 1 ? (uint64_t)run->config->seeds[o] + 1 : 0;
        struct sx_rng rng =
            sx_rng_make((uint64_t)run->config->data_seed, 1ULL << 63 | own << 32 | epoch);
        for (uint64_t i = 0; i < n; i++)
            order[i] = (uint32_t)i;
        sx_rng_shuffle(&rng, order, n);
    }
    run->order_of = epoch;
}

/* The batch of the present step in order `o`, into run->x. */
static size_t fetch_batch(struct run *run, size_t o)
{
    uint64_t n = run->data.n, batch = (uint64_t)run->config->batch;
    uint64_t epoch = run->step / run->per_epoch, at = run->step % run->per_epoch * batch;
    if (run->order_of != epoch)
        draw_order(run, epoch);
    size_t rows = n - at < batch ? n - at : batch;
    sx_train_data_gather(&run->data, run->order + o * n + at, rows, run->x);
    return rows;
}

static void step_all(struct run *run)
{
    size_t rows = 0;
    for (size_t s = 0; s < run->n_seeds; s++) {
        if (s == 0 || run->n_orders > 1)
            rows = fetch_batch(run, s);
        sx_train_step(run->ws, &run->rules, &run->states[s], run->x, rows, &run->losses[s]);
    }
    run->step++;
}

/* --- the curve ---------------------------------------------------------------------------------
 */

static double mean_alignment(const struct sx_train_state *s)
{
    double sum = 0;
    for (uint64_t j = 0; j < s->F; j++) {
        double norms = sqrt(s->sq_enc[j]) * sqrt(s->sq_dec[j]);
        if (norms > 0)
            sum += sx_dot_lanes(s->W_enc.w + j * s->D, s->W_dec.w + j * s->D, s->D) / norms;
    }
    return sum / (double)s->F;
}

static double count_dead(const struct run *run, const struct sx_train_state *s)
{
    uint64_t after = (uint64_t)run->config->dead_after;
    if (after == 0)
        after = run->per_epoch;
    uint64_t dead = 0;
    for (uint64_t j = 0; j < s->F; j++)
        dead += s->quiet[j] >= after;
    return (double)dead;
}

static enum sx_status measure_seed(struct run *run, size_t s, struct sx_train_metrics *m)
{
    const struct sx_train_loss *loss = &run->losses[s];
    *m = (struct sx_train_metrics){
        .mse = loss->mse,
        .sparsity = run->rules.l1_activation * loss->z_mean,
        .penalty = sx_train_penalty(&run->rules, &run->states[s]),
        .l0 = loss->l0,
        .dead = count_dead(run, &run->states[s]),
        .alignment = mean_alignment(&run->states[s]),
    };
    m->loss = m->mse + m->sparsity + m->penalty;
    if (!isfinite(m->loss))
        return sx_fail(run->err, SX_ERR_NUMERIC,
                       "training of seed %lld has diverged: the loss at step %llu is not finite "
                       "(a lower lr may help)",
                       (long long)run->config->seeds[s], (unsigned long long)run->step);
    return SX_OK;
}

/* (mean_i max_j |cos| + mean_j max_i |cos|) / 2 */
static enum sx_status max_cosine(struct run *run, const float *a, const float *b, double *out)
{
    uint64_t F = run->F, D = run->data.d;
    struct sx_candidates of_a = {0}, of_b = {0};
    SX_TRY(sx_similarity_candidates(a, F, b, F, D, 1, false, 0, &of_a, &of_b, NULL, run->err));
    double sum = 0;
    for (uint64_t i = 0; i < F; i++)
        sum += (double)of_a.sim[i] + (double)of_b.sim[i];
    *out = sum / (2 * (double)F);
    sx_candidates_release(&of_a);
    sx_candidates_release(&of_b);
    return SX_OK;
}

/* Unit rows of one side of every seed: [S,F,D]; then every pair. Adds half of it to mmcs. */
static enum sx_status compare_side(struct run *run, bool decoder, float *unit, double *mmcs)
{
    size_t cells = run->F * run->data.d;
    for (size_t s = 0; s < run->n_seeds; s++) {
        const struct sx_train_state *state = &run->states[s];
        SX_TRY(sx_unit_rows(decoder ? state->W_dec.w : state->W_enc.w, run->F, run->data.d,
                            unit + s * cells, NULL, run->err));
    }
    size_t pair = 0;
    for (size_t a = 0; a < run->n_seeds; a++)
        for (size_t b = a + 1; b < run->n_seeds; b++) {
            double mean = 0;
            SX_TRY(max_cosine(run, unit + a * cells, unit + b * cells, &mean));
            mmcs[pair++] += mean / 2;
        }
    return SX_OK;
}

static enum sx_status compare_seeds(struct run *run, double *mmcs)
{
    float *unit = sx_alloc_big(run->n_seeds * run->F * run->data.d, sizeof *unit);
    if (!unit)
        return sx_fail(run->err, SX_ERR_NOMEM, "out of memory for comparing the seeds");
    for (size_t p = 0; p < run->n_pairs; p++)
        mmcs[p] = 0;
    enum sx_status status = compare_side(run, true, unit, mmcs);
    if (status == SX_OK)
        status = compare_side(run, false, unit, mmcs);
    sx_free(unit);
    return status;
}

/* Keep the row for checkpoints and show it to who watches. */
static enum sx_status keep_row(struct run *run, const struct sx_train_row *row)
{
    struct sx_train_curve *curve = &run->curve;
    SX_GROW(curve->values, curve->capacity, (curve->rows + 1) * curve->columns);
    double *values = curve->values + curve->rows * curve->columns;
    size_t n = 0;
    values[n++] = (double)row->step;
    values[n++] = row->epoch;
    for (size_t s = 0; s < row->n_seeds; s++, n += METRICS)
        metric_values(&row->metrics[s], values + n);
    for (size_t p = 0; p < row->n_pairs; p++)
        values[n++] = row->mmcs[p];
    if (row->n_pairs > 0)
        values[n++] = row->mmcs_mean;
    SX_ASSERT(n == curve->columns);
    curve->rows++;
    return sx_h5_table_append(run->table, values, run->err);
}

static bool is_due(uint64_t step, int64_t every)
{
    return every > 0 && step % (uint64_t)every == 0;
}

static enum sx_status log_row(struct run *run)
{
    struct sx_train_metrics metrics[SX_TRAIN_MAX_SEEDS];
    double mmcs[MAX_PAIRS], mean = (double)NAN;
    for (size_t s = 0; s < run->n_seeds; s++)
        SX_TRY(measure_seed(run, s, &metrics[s]));
    for (size_t p = 0; p < run->n_pairs; p++)
        mmcs[p] = (double)NAN;
    bool last = run->step == run->steps;
    if (run->n_pairs > 0 && (last || is_due(run->step, run->config->mmcs_every))) {
        SX_TRY(compare_seeds(run, mmcs));
        mean = 0;
        for (size_t p = 0; p < run->n_pairs; p++)
            mean += mmcs[p] / (double)run->n_pairs;
    }
    double seconds = sx_clock() - run->started;
    struct sx_train_row row = {
        .step = run->step,
        .steps = run->steps,
        .epoch = (double)run->step / (double)run->per_epoch,
        .n_seeds = run->n_seeds,
        .seeds = run->config->seeds,
        .metrics = metrics,
        .n_pairs = run->n_pairs,
        .mmcs = mmcs,
        .mmcs_mean = mean,
        .seconds = seconds,
        .eta = seconds * (double)(run->steps - run->step) / (double)(run->step - run->first_step),
    };
    SX_TRY(keep_row(run, &row));
    if (run->on_row)
        run->on_row(run->user, &row);
    return SX_OK;
}

static struct sx_value *curve_attributes(const struct run *run)
{
    const struct sx_train_config *config = run->config;
    struct sx_value *map = sx_value_map(), *seeds = sx_value_list();
    char *text = sx_train_config_text(config);
    for (size_t s = 0; s < config->n_seeds; s++)
        sx_value_append(seeds, sx_value_int(config->seeds[s]));
    sx_value_set(map, "kind", sx_value_string("sextant training curve"));
    sx_value_set(map, "name", sx_value_string(config->name));
    sx_value_set(map, "seeds", seeds);
    sx_value_set(map, "steps", sx_value_int((int64_t)run->steps));
    sx_value_set(map, "steps_per_epoch", sx_value_int((int64_t)run->per_epoch));
    sx_value_set(map, "dict_size", sx_value_int((int64_t)run->F));
    sx_value_set(map, "config", sx_value_string(text));
    sx_value_set(map, "code_version", sx_value_string(SX_VERSION));
    sx_free(text);
    return map;
}

/* A fresh file that starts with the rows known from the checkpoint. */
static enum sx_status open_table(struct run *run)
{
    const char *names[2 + SX_TRAIN_MAX_SEEDS * METRICS + MAX_PAIRS + 1];
    struct sx_value *columns = sx_train_columns(run->config);
    for (size_t i = 0; i < run->curve.columns; i++)
        names[i] = sx_value_string_or(sx_value_item(columns, i), "");
    struct sx_value *attributes = curve_attributes(run);
    char *path = run_path(run, ".curve.h5");
    enum sx_status status =
        sx_h5_table_create(path, names, run->curve.columns, attributes, &run->table, run->err);
    for (size_t r = 0; r < run->curve.rows && status == SX_OK; r++)
        status =
            sx_h5_table_append(run->table, run->curve.values + r * run->curve.columns, run->err);
    sx_free(path);
    sx_value_free(attributes);
    sx_value_free(columns);
    return status;
}

/* --- results -----------------------------------------------------------------------------------
 */

static enum sx_status save_checkpoint(struct run *run)
{
    char *path = run_path(run, ".ckpt.h5");
    enum sx_status status = sx_train_checkpoint_write(path, run->config, &run->data, run->states,
                                                      run->n_seeds, &run->curve, run->err);
    sx_free(path);
    return status;
}

/* What tells families apart and has no field of its own. */
static char *variant_of(const struct run *run)
{
    const struct sx_train_config *c = run->config;
    struct sx_str s = SX_STR_INIT;
    sx_str_append(&s, c->tied_init ? "tied_init" : "untied_init");
    if (c->unit_norm_init)
        sx_str_append(&s, ", unit_norm_init");
    if (c->b_enc != c->b_dec)
        sx_str_append(&s, c->b_enc ? ", b_enc only" : ", b_dec only");
    if (c->b_dec_init == SX_B_DEC_GEOMETRIC_MEDIAN)
        sx_str_append(&s, ", b_dec from the median");
    if (c->penalty_encoder != c->penalty_decoder || c->lambda_encoder < c->lambda_decoder ||
        c->lambda_encoder > c->lambda_decoder)
        sx_str_printf(&s, ", encoder %s %g, decoder %s %g", sx_penalty_name(c->penalty_encoder),
                      c->lambda_encoder, sx_penalty_name(c->penalty_decoder), c->lambda_decoder);
    sx_str_printf(&s, ", %llu steps of %lld at lr %g", (unsigned long long)run->steps,
                  (long long)c->batch, c->lr);
    return sx_str_take(&s);
}

/* The last step is always logged: its row of the curve tells how training ended. */
static struct sx_sae_training training_end(const struct run *run, size_t s)
{
    const struct sx_train_curve *curve = &run->curve;
    if (curve->rows == 0)
        return (struct sx_sae_training){0};
    const double *row = curve->values + (curve->rows - 1) * curve->columns;
    const double *m = row + 2 + s * METRICS;
    return (struct sx_sae_training){.steps = run->step,
                                    .epochs = row[1],
                                    .mse = m[MSE],
                                    .l0 = m[L0],
                                    .dead = m[DEAD],
                                    .alignment = m[ALIGNMENT]};
}

static void fill_info(const struct run *run, size_t s, char *name, char *variant,
                      struct sx_sae_info *info)
{
    const struct sx_train_config *c = run->config;
    bool by_encoder = c->penalty_encoder != SX_PENALTY_NONE;
    sx_sae_info_init(info);
    info->name = name;
    info->variant = variant;
    info->format = SX_SAE_SEXTANT;
    info->arch = c->arch;
    info->activation_dim = run->data.d;
    info->dict_size = run->F;
    info->seed = c->seeds[s];
    info->penalty = by_encoder ? c->penalty_encoder : c->penalty_decoder;
    info->penalty_known = true;
    info->lambda = by_encoder ? c->lambda_encoder : c->lambda_decoder;
    info->l1_activation = c->l1_activation;
    info->constraint = c->decoder_constraint;
    info->subtract_b_dec = c->b_dec;
    info->has_bias = c->b_enc || c->b_dec;
    info->image_width = run->data.image_width;
    info->image_height = run->data.image_height;
    info->training = training_end(run, s);
}

static struct sx_value *sae_attributes(const struct run *run)
{
    struct sx_value *map = sx_value_map();
    char *text = sx_train_config_text(run->config);
    sx_value_set(map, "train.config", sx_value_string(text));
    sx_value_set(map, "train.code_version", sx_value_string(SX_VERSION));
    sx_value_set(map, "train.samples", sx_value_int((int64_t)run->data.n));
    sx_value_set(map, "train.data_seed", sx_value_int(run->config->data_seed));
    sx_free(text);
    return map;
}

static enum sx_status write_sae(struct run *run, size_t s)
{
    const struct sx_train_state *state = &run->states[s];
    char *name = sx_xasprintf("%s_s%lld", run->config->name, (long long)run->config->seeds[s]);
    char *path = sx_xasprintf("%s/%s.sae.h5", run->out_dir, name);
    char *variant = variant_of(run);
    struct sx_sae parts = {.W_enc = state->W_enc.w,
                           .W_dec = state->W_dec.w,
                           .b_enc = state->b_enc.w,
                           .b_dec = state->b_dec.w};
    fill_info(run, s, name, variant, &parts.info);
    struct sx_sae *sae = NULL;
    struct sx_value *extra = sae_attributes(run);
    enum sx_status status = sx_sae_new(&parts, &sae, run->err);
    if (status == SX_OK)
        status = sx_sae_write_h5(sae, path, extra, run->err);
    sx_sae_unref(sae);
    sx_value_free(extra);
    sx_free(variant);
    sx_free(path);
    sx_free(name);
    return status;
}

/* --- set up ------------------------------------------------------------------------------------
 */

static struct sx_train_rules rules_of(const struct sx_train_config *c)
{
    return (struct sx_train_rules){
        .b_enc = c->b_enc,
        .b_dec = c->b_dec,
        .penalty_enc = c->penalty_encoder,
        .penalty_dec = c->penalty_decoder,
        .lambda_enc = c->lambda_encoder,
        .lambda_dec = c->lambda_decoder,
        .l1_activation = c->l1_activation,
        .constraint = c->decoder_constraint,
        .lr = c->lr,
        .beta1 = c->beta1,
        .beta2 = c->beta2,
        .eps = c->eps,
    };
}

uint64_t sx_train_steps(const struct sx_train_config *config, uint64_t samples, uint64_t *per_epoch)
{
    uint64_t batch = (uint64_t)config->batch;
    *per_epoch = (samples + batch - 1) / batch;
    return config->steps > 0 ? (uint64_t)config->steps : (uint64_t)config->epochs * *per_epoch;
}

static enum sx_status settle_sizes(struct run *run)
{
    const struct sx_train_config *c = run->config;
    double latents = c->dict_size > 0 ? (double)c->dict_size : c->expansion * (double)run->data.d;
    if (latents < 1 || latents > 1 << 24)
        return sx_fail(run->err, SX_ERR_SHAPE, "%g latents, expected 1 to 2^24", latents);
    run->F = (uint64_t)latents;
    run->steps = sx_train_steps(c, run->data.n, &run->per_epoch);
    run->n_seeds = c->n_seeds;
    run->n_pairs = c->n_seeds * (c->n_seeds - 1) / 2;
    run->n_orders = c->shared_data_order ? 1 : c->n_seeds;
    run->curve.columns = 2 + c->n_seeds * METRICS + run->n_pairs + (run->n_pairs > 0);
    run->rules = rules_of(c);
    return SX_OK;
}

static enum sx_status allocate(struct run *run)
{
    uint64_t batch = (uint64_t)run->config->batch;
    uint64_t largest = batch < run->data.n ? batch : run->data.n;
    run->order = sx_alloc_big(run->n_orders * run->data.n, sizeof *run->order);
    run->x = sx_alloc_big(largest * run->data.d, sizeof *run->x);
    if (!run->order || !run->x)
        return sx_fail(run->err, SX_ERR_NOMEM, "out of memory for batches of %llu samples",
                       (unsigned long long)largest);
    run->order_of = UINT64_MAX;
    run->gang = sx_gang_new((int)run->config->threads);
    return sx_train_workspace_new(run->data.d, run->F, largest, run->gang, &run->ws, run->err);
}

static enum sx_status begin_seed(struct run *run, size_t s)
{
    const struct sx_train_config *c = run->config;
    struct sx_train_init init = {
        .tied = c->tied_init, .unit_norm = c->unit_norm_init, .seed = (uint64_t)c->seeds[s]};
    float *median = NULL;
    if (c->b_dec_init == SX_B_DEC_GEOMETRIC_MEDIAN) {
        median = sx_xmalloc(run->data.d * sizeof *median);
        size_t rows = fetch_batch(run, run->n_orders > 1 ? s : 0);
        sx_geometric_median(run->x, rows, run->data.d, median);
        init.b_dec = median;
    }
    enum sx_status status =
        sx_train_state_new(run->data.d, run->F, &init, &run->states[s], run->err);
    sx_free(median);
    return status;
}

static enum sx_status begin(struct run *run)
{
    for (size_t s = 0; s < run->n_seeds; s++)
        SX_TRY(begin_seed(run, s));
    return SX_OK;
}

static enum sx_status go_on(struct run *run, const char *checkpoint)
{
    for (size_t s = 0; s < run->n_seeds; s++)
        SX_TRY(sx_train_state_alloc(run->data.d, run->F, &run->states[s], run->err));
    SX_TRY(sx_train_checkpoint_read(checkpoint, run->config, &run->data, run->states, run->n_seeds,
                                    &run->curve, run->err));
    run->step = run->states[0].step;
    if (run->step > run->steps)
        return sx_fail(run->err, SX_ERR_USAGE,
                       "%s: is at step %llu already, the configuration asks for %llu", checkpoint,
                       (unsigned long long)run->step, (unsigned long long)run->steps);
    return SX_OK;
}

static enum sx_status set_up(struct run *run, bool resume)
{
    SX_TRY(sx_folder_make(run->out_dir, run->err));
    SX_TRY(sx_train_data_open(run->config, &run->data, run->err));
    SX_TRY(settle_sizes(run));
    SX_TRY(allocate(run));
    char *checkpoint = run_path(run, ".ckpt.h5");
    bool go = resume && access(checkpoint, F_OK) == 0;
    enum sx_status status = go ? go_on(run, checkpoint) : begin(run);
    sx_free(checkpoint);
    if (status != SX_OK)
        return status;
    run->first_step = run->step;
    return open_table(run);
}

static void tear_down(struct run *run)
{
    sx_h5_table_close(run->table);
    sx_free(run->curve.values);
    for (size_t s = 0; s < run->n_seeds; s++)
        sx_train_state_release(&run->states[s]);
    sx_train_workspace_free(run->ws);
    sx_gang_free(run->gang);
    sx_free(run->order);
    sx_free(run->x);
    sx_train_data_release(&run->data);
}

/* --- the loop ----------------------------------------------------------------------------------
 */

static enum sx_status loop(struct run *run)
{
    const struct sx_train_config *c = run->config;
    while (run->step < run->steps) {
        step_all(run);
        bool last = run->step == run->steps;
        if (last || is_due(run->step, c->log_every) || is_due(run->step, c->mmcs_every))
            SX_TRY(log_row(run));
        if (is_due(run->step, c->checkpoint_every) || (last && c->checkpoint_every > 0))
            SX_TRY(save_checkpoint(run));
        enum sx_status status =
            sx_task_step(run->task, run->step - run->first_step, run->steps - run->first_step);
        if (status == SX_CANCELLED && !last) {
            SX_TRY(save_checkpoint(run));
            return SX_CANCELLED;
        }
    }
    return SX_OK;
}

enum sx_status sx_train_run(const struct sx_train_config *config, const char *out_dir, bool resume,
                            sx_train_on_row on_row, void *user, struct sx_task *task,
                            struct sx_error *err)
{
    struct run *run = sx_xcalloc(1, sizeof *run);
    *run = (struct run){.config = config,
                        .out_dir = out_dir,
                        .task = task,
                        .err = err,
                        .on_row = on_row,
                        .user = user,
                        .started = sx_clock()};
    enum sx_status status = set_up(run, resume);
    run->started = sx_clock();
    if (status == SX_OK)
        status = loop(run);
    for (size_t s = 0; s < run->n_seeds && status == SX_OK; s++)
        status = write_sae(run, s);
    tear_down(run);
    sx_free(run);
    return status;
}
