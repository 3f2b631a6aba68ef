#include "sextant/sae/train_step.h"

#include <criterion/criterion.h>
#include <math.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/core/blas.h"

/* A plain twin in double precision, its gradient by central differences. */
enum { D = 5, F = 7, B = 6, CELLS = F * D, PARAMS = 2 * CELLS + F + D };

struct twin {
    double p[PARAMS]; /* W_enc, W_dec, b_enc, b_dec */
};
enum { AT_ENC = 0, AT_DEC = CELLS, AT_B_ENC = 2 * CELLS, AT_B_DEC = 2 * CELLS + F };

static double twin_penalty(enum sx_penalty penalty, double lambda, const double *w)
{
    double sum_abs = 0, sum_sq = 0;
    for (int i = 0; i < CELLS; i++) {
        sum_abs += fabs(w[i]);
        sum_sq += w[i] * w[i];
    }
    switch (penalty) {
    case SX_PENALTY_NONE:
        return 0;
    case SX_PENALTY_L1:
        return lambda * sum_abs / CELLS;
    case SX_PENALTY_L2:
        return lambda * sum_sq;
    case SX_PENALTY_L2_UNSQUARED:
        return lambda * sqrt(sum_sq);
    }
    return 0;
}

static double twin_loss(const struct sx_train_rules *r, const struct twin *t, const float *x,
                        double *mse_out, double *z_out, double *l0_out)
{
    double mse = 0, z_sum = 0, l0 = 0;
    for (int n = 0; n < B; n++) {
        double z[F], out[D];
        for (int j = 0; j < F; j++) {
            z[j] = r->b_enc ? t->p[AT_B_ENC + j] : 0;
            for (int i = 0; i < D; i++)
                z[j] += t->p[AT_ENC + j * D + i] *
                        ((double)x[n * D + i] - (r->b_dec ? t->p[AT_B_DEC + i] : 0));
            z[j] = z[j] > 0 ? z[j] : 0;
            z_sum += z[j];
            l0 += z[j] > 0;
        }
        for (int i = 0; i < D; i++) {
            out[i] = r->b_dec ? t->p[AT_B_DEC + i] : 0;
            for (int j = 0; j < F; j++)
                out[i] += z[j] * t->p[AT_DEC + j * D + i];
            mse += (out[i] - (double)x[n * D + i]) * (out[i] - (double)x[n * D + i]);
        }
    }
    *mse_out = mse / (B * D);
    *z_out = z_sum / (B * F);
    *l0_out = l0 / B;
    return *mse_out + r->l1_activation * *z_out +
           twin_penalty(r->penalty_enc, r->lambda_enc, t->p + AT_ENC) +
           twin_penalty(r->penalty_dec, r->lambda_dec, t->p + AT_DEC);
}

static void twin_gradient(const struct sx_train_rules *r, const struct twin *t, const float *x,
                          double *grad)
{
    const double h = 1e-5;
    double ignored[3];
    for (int i = 0; i < PARAMS; i++) {
        struct twin up = *t, down = *t;
        up.p[i] += h;
        down.p[i] -= h;
        grad[i] = (twin_loss(r, &up, x, ignored, ignored + 1, ignored + 2) -
                   twin_loss(r, &down, x, ignored, ignored + 1, ignored + 2)) /
                  (2 * h);
    }
}

static void twin_project(const struct twin *t, double *grad)
{
    for (int j = 0; j < F; j++) {
        const double *w = t->p + AT_DEC + j * D;
        double *g = grad + AT_DEC + j * D, norm = 0, dot = 0;
        for (int i = 0; i < D; i++) {
            norm += w[i] * w[i];
            dot += w[i] * g[i];
        }
        norm = sqrt(norm) + 1e-6;
        for (int i = 0; i < D; i++)
            g[i] -= dot / norm * (w[i] / norm);
    }
}

static void twin_renorm(struct twin *t)
{
    for (int j = 0; j < F; j++) {
        double *w = t->p + AT_DEC + j * D, norm = 0;
        for (int i = 0; i < D; i++)
            norm += w[i] * w[i];
        for (int i = 0; i < D; i++)
            w[i] /= sqrt(norm) + 1.1920929e-7;
    }
}

static void state_to(const struct sx_train_state *s, double *out, float *const *parts)
{
    (void)s;
    const int sizes[4] = {CELLS, CELLS, F, D};
    int n = 0;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < sizes[k]; i++)
            out[n++] = (double)parts[k][i];
}

static void weights_of(const struct sx_train_state *s, double *out)
{
    float *const parts[4] = {s->W_enc.w, s->W_dec.w, s->b_enc.w, s->b_dec.w};
    state_to(s, out, parts);
}

static void first_moments_of(const struct sx_train_state *s, double *out)
{
    float *const parts[4] = {s->W_enc.m, s->W_dec.m, s->b_enc.m, s->b_dec.m};
    state_to(s, out, parts);
}

static void fill(float *x, size_t n, uint64_t stream, double scale)
{
    struct sx_rng rng = sx_rng_make(11, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(scale * sx_rng_normal(&rng));
}

static void start(const struct sx_train_rules *rules, struct sx_train_state *state)
{
    float b_dec[D];
    fill(b_dec, D, 3, 0.2);
    struct sx_train_init init = {.seed = 4};
    init.b_dec = rules->b_dec ? b_dec : NULL;
    cr_assert_eq(sx_train_state_new(D, F, &init, state, NULL), SX_OK);
    if (rules->b_enc)
        fill(state->b_enc.w, F, 5, 0.2);
}

static struct sx_train_rules rules_number(int i)
{
    struct sx_train_rules r = {.lambda_enc = 0.03,
                               .lambda_dec = 0.02,
                               .l1_activation = 0.1,
                               .lr = 1e-2,
                               .beta1 = 0.9,
                               .beta2 = 0.999,
                               .eps = 1e-8};
    r.b_enc = i % 2;
    r.b_dec = i / 2 % 2;
    r.penalty_enc = (enum sx_penalty)(i / 4 % 4);
    r.penalty_dec = (enum sx_penalty)(i / 16 % 4);
    r.constraint = (enum sx_constraint)(SX_CONSTRAINT_NONE + i / 64 % 3);
    return r;
}
enum { COMBINATIONS = 192 };

/* After one step from zero moments, m = (1 - beta1) * gradient. */
Test(train_step, gradients_equal_central_differences_for_every_combination)
{
    for (int i = 0; i < COMBINATIONS; i++) {
        struct sx_train_rules rules = rules_number(i);
        struct sx_gang *gang = sx_gang_new(1 + i % 3);
        struct sx_train_workspace *ws;
        struct sx_train_state state;
        struct sx_train_loss loss;
        struct twin twin;
        float x[B * D];
        double want[PARAMS], got[PARAMS], mse, z_mean, l0;
        fill(x, B * D, 1, 1);
        start(&rules, &state);
        weights_of(&state, twin.p);
        cr_assert_eq(sx_train_workspace_new(D, F, B, gang, &ws, NULL), SX_OK);
        double penalty = sx_train_penalty(&rules, &state);
        sx_train_step(ws, &rules, &state, x, B, &loss);

        double total = twin_loss(&rules, &twin, x, &mse, &z_mean, &l0);
        cr_assert_float_eq(loss.mse, mse, 1e-6);
        cr_assert_float_eq(loss.z_mean, z_mean, 1e-6);
        cr_assert_float_eq(loss.l0, l0, 1e-9);
        cr_assert_float_eq(loss.mse + 0.1 * loss.z_mean + penalty, total, 1e-6);
        twin_gradient(&rules, &twin, x, want);
        if (rules.constraint == SX_CONSTRAINT_RENORM_PROJECT)
            twin_project(&twin, want);
        first_moments_of(&state, got);
        for (int k = 0; k < PARAMS; k++) {
            bool trained = k < AT_B_ENC || (k < AT_B_DEC ? rules.b_enc : rules.b_dec);
            cr_assert_float_eq(got[k] / 0.1, trained ? want[k] : 0, 2e-6,
                               "combination %d, parameter %d: %g, expected %g", i, k, got[k] / 0.1,
                               want[k]);
        }
        sx_train_state_release(&state);
        sx_train_workspace_free(ws);
        sx_gang_free(gang);
    }
}

struct adam_twin {
    double m[PARAMS], v[PARAMS];
};

static void twin_step(const struct sx_train_rules *r, struct twin *t, struct adam_twin *a,
                      const float *x, int step)
{
    double grad[PARAMS];
    twin_gradient(r, t, x, grad);
    if (r->constraint == SX_CONSTRAINT_RENORM_PROJECT)
        twin_project(t, grad);
    for (int k = 0; k < PARAMS; k++) {
        a->m[k] = r->beta1 * a->m[k] + (1 - r->beta1) * grad[k];
        a->v[k] = r->beta2 * a->v[k] + (1 - r->beta2) * grad[k] * grad[k];
        t->p[k] -= r->lr * (a->m[k] / (1 - pow(r->beta1, step))) /
                   (sqrt(a->v[k] / (1 - pow(r->beta2, step))) + r->eps);
    }
    if (r->constraint != SX_CONSTRAINT_NONE)
        twin_renorm(t);
}

/* Gradients by differences are good to 1e-10; eps 1e-4 keeps Adam from dividing noise by noise. */
Test(train_step, eight_steps_equal_the_twin)
{
    for (int i = 0; i < COMBINATIONS; i += 5) {
        struct sx_train_rules rules = rules_number(i);
        rules.eps = 1e-4;
        struct sx_gang *gang = sx_gang_new(2);
        struct sx_train_workspace *ws;
        struct sx_train_state state;
        struct sx_train_loss loss;
        struct twin twin;
        struct adam_twin adam = {{0}, {0}};
        start(&rules, &state);
        weights_of(&state, twin.p);
        cr_assert_eq(sx_train_workspace_new(D, F, B, gang, &ws, NULL), SX_OK);
        for (int step = 1; step <= 8; step++) {
            float x[B * D];
            double got[PARAMS];
            fill(x, B * D, (uint64_t)(20 + step), 1);
            sx_train_step(ws, &rules, &state, x, B, &loss);
            twin_step(&rules, &twin, &adam, x, step);
            weights_of(&state, got);
            for (int k = 0; k < PARAMS; k++)
                cr_assert_float_eq(got[k], twin.p[k], 3e-5,
                                   "combination %d, step %d, parameter %d: %g, expected %g", i,
                                   step, k, got[k], twin.p[k]);
        }
        sx_train_state_release(&state);
        sx_train_workspace_free(ws);
        sx_gang_free(gang);
    }
}

Test(train_step, renormalised_decoders_have_norm_one_and_quiet_counts_steps)
{
    struct sx_train_rules rules = rules_number(3);
    rules.constraint = SX_CONSTRAINT_RENORM;
    struct sx_gang *gang = sx_gang_new(2);
    struct sx_train_workspace *ws;
    struct sx_train_state state;
    struct sx_train_loss loss;
    float x[B * D];
    start(&rules, &state);
    state.b_enc.w[2] = -100; /* never fires */
    state.b_enc.w[3] = 100;  /* always does */
    cr_assert_eq(sx_train_workspace_new(D, F, B, gang, &ws, NULL), SX_OK);
    for (int step = 0; step < 5; step++) {
        fill(x, B * D, (uint64_t)step, 1);
        sx_train_step(ws, &rules, &state, x, B, &loss);
    }
    cr_assert_eq(state.step, 5);
    cr_assert_eq(state.quiet[2], 5);
    cr_assert_eq(state.quiet[3], 0);
    for (int j = 0; j < F; j++) {
        double sq = 0;
        for (int i = 0; i < D; i++)
            sq += (double)state.W_dec.w[j * D + i] * (double)state.W_dec.w[j * D + i];
        cr_assert_float_eq(sqrt(sq), 1, 1e-6);
        cr_assert_float_eq(state.sq_dec[j], sq, 1e-6);
    }
    sx_train_state_release(&state);
    sx_train_workspace_free(ws);
    sx_gang_free(gang);
}

Test(train_step, a_smaller_last_batch_equals_a_batch_of_that_size)
{
    struct sx_train_rules rules = rules_number(3);
    struct sx_gang *gang = sx_gang_new(2);
    float x[B * D];
    fill(x, B * D, 1, 1);
    struct sx_train_state states[2];
    struct sx_train_loss loss;
    for (int i = 0; i < 2; i++) {
        struct sx_train_workspace *ws;
        start(&rules, &states[i]);
        cr_assert_eq(sx_train_workspace_new(D, F, i ? B : 2, gang, &ws, NULL), SX_OK);
        sx_train_step(ws, &rules, &states[i], x, 2, &loss);
        sx_train_workspace_free(ws);
    }
    cr_assert_arr_eq(states[0].W_enc.w, states[1].W_enc.w, CELLS * sizeof(float));
    cr_assert_arr_eq(states[0].W_dec.w, states[1].W_dec.w, CELLS * sizeof(float));
    for (int i = 0; i < 2; i++)
        sx_train_state_release(&states[i]);
    sx_gang_free(gang);
}

Test(train_step, initial_weights)
{
    enum { BIG_F = 1568, BIG_D = 784 };
    struct sx_train_state tied, untied, other;
    struct sx_train_init init = {.seed = 1};
    cr_assert_eq(sx_train_state_new(BIG_D, BIG_F, &init, &untied, NULL), SX_OK);
    init.tied = init.unit_norm = true;
    cr_assert_eq(sx_train_state_new(BIG_D, BIG_F, &init, &tied, NULL), SX_OK);
    init.seed = 2;
    cr_assert_eq(sx_train_state_new(BIG_D, BIG_F, &init, &other, NULL), SX_OK);
    float top_enc = 0, top_dec = 0;
    double mean = 0;
    for (size_t i = 0; i < (size_t)BIG_F * BIG_D; i++) {
        top_enc = fmaxf(top_enc, fabsf(untied.W_enc.w[i]));
        top_dec = fmaxf(top_dec, fabsf(untied.W_dec.w[i]));
        mean += (double)untied.W_enc.w[i] / (BIG_F * BIG_D);
    }
    /* torch's bounds: sqrt(6 / fan_in), fan_in 784 and 1568. */
    cr_assert_float_eq(top_enc, 0.087482, 1e-5);
    cr_assert_leq(top_enc, 0.0874822F);
    cr_assert_float_eq(top_dec, 0.061859, 1e-5);
    cr_assert_leq(top_dec, 0.0618593F);
    cr_assert_lt(fabs(mean), 2e-4);
    cr_assert_arr_eq(tied.W_enc.w, tied.W_dec.w, sizeof(float) * BIG_F * BIG_D);
    double sq = 0;
    for (int i = 0; i < BIG_D; i++)
        sq += (double)tied.W_dec.w[i] * (double)tied.W_dec.w[i];
    cr_assert_float_eq(sq, 1, 1e-6);
    cr_assert_neq(tied.W_dec.w[0], other.W_dec.w[0]);
    sx_train_state_release(&tied);
    sx_train_state_release(&untied);
    sx_train_state_release(&other);
}

/* The median of Weiszfeld's iteration minimises the sum of distances. */
static double distances(const float *x, int n, const double *y)
{
    double sum = 0;
    for (int r = 0; r < n; r++) {
        double sq = 0;
        for (int i = 0; i < D; i++)
            sq += ((double)x[r * D + i] - y[i]) * ((double)x[r * D + i] - y[i]);
        sum += sqrt(sq);
    }
    return sum;
}

Test(train_step, geometric_median_minimises_the_sum_of_distances)
{
    enum { N = 40 };
    float x[N * D], median[D];
    fill(x, N * D, 9, 1);
    for (int i = 0; i < D; i++)
        x[i] = 1000; /* an outlier that would move the mean */
    sx_geometric_median(x, N, D, median);
    double at[D];
    for (int i = 0; i < D; i++)
        at[i] = (double)median[i];
    double best = distances(x, N, at);
    for (int i = 0; i < D; i++)
        for (int sign = -1; sign <= 1; sign += 2) {
            double moved[D];
            memcpy(moved, at, sizeof at);
            moved[i] += sign * 1e-2;
            cr_assert_gt(distances(x, N, moved), best);
        }
    cr_assert_lt(fabs(at[0]), 1);
}

Test(train_step, geometric_median_of_equal_points_is_the_point)
{
    const float x[6] = {1, 2, 1, 2, 1, 2};
    float median[2];
    sx_geometric_median(x, 3, 2, median);
    cr_assert_float_eq(median[0], 1, 1e-6);
    cr_assert_float_eq(median[1], 2, 1e-6);
}
