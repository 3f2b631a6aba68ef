/* How a step stays close to the time of its five matrix products: the gang splits the batch for
 * everything up to dZ and the latents for everything after, so that one barrier separates the two
 * halves. The weight gradient of a block of latents is consumed by Adam while it is still in
 * cache, and never written out as a whole. */
#include "sextant/sae/train_step.h"

#include <math.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/core/blas.h"
#include "sextant/core/kernels.h"

/* Bytes of a block of the weight gradient: enough latents for the full rate of the products, few
 * enough to be in cache still when Adam reads them. */
enum { BLOCK_BYTES = 1280 * 1024 };

/* Streams of the seed's generator. */
enum { STREAM_W_ENC = 1, STREAM_W_DEC = 2 };

struct member_sums {
    double sq_error, z_sum;
    uint64_t active;
    char pad[64 - 2 * sizeof(double) - sizeof(uint64_t)];
};

struct sx_train_workspace {
    uint64_t D, F, max_batch;
    struct sx_gang *gang; /* borrowed */
    int blas_threads;     /* to be restored */
    size_t block;         /* latents in a block of the weight gradient */
    float *memory;
    float *xc;      /* [B,D] x - b_dec */
    float *z;       /* [B,F] */
    float *g;       /* [B,D] dL/dx̂ */
    float *dz;      /* [B,F] */
    float *grad;    /* [members][block,D] */
    float *peak;    /* [members][F] largest z in the member's rows */
    float *sum_g;   /* [members][D] column sums of g over the member's rows */
    float *sum_dz;  /* [F] column sums of dz */
    float *through; /* [members][D] Σ_j sum_dz[j] W_enc[j] over the member's latents */
    struct member_sums sums[SX_GANG_MAX];
};

struct step {
    struct sx_train_workspace *ws;
    const struct sx_train_rules *rules;
    struct sx_train_state *state;
    const float *x;  /* [n,D] */
    const float *xc; /* [n,D] x - b_dec, or x itself */
    size_t n;
    struct sx_adam adam;               /* without penalty */
    struct sx_adam adam_enc, adam_dec; /* with it */
};

/* --- state -------------------------------------------------------------------------------------
 */

static float *take(float **next, size_t n)
{
    float *p = *next;
    *next += (n + 15) / 16 * 16; /* 64-byte alignment */
    return p;
}

static struct sx_train_param take_param(float **next, size_t n)
{
    struct sx_train_param p;
    p.w = take(next, n);
    p.m = take(next, n);
    p.v = take(next, n);
    return p;
}

static size_t padded(size_t n)
{
    return (n + 15) / 16 * 16;
}

enum sx_status sx_train_state_alloc(uint64_t D, uint64_t F, struct sx_train_state *state,
                                    struct sx_error *err)
{
    SX_ASSERT(D > 0 && F > 0);
    size_t cells;
    if (!sx_mul_size(D, F, &cells) || cells > SIZE_MAX / 64)
        return sx_fail(err, SX_ERR_NOMEM, "an SAE of %llu x %llu does not fit in memory",
                       (unsigned long long)F, (unsigned long long)D);
    size_t floats = 6 * padded(cells) + 3 * padded(F) + 3 * padded(D) + padded(F) + 4 * padded(F);
    float *next = sx_calloc_big(floats, sizeof *next);
    if (!next)
        return sx_fail(err, SX_ERR_NOMEM, "out of memory for the training state of one seed");
    *state = (struct sx_train_state){.D = D, .F = F, .owned = next};
    state->W_enc = take_param(&next, cells);
    state->W_dec = take_param(&next, cells);
    state->b_enc = take_param(&next, F);
    state->b_dec = take_param(&next, D);
    state->quiet = (uint32_t *)(void *)take(&next, F);
    state->sq_enc = (double *)(void *)take(&next, 2 * F);
    state->sq_dec = (double *)(void *)take(&next, 2 * F);
    return SX_OK;
}

void sx_train_state_release(struct sx_train_state *state)
{
    sx_free(state->owned);
    *state = (struct sx_train_state){0};
}

static void fill_uniform(float *w, size_t n, double bound, uint64_t seed, uint64_t stream)
{
    struct sx_rng rng = sx_rng_make(seed, stream);
    for (size_t i = 0; i < n; i++)
        w[i] = (float)(bound * (2 * sx_rng_uniform(&rng) - 1));
}

static void measure_rows(const float *w, size_t F, size_t D, double *sq)
{
    for (size_t j = 0; j < F; j++)
        sq[j] = sx_sum_sq(w + j * D, D);
}

enum sx_status sx_train_state_new(uint64_t D, uint64_t F, const struct sx_train_init *init,
                                  struct sx_train_state *state, struct sx_error *err)
{
    SX_TRY(sx_train_state_alloc(D, F, state, err));
    size_t cells = D * F;
    fill_uniform(state->W_dec.w, cells, sqrt(6.0 / (double)F), init->seed, STREAM_W_DEC);
    measure_rows(state->W_dec.w, F, D, state->sq_dec);
    if (init->unit_norm)
        for (size_t j = 0; j < F; j++)
            state->sq_dec[j] = sx_unit_row(state->W_dec.w + j * D, D, state->sq_dec[j]);
    if (init->tied)
        memcpy(state->W_enc.w, state->W_dec.w, cells * sizeof(float));
    else
        fill_uniform(state->W_enc.w, cells, sqrt(6.0 / (double)D), init->seed, STREAM_W_ENC);
    measure_rows(state->W_enc.w, F, D, state->sq_enc);
    if (init->b_dec)
        memcpy(state->b_dec.w, init->b_dec, D * sizeof(float));
    return SX_OK;
}

void sx_geometric_median(const float *x, uint64_t n, uint64_t D, float *out)
{
    const double tiny = 1e-8, enough = 1e-5;
    double *y = sx_xcalloc(D, sizeof *y), *next = sx_xcalloc(D, sizeof *next);
    for (uint64_t r = 0; r < n; r++)
        for (uint64_t i = 0; i < D; i++)
            y[i] += (double)x[r * D + i] / (double)n;
    for (int round = 0; round < 100; round++) {
        double total = 0, moved = 0;
        memset(next, 0, D * sizeof *next);
        for (uint64_t r = 0; r < n; r++) {
            const float *row = x + r * D;
            double sq = 0;
            for (uint64_t i = 0; i < D; i++)
                sq += ((double)row[i] - y[i]) * ((double)row[i] - y[i]);
            double weight = 1 / fmax(sqrt(sq), tiny);
            total += weight;
            for (uint64_t i = 0; i < D; i++)
                next[i] += weight * (double)row[i];
        }
        for (uint64_t i = 0; i < D; i++) {
            next[i] /= total;
            moved += (next[i] - y[i]) * (next[i] - y[i]);
        }
        /* The paper's code stops before it takes the last centre over. */
        if (sqrt(moved) < enough)
            break;
        memcpy(y, next, D * sizeof *y);
    }
    for (uint64_t i = 0; i < D; i++)
        out[i] = (float)y[i];
    sx_free(y);
    sx_free(next);
}

/* --- workspace ---------------------------------------------------------------------------------
 */

enum sx_status sx_train_workspace_new(uint64_t D, uint64_t F, uint64_t max_batch,
                                      struct sx_gang *gang, struct sx_train_workspace **out,
                                      struct sx_error *err)
{
    size_t members = (size_t)sx_gang_size(gang), B = max_batch;
    size_t block = BLOCK_BYTES / sizeof(float) / D;
    block = block < 16 ? 16 : block > F ? F : block;
    struct sx_train_workspace *ws = sx_xcalloc(1, sizeof *ws);
    size_t floats = 2 * padded(B * D) + 2 * padded(B * F) + padded(F) +
                    members * (padded(block * D) + padded(F) + 2 * padded(D));
    *ws = (struct sx_train_workspace){.D = D,
                                      .F = F,
                                      .max_batch = max_batch,
                                      .gang = gang,
                                      .block = block,
                                      .memory = sx_calloc_big(floats, sizeof(float))};
    if (!ws->memory) {
        sx_free(ws);
        return sx_fail(err, SX_ERR_NOMEM, "out of memory for batches of %zu rows", B);
    }
    float *next = ws->memory;
    ws->xc = take(&next, B * D);
    ws->z = take(&next, B * F);
    ws->g = take(&next, B * D);
    ws->dz = take(&next, B * F);
    ws->sum_dz = take(&next, F);
    ws->grad = take(&next, members * padded(block * D));
    ws->peak = take(&next, members * padded(F));
    ws->sum_g = take(&next, members * padded(D));
    ws->through = take(&next, members * padded(D));
    ws->blas_threads = sx_blas_threads();
    sx_blas_set_threads(1);
    *out = ws;
    return SX_OK;
}

void sx_train_workspace_free(struct sx_train_workspace *ws)
{
    if (!ws)
        return;
    sx_blas_set_threads(ws->blas_threads);
    sx_free(ws->memory);
    sx_free(ws);
}

/* --- the step ----------------------------------------------------------------------------------
 */

/* Rows [b0,b1): z, the loss, g = dL/dx̂ and dz = dL/d(preactivation). */
static void forward_backward(struct step *s, int member, size_t b0, size_t b1)
{
    struct sx_train_workspace *ws = s->ws;
    const struct sx_train_state *state = s->state;
    size_t D = ws->D, F = ws->F, rows = b1 - b0;
    double cells = (double)s->n * (double)D, codes = (double)s->n * (double)F;
    float *peak = ws->peak + (size_t)member * padded(F);
    float *sum_g = ws->sum_g + (size_t)member * padded(D);
    float *z = ws->z + b0 * F, *g = ws->g + b0 * D, *dz = ws->dz + b0 * F;
    const float *xc = s->xc + b0 * D;
    struct member_sums sums = {0};

    memset(peak, 0, F * sizeof *peak);
    memset(sum_g, 0, D * sizeof *sum_g);
    if (s->xc != s->x)
        sx_subtract_row(ws->xc + b0 * D, s->x + b0 * D, state->b_dec.w, rows, D);
    sx_gemm(false, true, rows, F, D, 1, xc, D, state->W_enc.w, D, 0, z, F);
    sx_relu_rows(z, state->b_enc.w, rows, F, peak, &sums.z_sum, &sums.active);
    /* x̂ - x = z W_dec - (x - b_dec): the bias cancels. */
    sx_gemm(false, false, rows, D, F, 1, z, F, state->W_dec.w, D, 0, g, D);
    sx_residual_rows(g, xc, rows, D, (float)(2 / cells), s->rules->b_dec ? sum_g : NULL,
                     &sums.sq_error);
    sx_gemm(false, true, rows, F, D, 1, g, D, state->W_dec.w, D, 0, dz, F);
    sx_relu_backward(dz, z, rows * F, (float)(s->rules->l1_activation / codes));
    ws->sums[member] = sums;
}

/* The gradient without its part along the decoder vector, as dictionary_learning removes it. */
static void project(const struct sx_adam *adam, float *g, const float *w, size_t D, double sq)
{
    sx_penalty_gradient(g, w, D, adam->l2, adam->l1);
    double norm = sqrt(sq) + 1e-6;
    double along = sx_dot_lanes(g, w, D) / (norm * norm);
    sx_axpy(D, (float)-along, w, g);
}

static void update_decoder(struct step *s, float *grad_block, size_t f0, size_t f1)
{
    size_t D = s->ws->D;
    struct sx_train_param *p = &s->state->W_dec;
    bool unit = s->rules->constraint != SX_CONSTRAINT_NONE;
    for (size_t j = f0; j < f1; j++) {
        float *g = grad_block + (j - f0) * D;
        float *w = p->w + j * D;
        const struct sx_adam *adam = &s->adam_dec;
        if (s->rules->constraint == SX_CONSTRAINT_RENORM_PROJECT) {
            project(adam, g, w, D, s->state->sq_dec[j]);
            adam = &s->adam;
        }
        double sq = sx_adam_update(adam, w, p->m + j * D, p->v + j * D, g, D);
        s->state->sq_dec[j] = unit ? sx_unit_row(w, D, sq) : sq;
    }
}

static void update_encoder(struct step *s, const float *grad_block, size_t f0, size_t f1,
                           float *through)
{
    size_t D = s->ws->D;
    struct sx_train_param *p = &s->state->W_enc;
    for (size_t j = f0; j < f1; j++) {
        float *w = p->w + j * D;
        if (s->rules->b_dec)
            sx_axpy(D, s->ws->sum_dz[j], w, through);
        s->state->sq_enc[j] = sx_adam_update(&s->adam_enc, w, p->m + j * D, p->v + j * D,
                                             grad_block + (j - f0) * D, D);
    }
}

static void note_fired(struct step *s, size_t f0, size_t f1)
{
    int members = sx_gang_size(s->ws->gang);
    for (size_t j = f0; j < f1; j++) {
        bool fired = false;
        for (int t = 0; t < members; t++)
            fired = fired || s->ws->peak[(size_t)t * padded(s->ws->F) + j] > 0;
        uint32_t quiet = s->state->quiet[j];
        s->state->quiet[j] = fired ? 0 : quiet < UINT32_MAX ? quiet + 1 : quiet;
    }
}

/* Latents [f0,f1): weight gradients and their update, block by block. */
static void update_latents(struct step *s, int member, size_t f0, size_t f1)
{
    struct sx_train_workspace *ws = s->ws;
    struct sx_train_state *state = s->state;
    size_t D = ws->D, F = ws->F, n = s->n;
    float *grad = ws->grad + (size_t)member * padded(ws->block * D);
    float *through = ws->through + (size_t)member * padded(D);
    bool biases = s->rules->b_enc || s->rules->b_dec;

    memset(through, 0, D * sizeof *through);
    /* Equal blocks: a short last one would run its products at a lower rate. */
    size_t blocks = (f1 - f0 + ws->block - 1) / ws->block;
    for (size_t i = 0; i < blocks; i++) {
        size_t a = f0 + (f1 - f0) * i / blocks, b = f0 + (f1 - f0) * (i + 1) / blocks;
        sx_gemm(true, false, b - a, D, n, 1, ws->z + a, F, ws->g, D, 0, grad, D);
        update_decoder(s, grad, a, b);
        sx_gemm(true, false, b - a, D, n, 1, ws->dz + a, F, s->xc, D, 0, grad, D);
        if (biases)
            sx_column_sums(ws->dz + a, n, b - a, F, ws->sum_dz + a);
        update_encoder(s, grad, a, b, through);
    }
    if (s->rules->b_enc)
        sx_adam_update(&s->adam, state->b_enc.w + f0, state->b_enc.m + f0, state->b_enc.v + f0,
                       ws->sum_dz + f0, f1 - f0);
    note_fired(s, f0, f1);
}

/* db_dec = Σ_B g - Σ_B dz W_enc: the bias enters twice. */
static void update_b_dec(struct step *s)
{
    struct sx_train_workspace *ws = s->ws;
    size_t D = ws->D;
    float *total = ws->sum_g;
    for (int t = 0; t < sx_gang_size(ws->gang); t++) {
        if (t > 0)
            sx_axpy(D, 1, ws->sum_g + (size_t)t * padded(D), total);
        sx_axpy(D, -1, ws->through + (size_t)t * padded(D), total);
    }
    struct sx_train_param *p = &s->state->b_dec;
    sx_adam_update(&s->adam, p->w, p->m, p->v, total, D);
}

static void step_member(void *arg, struct sx_gang *gang, int member)
{
    struct step *s = arg;
    bool denormals = sx_flush_denormals(true);
    size_t first, last;
    sx_gang_share(gang, member, s->n, &first, &last);
    forward_backward(s, member, first, last);
    sx_gang_barrier(gang);
    sx_gang_share(gang, member, s->ws->F, &first, &last);
    update_latents(s, member, first, last);
    sx_gang_barrier(gang);
    if (member == 0 && s->rules->b_dec)
        update_b_dec(s);
    sx_flush_denormals(denormals);
}

static double total(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* Adam with the gradient of R(W) folded in. */
static struct sx_adam with_penalty(struct sx_adam adam, enum sx_penalty penalty, double lambda,
                                   const double *sq, size_t F, size_t D)
{
    double norm;
    switch (penalty) {
    case SX_PENALTY_NONE:
        break;
    case SX_PENALTY_L1:
        adam.l1 = (float)(lambda / ((double)F * (double)D));
        break;
    case SX_PENALTY_L2:
        adam.l2 = (float)(2 * lambda);
        break;
    case SX_PENALTY_L2_UNSQUARED:
        norm = sqrt(total(sq, F));
        adam.l2 = norm > 0 ? (float)(lambda / norm) : 0;
        break;
    }
    return adam;
}

void sx_train_step(struct sx_train_workspace *ws, const struct sx_train_rules *rules,
                   struct sx_train_state *state, const float *x, uint64_t n,
                   struct sx_train_loss *loss)
{
    SX_ASSERT(state->D == ws->D && state->F == ws->F && n > 0 && n <= ws->max_batch);
    struct step s = {
        .ws = ws, .rules = rules, .state = state, .x = x, .xc = rules->b_dec ? ws->xc : x, .n = n};
    s.adam = sx_adam_at(rules->lr, rules->beta1, rules->beta2, rules->eps, state->step + 1);
    s.adam_enc =
        with_penalty(s.adam, rules->penalty_enc, rules->lambda_enc, state->sq_enc, ws->F, ws->D);
    s.adam_dec =
        with_penalty(s.adam, rules->penalty_dec, rules->lambda_dec, state->sq_dec, ws->F, ws->D);
    sx_gang_run(ws->gang, step_member, &s);
    state->step++;

    struct member_sums all = {0};
    for (int t = 0; t < sx_gang_size(ws->gang); t++) {
        all.sq_error += ws->sums[t].sq_error;
        all.z_sum += ws->sums[t].z_sum;
        all.active += ws->sums[t].active;
    }
    *loss = (struct sx_train_loss){
        .mse = all.sq_error / ((double)n * (double)ws->D),
        .z_mean = all.z_sum / ((double)n * (double)ws->F),
        .l0 = (double)all.active / (double)n,
    };
}

static double penalty_of(enum sx_penalty penalty, double lambda, const float *w, const double *sq,
                         size_t F, size_t D)
{
    double sum = 0;
    switch (penalty) {
    case SX_PENALTY_NONE:
        return 0;
    case SX_PENALTY_L1:
        for (size_t j = 0; j < F; j++)
            sum += sx_sum_abs(w + j * D, D);
        return lambda * sum / ((double)F * (double)D);
    case SX_PENALTY_L2:
        return lambda * total(sq, F);
    case SX_PENALTY_L2_UNSQUARED:
        return lambda * sqrt(total(sq, F));
    }
    return 0;
}

double sx_train_penalty(const struct sx_train_rules *rules, const struct sx_train_state *state)
{
    return penalty_of(rules->penalty_enc, rules->lambda_enc, state->W_enc.w, state->sq_enc,
                      state->F, state->D) +
           penalty_of(rules->penalty_dec, rules->lambda_dec, state->W_dec.w, state->sq_dec,
                      state->F, state->D);
}
