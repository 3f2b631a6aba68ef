/* selfcheck: what must hold of the forward pass on any model, measured on this one; and where the
 * checkpoint is one whose outputs upstream publishes, those. */
#include "commands_private.h"

#include <math.h>
#include <string.h>

#include "document.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/model/hooks.h"
#include "sextant/model/names.h"

static const double EXACT = 0;       /* the same bits */
static const double ROUNDING = 1e-5; /* float32 sums in another order, beside 1 */
static const double PASSES = 2e-4;   /* the same through all layers, beside the largest value */
static const double GOLDEN = 1e-4;   /* as upstream's own tests */

struct check { /* what every check works on */
    struct sx_job *job;
    struct sx_model *model;
    const struct sx_model_info *info;
    struct sx_runner *runner;
    int32_t *ids; /* the test sequence; ESM-2: its second token is a mask */
    size_t n;
    size_t width;  /* of an output row: V, or D when there is no head */
    float *output; /* [n,width] of the plain run */
    double scale;  /* its largest absolute value */
};

struct outcome {
    double residual, tolerance;
};

/* --- passes ----------------------------------------------------------------------------------- */

static struct sx_sequence sequence_of(const struct check *c, const int32_t *ids, size_t n)
{
    return (struct sx_sequence){
        .ids = ids, .n = n, .embed_scale = NAN, .n_rows = c->info->has_lm_head ? n : 0};
}

/* Outputs of one sequence, [n,width]: logits, or final.ln of a model without a head. */
static enum sx_status run_sequence(struct check *c, const struct sx_sequence *sequence,
                                   const struct sx_hooks *hooks, bool attend_pads, float *out,
                                   struct sx_error *err)
{
    enum { MOST = 8 };
    struct sx_capture captures[MOST + 1];
    struct sx_pass pass = {.sequences = sequence,
                           .n_sequences = 1,
                           .attend_pads = attend_pads,
                           .logits = c->info->has_lm_head ? out : NULL};
    if (hooks)
        pass.hooks = *hooks;
    SX_ASSERT(pass.hooks.n_captures <= MOST);
    if (pass.hooks.n_captures > 0)
        memcpy(captures, pass.hooks.captures, pass.hooks.n_captures * sizeof *captures);
    if (!c->info->has_lm_head)
        captures[pass.hooks.n_captures++] =
            (struct sx_capture){.point = SX_POINT_FINAL_LN, .out = out};
    pass.hooks.captures = captures;
    return sx_run_pass(c->runner, &pass, &c->job->task, err);
}

static enum sx_status run_hooked(struct check *c, const struct sx_hooks *hooks, float *out,
                                 struct sx_error *err)
{
    const struct sx_sequence sequence = sequence_of(c, c->ids, c->n);
    return run_sequence(c, &sequence, hooks, false, out, err);
}

/* One capture over all layers, tokens and heads; the caller frees. */
static enum sx_status capture(struct check *c, enum sx_point point, float **out,
                              struct sx_error *err)
{
    struct sx_capture one = {.point = point};
    const struct sx_hooks hooks = {.captures = &one, .n_captures = 1};
    float *output = sx_xcalloc(c->n * c->width, sizeof *output);
    *out = one.out = sx_xcalloc((size_t)sx_capture_count(c->info, &one, c->n) + 1, sizeof *one.out);
    const enum sx_status status = run_hooked(c, &hooks, output, err);
    sx_free(output);
    return status;
}

static double largest(const float *x, size_t n)
{
    double max = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, fabs((double)x[i]));
    return max;
}

static double difference(const float *a, const float *b, size_t n)
{
    double max = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        max = d > max || isnan(d) ? d : max;
    }
    return max;
}

static struct outcome against_output(const struct check *c, const float *output, double tolerance)
{
    return (struct outcome){difference(output, c->output, c->n * c->width),
                            tolerance * fmax(1, c->scale)};
}

/* --- properties of every model ---------------------------------------------------------------- */

static enum sx_status check_shift(struct check *c, struct outcome *o, struct sx_error *err)
{
    static const float by = 37;
    struct sx_sequence sequence = sequence_of(c, c->ids, c->n);
    float *positions = sx_xcalloc(c->n, sizeof *positions);
    float *output = sx_xcalloc(c->n * c->width, sizeof *output);
    for (size_t i = 0; i < c->n; i++)
        positions[i] = (float)i + by;
    sequence.positions = positions;
    const enum sx_status status = run_sequence(c, &sequence, NULL, false, output, err);
    *o = against_output(c, output, PASSES);
    sx_free(positions);
    sx_free(output);
    return status;
}

/* resid.pre of every layer replaced by what it is. */
static enum sx_status check_patch(struct check *c, struct outcome *o, struct sx_error *err)
{
    float *resid = NULL;
    float *output = sx_xcalloc(c->n * c->width, sizeof *output);
    enum sx_status status = capture(c, SX_POINT_RESID_PRE, &resid, err);
    const size_t d = (size_t)c->info->d_model;
    const struct sx_intervention patch = {.point = SX_POINT_RESID_PRE,
                                          .band = -1,
                                          .action = SX_DO_REPLACE,
                                          .factor = 1,
                                          .values = resid,
                                          .token_stride = d,
                                          .layer_stride = c->n * d};
    const struct sx_hooks hooks = {.interventions = &patch, .n_interventions = 1};
    if (status == SX_OK)
        status = run_hooked(c, &hooks, output, err);
    *o = against_output(c, output, EXACT);
    sx_free(resid);
    sx_free(output);
    return status;
}

static enum sx_status check_restart(struct check *c, struct outcome *o, struct sx_error *err)
{
    float *resid = NULL;
    float *output = sx_xcalloc(c->n * c->width, sizeof *output);
    enum sx_status status = capture(c, SX_POINT_RESID_PRE, &resid, err);
    struct sx_sequence sequence = sequence_of(c, c->ids, c->n);
    sequence.from_layer = (size_t)c->info->n_layers / 2;
    sequence.resid = resid + sequence.from_layer * c->n * c->info->d_model;
    if (status == SX_OK)
        status = run_sequence(c, &sequence, NULL, false, output, err);
    *o = against_output(c, output, EXACT);
    sx_free(resid);
    sx_free(output);
    return status;
}

static enum sx_status check_batch(struct check *c, struct outcome *o, struct sx_error *err)
{
    const size_t lengths[] = {c->n / 2, c->n, c->n - 3};
    const size_t total = lengths[0] + lengths[1] + lengths[2];
    struct sx_sequence sequences[3];
    struct sx_capture captures[3];
    float *output = sx_xcalloc(total * c->width, sizeof *output);
    float *row = output;
    for (size_t i = 0; i < 3; i++) {
        sequences[i] = sequence_of(c, c->ids, lengths[i]);
        captures[i] = (struct sx_capture){.point = SX_POINT_FINAL_LN, .sequence = i, .out = row};
        row += lengths[i] * c->width;
    }
    struct sx_pass pass = {.sequences = sequences, .n_sequences = 3};
    if (c->info->has_lm_head)
        pass.logits = output;
    else
        pass.hooks = (struct sx_hooks){.captures = captures, .n_captures = 3};
    const enum sx_status status = sx_run_pass(c->runner, &pass, &c->job->task, err);
    *o = against_output(c, output + lengths[0] * c->width, EXACT);
    sx_free(output);
    return status;
}

static enum sx_status check_rows_sum(struct check *c, struct outcome *o, struct sx_error *err)
{
    float *attn = NULL;
    const enum sx_status status = capture(c, SX_POINT_ATTN, &attn, err);
    const size_t rows = (size_t)(c->info->n_layers * c->info->n_heads) * c->n;
    *o = (struct outcome){0, ROUNDING};
    for (size_t r = 0; r < rows && status == SX_OK; r++) {
        double sum = 0;
        for (size_t j = 0; j < c->n; j++)
            sum += (double)attn[r * c->n + j];
        o->residual = fmax(o->residual, fabs(sum - 1));
    }
    sx_free(attn);
    return status;
}

/* Every key but the first forbidden to one query: it attends to the first alone. */
static enum sx_status check_knockout(struct check *c, struct outcome *o, struct sx_error *err)
{
    const uint32_t query = (uint32_t)c->n - 1, first = 0;
    uint32_t *others = sx_xcalloc(c->n, sizeof *others);
    const size_t cells = (size_t)(c->info->n_layers * c->info->n_heads);
    float *weight = sx_xcalloc(cells, sizeof *weight);
    float *output = sx_xcalloc(c->n * c->width, sizeof *output);
    for (uint32_t i = 1; i < c->n; i++)
        others[i - 1] = i;
    const struct sx_intervention forbid = {.point = SX_POINT_SCORES,
                                           .tokens = {&query, 1},
                                           .keys = {others, c->n - 1},
                                           .band = -1,
                                           .action = SX_DO_FORBID};
    const struct sx_capture attn = {
        .point = SX_POINT_ATTN, .tokens = {&query, 1}, .keys = {&first, 1}, .out = weight};
    const struct sx_hooks hooks = {
        .captures = &attn, .n_captures = 1, .interventions = &forbid, .n_interventions = 1};
    const enum sx_status status = run_hooked(c, &hooks, output, err);
    *o = (struct outcome){0, ROUNDING};
    for (size_t i = 0; i < cells; i++)
        o->residual = fmax(o->residual, fabs((double)weight[i] - 1));
    sx_free(others);
    sx_free(weight);
    sx_free(output);
    return status;
}

static enum sx_status check_softmax(struct check *c, struct outcome *o, struct sx_error *err)
{
    float *attn = NULL, *scores = NULL;
    double *p = sx_xcalloc(c->n + 1, sizeof *p);
    enum sx_status status = capture(c, SX_POINT_ATTN, &attn, err);
    if (status == SX_OK)
        status = capture(c, SX_POINT_SCORES, &scores, err);
    const size_t rows = (size_t)(c->info->n_layers * c->info->n_heads) * c->n;
    *o = (struct outcome){0, ROUNDING};
    for (size_t r = 0; r < rows && status == SX_OK; r++) {
        sx_softmax_row(scores + r * c->n, 0, c->n, p, NULL);
        for (size_t j = 0; j < c->n; j++)
            o->residual = fmax(o->residual, fabs(p[j] - (double)attn[r * c->n + j]));
    }
    sx_free(attn);
    sx_free(scores);
    sx_free(p);
    return status;
}

/* Σ_h head_out + bias = attn_out. */
static enum sx_status check_heads(struct check *c, struct outcome *o, struct sx_error *err)
{
    float *heads = NULL, *sum = NULL;
    enum sx_status status = capture(c, SX_POINT_HEAD_OUT, &heads, err);
    if (status == SX_OK)
        status = capture(c, SX_POINT_ATTN_OUT, &sum, err);
    const size_t d = (size_t)c->info->d_model, h = (size_t)c->info->n_heads;
    const size_t rows = (size_t)c->info->n_layers * c->n;
    *o = (struct outcome){0, ROUNDING};
    for (size_t r = 0; r < rows && status == SX_OK; r++) {
        const float *bias = sx_model_weights(c->model)->layers[r / c->n].attn_out.bias;
        for (size_t i = 0; i < d; i++) {
            double total = bias ? (double)bias[i] : 0;
            for (size_t k = 0; k < h; k++)
                total += (double)heads[(r * h + k) * d + i];
            o->residual = fmax(o->residual, fabs(total - (double)sum[r * d + i]));
        }
    }
    if (status == SX_OK)
        o->tolerance *= fmax(1, largest(sum, rows * d));
    sx_free(heads);
    sx_free(sum);
    return status;
}

/* resid.post = resid.pre + attn_out + mlp_out, and the next layer begins with it. */
static enum sx_status check_stream(struct check *c, struct outcome *o, struct sx_error *err)
{
    static const enum sx_point points[] = {SX_POINT_RESID_PRE, SX_POINT_ATTN_OUT, SX_POINT_MLP_OUT,
                                           SX_POINT_RESID_POST};
    float *x[4] = {NULL};
    enum sx_status status = SX_OK;
    for (int i = 0; i < 4 && status == SX_OK; i++)
        status = capture(c, points[i], &x[i], err);
    const size_t layer = c->n * (size_t)c->info->d_model;
    const size_t total = (size_t)c->info->n_layers * layer;
    *o = (struct outcome){0, ROUNDING};
    for (size_t i = 0; i < total && status == SX_OK; i++) {
        const double post = (double)x[0][i] + (double)x[1][i] + (double)x[2][i];
        o->residual = fmax(o->residual, fabs(post - (double)x[3][i]));
        if (i >= layer)
            o->residual = fmax(o->residual, fabs((double)x[0][i] - (double)x[3][i - layer]));
    }
    if (status == SX_OK)
        o->tolerance *= fmax(1, largest(x[3], total));
    for (int i = 0; i < 4; i++)
        sx_free(x[i]);
    return status;
}

/* The head on resid.post of the last layer gives the logits. */
static enum sx_status check_lens(struct check *c, struct outcome *o, struct sx_error *err)
{
    float *resid = NULL;
    float *output = sx_xcalloc(c->n * c->width, sizeof *output);
    enum sx_status status = capture(c, SX_POINT_RESID_POST, &resid, err);
    const size_t last = (size_t)(c->info->n_layers - 1) * c->n * (size_t)c->info->d_model;
    if (status == SX_OK)
        status = sx_model_unembed(c->runner, resid + last, c->n, output, err);
    *o = against_output(c, output, ROUNDING);
    sx_free(resid);
    sx_free(output);
    return status;
}

/* Rotation leaves the length of every head's query as it is. */
static enum sx_status check_rotation(struct check *c, struct outcome *o, struct sx_error *err)
{
    float *q = NULL, *rotated = NULL;
    enum sx_status status = capture(c, SX_POINT_Q, &q, err);
    if (status == SX_OK)
        status = capture(c, SX_POINT_Q_ROT, &rotated, err);
    const size_t d = (size_t)c->info->d_head;
    const size_t rows = (size_t)(c->info->n_layers * c->info->n_heads) * c->n;
    *o = (struct outcome){0, ROUNDING};
    for (size_t r = 0; r < rows && status == SX_OK; r++) {
        double before = 0, after = 0;
        for (size_t i = 0; i < d; i++) {
            before += (double)q[r * d + i] * (double)q[r * d + i];
            after += (double)rotated[r * d + i] * (double)rotated[r * d + i];
        }
        o->residual = fmax(o->residual, fabs(sqrt(after) - sqrt(before)) / fmax(1, sqrt(before)));
    }
    sx_free(q);
    sx_free(rotated);
    return status;
}

/* --- properties of one family ----------------------------------------------------------------- */

/* A mask enters as zero, so that its query in layer 0 is the same wherever it stands. */
static enum sx_status check_mask_query(struct check *c, struct outcome *o, struct sx_error *err)
{
    const size_t width = (size_t)(c->info->n_heads * c->info->d_head);
    const uint32_t layer = 0, tokens[2] = {1, (uint32_t)c->n / 2};
    int32_t *ids = sx_xcalloc(c->n, sizeof *ids);
    float *output = sx_xcalloc(c->n * c->width, sizeof *output);
    float *q = sx_xcalloc(2 * width, sizeof *q);
    memcpy(ids, c->ids, c->n * sizeof *ids);
    ids[tokens[1]] = SX_ESM_MASK;
    const struct sx_capture one = {
        .point = SX_POINT_Q, .layers = {&layer, 1}, .tokens = {tokens, 2}, .out = q};
    const struct sx_hooks hooks = {.captures = &one, .n_captures = 1};
    const struct sx_sequence sequence = sequence_of(c, ids, c->n);
    const enum sx_status status = run_sequence(c, &sequence, &hooks, false, output, err);
    *o = (struct outcome){difference(q, q + width, width), ROUNDING * fmax(1, largest(q, width))};
    sx_free(ids);
    sx_free(output);
    sx_free(q);
    return status;
}

/* Rows of the embedding times 0.88 / (1 - masks/tokens), masks zero. */
static enum sx_status check_dropout(struct check *c, struct outcome *o, struct sx_error *err)
{
    const size_t d = (size_t)c->info->d_model;
    const struct sx_weight *embed = &sx_model_weights(c->model)->embed;
    const float *table = sx_weight_f32(embed);
    const double factor = 0.88 / (1 - 1 / (double)c->n);
    float *resid = NULL;
    if (!table)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for the embedding");
    const enum sx_status status = capture(c, SX_POINT_RESID_PRE, &resid, err);
    *o = (struct outcome){0, ROUNDING};
    for (size_t t = 0; t < c->n && status == SX_OK; t++)
        for (size_t i = 0; i < d; i++) {
            const double row =
                c->ids[t] == SX_ESM_MASK ? 0 : factor * (double)table[(size_t)c->ids[t] * d + i];
            o->residual = fmax(o->residual, fabs(row - (double)resid[t * d + i]));
        }
    sx_free(resid);
    return status;
}

static enum sx_status check_padding(struct check *c, struct outcome *o, struct sx_error *err)
{
    enum { PADS = 5 };
    const size_t n = c->n + PADS;
    int32_t *ids = sx_xcalloc(n, sizeof *ids);
    float *output = sx_xcalloc(n * c->width, sizeof *output);
    memcpy(ids, c->ids, c->n * sizeof *ids);
    for (size_t i = c->n; i < n; i++)
        ids[i] = SX_ESM_PAD;
    const struct sx_sequence sequence = sequence_of(c, ids, n);
    const enum sx_status status = run_sequence(c, &sequence, NULL, false, output, err);
    *o = against_output(c, output, PASSES);
    sx_free(ids);
    sx_free(output);
    return status;
}

/* A token at a time behind a cache, as generation works. */
static enum sx_status check_cache(struct check *c, struct outcome *o, struct sx_error *err)
{
    const size_t prompt = c->n / 2;
    struct sx_cache *cache = sx_cache_new(c->model, c->n);
    float *output = sx_xcalloc(c->n * c->width, sizeof *output);
    enum sx_status status = cache ? SX_OK : sx_fail(err, SX_ERR_NOMEM, "no memory for a cache");
    for (size_t at = 0; at < c->n && status == SX_OK;) {
        const size_t n = at == 0 ? prompt : 1;
        struct sx_sequence sequence = sequence_of(c, c->ids + at, n);
        sequence.cache = cache;
        status = run_sequence(c, &sequence, NULL, false, output + at * c->width, err);
        at += n;
    }
    *o = against_output(c, output, PASSES);
    sx_cache_free(cache);
    sx_free(output);
    return status;
}

static enum sx_status check_causal(struct check *c, struct outcome *o, struct sx_error *err)
{
    int32_t *ids = sx_xcalloc(c->n, sizeof *ids);
    float *output = sx_xcalloc(c->n * c->width, sizeof *output);
    memcpy(ids, c->ids, c->n * sizeof *ids);
    ids[c->n - 1] = (int32_t)(((uint64_t)ids[c->n - 1] + 1) % c->info->vocab);
    const struct sx_sequence sequence = sequence_of(c, ids, c->n);
    const enum sx_status status = run_sequence(c, &sequence, NULL, false, output, err);
    *o = (struct outcome){difference(output, c->output, (c->n - 1) * c->width), EXACT};
    sx_free(ids);
    sx_free(output);
    return status;
}

/* --- outputs known from upstream -------------------------------------------------------------- */

/* Hugging Face's integration tests of facebook/esm2_t6_8M_UR50D (Apache-2.0), to four decimals. */
static enum sx_status check_golden_logits(struct check *c, struct outcome *o, struct sx_error *err)
{
    static const int32_t ids[] = {0, 1, 2, 3, 4, 5};
    static const float expected[3][3] = {{8.9215F, -10.5898F, -6.4671F},
                                         {-6.3967F, -13.9114F, -1.1212F},
                                         {-7.7812F, -13.9516F, -3.7406F}};
    float output[6 * SX_ESM_VOCAB];
    const struct sx_sequence sequence = sequence_of(c, ids, 6);
    SX_TRY(run_sequence(c, &sequence, NULL, true, output, err));
    *o = (struct outcome){0, GOLDEN};
    for (size_t t = 0; t < 3; t++)
        o->residual = fmax(o->residual, difference(output + t * SX_ESM_VOCAB, expected[t], 3));
    return SX_OK;
}

static enum sx_status check_golden_hidden(struct check *c, struct outcome *o, struct sx_error *err)
{
    static const int32_t ids[] = {0, 6, 4, 13, 5, 4, 16, 12, 11, 7, 2};
    static const float expected[3][3] = {
        {0.1444F, 0.5413F, 0.3248F}, {0.3034F, 0.0053F, 0.3108F}, {0.3228F, -0.2499F, 0.3415F}};
    enum { T = sizeof ids / sizeof *ids, D = 320 };
    float output[T * SX_ESM_VOCAB];
    float hidden[T * D];
    const struct sx_capture one = {.point = SX_POINT_FINAL_LN, .out = hidden};
    const struct sx_hooks hooks = {.captures = &one, .n_captures = 1};
    const struct sx_sequence sequence = sequence_of(c, ids, T);
    SX_TRY(run_sequence(c, &sequence, &hooks, false, output, err));
    *o = (struct outcome){0, GOLDEN};
    for (size_t t = 0; t < 3; t++)
        o->residual = fmax(o->residual, difference(hidden + t * D, expected[t], 3));
    return SX_OK;
}

/* --- which checks ----------------------------------------------------------------------------- */

enum needs { ANY = 0, HEAD = 1, ESM2 = 2, NEOX = 4, DROPOUT = 8, KNOWN = 16 };

static const struct {
    const char *name;
    unsigned needs;
    enum sx_status (*run)(struct check *c, struct outcome *o, struct sx_error *err);
} checks[] = {
    {"known logits of esm2_t6_8M_UR50D", KNOWN | HEAD, check_golden_logits},
    {"known hidden states of esm2_t6_8M_UR50D", KNOWN | HEAD, check_golden_hidden},
    {"all positions moved by 37", ANY, check_shift},
    {"resid.pre patched with itself", ANY, check_patch},
    {"restart from a middle layer", ANY, check_restart},
    {"in a batch as alone", ANY, check_batch},
    {"attention rows sum to 1", ANY, check_rows_sum},
    {"attention is the softmax of the scores", ANY, check_softmax},
    {"all keys but one forbidden", ANY, check_knockout},
    {"rotation keeps lengths", ANY, check_rotation},
    {"heads and bias sum to attn_out", ANY, check_heads},
    {"components sum to the residual stream", ANY, check_stream},
    {"lens after the last layer is the output", HEAD, check_lens},
    {"embedding and token dropout", ESM2 | DROPOUT, check_dropout},
    {"query of a mask in layer 0 is constant", ESM2 | DROPOUT, check_mask_query},
    {"padded as without pads", ESM2, check_padding},
    {"a token at a time as at once", NEOX, check_cache},
    {"later tokens change nothing before", NEOX, check_causal},
};

/* The published checkpoint is known by its shape and its name: its weights are not at hand to be
 * fingerprinted. */
static bool is_known(const struct sx_model_info *info)
{
    return info->family == SX_MODEL_ESM2 && info->n_layers == 6 && info->d_model == 320 &&
           info->n_heads == 20 && strstr(info->name, "esm2_t6_8M") != NULL;
}

static bool applies(const struct sx_model_info *info, unsigned needs)
{
    return (!(needs & HEAD) || info->has_lm_head) &&
           (!(needs & ESM2) || info->family == SX_MODEL_ESM2) &&
           (!(needs & NEOX) || info->family == SX_MODEL_GPT_NEOX) &&
           (!(needs & DROPOUT) || info->token_dropout) && (!(needs & KNOWN) || is_known(info));
}

/* The B chain of human insulin with its first residue masked; for GPT-NeoX, tokens at random. */
static void make_input(struct check *c)
{
    static const int32_t insulin[] = {0,  32, 7, 17, 16, 21, 4,  23, 6,  8,  21, 4,  7,  9,  5,  4,
                                      19, 4,  7, 23, 6,  9,  10, 6,  18, 18, 19, 11, 14, 15, 11, 2};
    c->n = sizeof insulin / sizeof *insulin;
    c->ids = sx_xcalloc(c->n, sizeof *c->ids);
    struct sx_rng rng = sx_rng_make(1, 0);
    for (size_t i = 0; i < c->n; i++)
        c->ids[i] = c->info->family == SX_MODEL_ESM2 ? insulin[i]
                                                     : (int32_t)sx_rng_below(&rng, c->info->vocab);
}

static enum sx_status run_checks(struct check *c, struct sx_value *rows, bool *ok,
                                 struct sx_error *err)
{
    const size_t n = sizeof checks / sizeof *checks;
    *ok = true;
    for (size_t i = 0; i < n; i++) {
        struct outcome outcome = {0};
        SX_TRY(sx_task_step(&c->job->task, i, n));
        if (!applies(c->info, checks[i].needs))
            continue;
        SX_TRY(checks[i].run(c, &outcome, err));
        const bool good = outcome.residual <= outcome.tolerance;
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_document_text(row, "name", checks[i].name);
        sx_document_real(row, "residual", outcome.residual, "not a number");
        sx_document_real(row, "tolerance", outcome.tolerance, "not a number");
        sx_value_set(row, "ok", sx_value_bool(good));
        *ok &= good;
    }
    return SX_OK;
}

static enum sx_status check_model(struct check *c, struct sx_value *rows, bool *ok,
                                  struct sx_error *err)
{
    SX_TRY(sx_model_use(c->job->args, &c->model, &c->runner, err));
    c->info = sx_model_info(c->model);
    c->width = (size_t)(c->info->has_lm_head ? c->info->vocab : c->info->d_model);
    make_input(c);
    c->output = sx_xcalloc(c->n * c->width, sizeof *c->output);
    SX_TRY(run_hooked(c, NULL, c->output, err));
    c->scale = largest(c->output, c->n * c->width);
    return run_checks(c, rows, ok, err);
}

SX_RUN(selfcheck)
{
    struct check check = {.job = job};
    struct sx_value *rows = sx_value_list();
    bool ok = false;
    enum sx_status status = check_model(&check, rows, &ok, err);
    if (status == SX_OK) {
        job->document = sx_document_new();
        sx_document_text(job->document, "model", check.info->name);
        sx_document_text(job->document, "family", sx_model_family_name(check.info->family));
        sx_value_set(job->document, "known_checkpoint", sx_value_bool(is_known(check.info)));
        sx_value_set(job->document, "checks", sx_value_dup(rows));
        sx_value_set(job->document, "rows", rows);
        rows = NULL;
        sx_value_set(job->document, "ok", sx_value_bool(ok));
        if (!ok)
            status =
                sx_fail(err, SX_ERR_NUMERIC, "selfcheck: %s: a check failed", check.info->path);
    }
    sx_value_free(rows);
    sx_free(check.ids);
    sx_free(check.output);
    sx_runner_free(check.runner);
    sx_model_unref(check.model);
    return status;
}

SX_PRINT(selfcheck)
{
    const struct sx_value *rows = sx_value_get(document, "rows");
    sx_str_printf(out, "%-42s  residual   tolerance\n", "");
    for (size_t i = 0; i < sx_value_count(rows); i++) {
        const struct sx_value *row = sx_value_item(rows, i);
        sx_str_printf(out, "%-42s  %-9.3g  %-9.3g  %s\n",
                      sx_value_string_or(sx_value_get(row, "name"), ""),
                      sx_value_real_or(sx_value_get(row, "residual"), (double)NAN),
                      sx_value_real_or(sx_value_get(row, "tolerance"), (double)NAN),
                      sx_value_bool_or(sx_value_get(row, "ok"), false) ? "ok" : "FAILED");
    }
    if (!sx_value_bool_or(sx_value_get(document, "known_checkpoint"), false))
        sx_str_append(out, "no outputs are known for this checkpoint (those of "
                           "esm2_t6_8M_UR50D are)\n");
}
