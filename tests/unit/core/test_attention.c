#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "../../../src/core/nn_kernels.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/core/nn.h"

#define EACH_SET for (size_t set = 0; set < sx_nn_count() && sx_nn_use(set); set++)

static float *filled(size_t n, uint64_t stream)
{
    struct sx_rng rng = sx_rng_make(9, stream);
    float *x = sx_xmalloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)sx_rng_normal(&rng);
    return x;
}

/* One head with its own arrays, and the same thing in double precision. */
struct trial {
    struct sx_attention_head head;
    float *q, *k, *v, *kt, *out, *pattern, *scratch;
    uint8_t *forbidden;
    double *want, *want_pattern;
};

enum { GAP = 3 }; /* elements between rows: addresses are no multiples of a vector */

static void start(struct trial *t, size_t n_q, size_t n_k, size_t d)
{
    size_t ld = d + GAP, ldk = (n_k + 15) / 16 * 16 + 16;
    *t = (struct trial){.q = filled(n_q * ld, 1), .k = filled(n_k * ld, 2)};
    t->v = filled(n_k * ld, 3);
    t->kt = filled(d * ldk, 4);
    t->out = filled(n_q * ld, 5);
    t->pattern = filled(n_q * (n_k + GAP), 6);
    t->scratch = sx_alloc_big(sx_attention_scratch(n_k), sizeof(float));
    t->forbidden = sx_xcalloc(n_k, 1);
    t->want = sx_xcalloc(n_q * d, sizeof *t->want);
    t->want_pattern = sx_xcalloc(n_q * n_k, sizeof *t->want_pattern);
    sx_attention_keys(t->k, ld, n_k, d, t->kt, ldk, 0);
    t->head = (struct sx_attention_head){.n_q = n_q,
                                         .n_k = n_k,
                                         .d = d,
                                         .q = t->q,
                                         .ldq = ld,
                                         .kt = t->kt,
                                         .ldk = ldk,
                                         .v = t->v,
                                         .ldv = ld,
                                         .scale = 1 / sqrtf((float)d),
                                         .causal = INT64_MAX,
                                         .out = t->out,
                                         .ldo = ld,
                                         .ldp = n_k + GAP,
                                         .scratch = t->scratch};
}

static void finish(struct trial *t)
{
    void *all[] = {t->q,       t->k,       t->v,         t->kt,   t->out,
                   t->pattern, t->scratch, t->forbidden, t->want, t->want_pattern};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sx_free(all[i]);
}

static bool sees(const struct sx_attention_head *head, size_t i, size_t j)
{
    return (head->causal == INT64_MAX || (int64_t)j <= (int64_t)i + head->causal) &&
           !(head->forbidden && head->forbidden[j]);
}

static double score(const struct trial *t, size_t i, size_t j)
{
    double sum = 0;
    for (size_t c = 0; c < t->head.d; c++)
        sum += (double)t->q[i * t->head.ldq + c] * (double)t->k[j * t->head.ldv + c];
    return sum * (double)t->head.scale;
}

static void mix(struct trial *t, size_t i)
{
    const struct sx_attention_head *h = &t->head;
    for (size_t c = 0; c < h->d; c++) {
        t->want[i * h->d + c] = 0;
        for (size_t j = 0; j < h->n_k; j++)
            t->want[i * h->d + c] += t->want_pattern[i * h->n_k + j] * (double)t->v[j * h->ldv + c];
    }
}

/* bump: what on_scores adds to the score of key 0. */
static void plain(struct trial *t, double bump)
{
    const struct sx_attention_head *h = &t->head;
    for (size_t i = 0; i < h->n_q; i++) {
        double *p = t->want_pattern + i * h->n_k, peak = -INFINITY, sum = 0;
        for (size_t j = 0; j < h->n_k; j++) {
            p[j] = sees(h, i, j) ? score(t, i, j) + (j == 0 ? bump : 0) : -INFINITY;
            peak = fmax(peak, p[j]);
        }
        for (size_t j = 0; j < h->n_k; j++) {
            p[j] = isinf(p[j]) ? 0 : exp(p[j] - peak);
            sum += p[j];
        }
        for (size_t j = 0; j < h->n_k && sum > 0; j++)
            p[j] /= sum;
        mix(t, i);
    }
}

static void check(const struct trial *t)
{
    const struct sx_attention_head *h = &t->head;
    for (size_t i = 0; i < h->n_q; i++) {
        for (size_t c = 0; c < h->d; c++)
            cr_assert_float_eq(h->out[i * h->ldo + c], t->want[i * h->d + c], 3e-6,
                               "q %zu of %zu, k %zu, d %zu, causal %ld: %g, expected %g", i, h->n_q,
                               h->n_k, h->d, (long)h->causal, (double)h->out[i * h->ldo + c],
                               t->want[i * h->d + c]);
        for (size_t j = 0; h->pattern && j < h->n_k; j++) {
            double want = t->want_pattern[i * h->n_k + j];
            cr_assert_float_eq(h->pattern[i * h->ldp + j], want, 2e-6 * want + 1e-9);
        }
    }
}

static void run(struct trial *t)
{
    const struct sx_attention_head *h = &t->head;
    float between[GAP], behind[GAP];
    memcpy(between, t->out + h->d, sizeof between);
    memcpy(behind, t->pattern + h->n_k, sizeof behind);
    sx_attention_head(h);
    if (h->n_q > 1) {
        cr_assert_eq(memcmp(between, t->out + h->d, sizeof between), 0);
        cr_assert_eq(memcmp(behind, t->pattern + h->n_k, sizeof behind), 0);
    }
}

static void check_all_masks(size_t n_q, size_t n_k, size_t d)
{
    struct trial t;
    start(&t, n_q, n_k, d);
    const int64_t offsets[] = {INT64_MAX, (int64_t)n_k - (int64_t)n_q, 0, 3, -2, -1000};
    for (int masked = 0; masked < 2; masked++)
        for (size_t o = 0; o < sizeof offsets / sizeof *offsets; o++) {
            for (size_t j = 0; masked && j < n_k; j++)
                t.forbidden[j] = j % 3 == 1 || j == 0;
            t.head.forbidden = masked ? t.forbidden : NULL;
            t.head.causal = offsets[o];
            plain(&t, 0);
            t.head.pattern = NULL;
            run(&t);
            check(&t);
            float *out = sx_xmalloc(n_q * t.head.ldo * sizeof *out);
            memcpy(out, t.out, n_q * t.head.ldo * sizeof *out);
            t.head.pattern = t.pattern;
            run(&t);
            check(&t);
            cr_assert_eq(memcmp(out, t.out, n_q * t.head.ldo * sizeof *out), 0,
                         "keeping the pattern changes no bit");
            sx_free(out);
        }
    finish(&t);
}

Test(attention, against_double_precision)
{
    static const size_t dims[] = {4, 8, 16, 20, 24, 32, 48, 64, 80, 128};
    static const size_t keys[] = {1, 2, 7, 15, 16, 17, 33, 47, 48, 49, 64, 70};
    EACH_SET for (size_t a = 0; a < sizeof dims / sizeof *dims; a++)
    {
        for (size_t b = 0; b < sizeof keys / sizeof *keys; b++)
            check_all_masks(1 + (a * 7 + b * 5) % 23, keys[b], dims[a]);
    }
}

Test(attention, every_number_of_keys_and_queries)
{
    EACH_SET for (size_t n = 1; n <= 70; n++) check_all_masks(n <= 24 ? n : 9, n, 16);
}

Test(attention, long_rows)
{
    EACH_SET
    {
        check_all_masks(21, 1030, 16);
        check_all_masks(5, 2100, 64);
    }
}

Test(attention, a_query_that_sees_nothing_gives_zero)
{
    EACH_SET
    {
        struct trial t;
        start(&t, 4, 20, 16);
        memset(t.forbidden, 1, 20);
        t.head.forbidden = t.forbidden;
        t.head.pattern = t.pattern;
        sx_attention_head(&t.head);
        for (size_t i = 0; i < 4; i++) {
            for (size_t c = 0; c < 16; c++)
                cr_assert_eq(t.out[i * t.head.ldo + c], 0);
            for (size_t j = 0; j < 20; j++)
                cr_assert_eq(t.pattern[i * t.head.ldp + j], 0);
        }
        /* One key left: its weight is 1. */
        t.forbidden[7] = 0;
        sx_attention_head(&t.head);
        cr_assert_eq(t.pattern[7], 1);
        cr_assert_eq(memcmp(t.out, t.v + 7 * t.head.ldv, 16 * sizeof(float)), 0);
        finish(&t);
    }
}

Test(attention, a_later_key_cannot_be_felt)
{
    EACH_SET
    {
        struct trial t;
        start(&t, 40, 40, 16);
        t.head.causal = 0;
        /* A score that would push every other one out of the exponent's range. */
        for (size_t c = 0; c < 16; c++)
            t.kt[c * t.head.ldk + 39] = t.k[39 * t.head.ldv + c] = 1000;
        plain(&t, 0);
        run(&t);
        check(&t);
        finish(&t);
    }
}

Test(attention, large_scores_do_not_overflow)
{
    EACH_SET
    {
        struct trial t;
        start(&t, 9, 50, 32);
        t.head.scale = 40;
        plain(&t, 0);
        sx_attention_head(&t.head);
        for (size_t i = 0; i < 9; i++)
            for (size_t c = 0; c < 32; c++)
                cr_assert_float_eq(t.out[i * t.head.ldo + c], t.want[i * 32 + c], 1e-3);
        finish(&t);
    }
}

Test(attention, a_row_does_not_depend_on_the_rows_beside_it)
{
    static const size_t dims[] = {8, 16, 24, 64, 80};
    EACH_SET for (size_t a = 0; a < sizeof dims / sizeof *dims; a++)
    {
        for (int causal = 0; causal < 2; causal++) {
            enum { N = 45 };
            struct trial t;
            start(&t, N, N, dims[a]);
            t.head.causal = causal ? 0 : INT64_MAX;
            sx_attention_head(&t.head);
            float *whole = sx_xmalloc(N * t.head.ldo * sizeof *whole);
            memcpy(whole, t.out, N * t.head.ldo * sizeof *whole);
            for (size_t part = 1; part < 12; part++)
                for (size_t i = 0; i < N; i += part) {
                    struct sx_attention_head h = t.head;
                    h.q += i * h.ldq;
                    h.out += i * h.ldo;
                    h.n_q = N - i < part ? N - i : part;
                    h.causal = causal ? (int64_t)i : INT64_MAX;
                    sx_attention_head(&h);
                    for (size_t r = 0; r < h.n_q; r++)
                        cr_assert_eq(
                            memcmp(h.out + r * h.ldo, whole + (i + r) * h.ldo, h.d * sizeof *whole),
                            0, "set %zu d %zu causal %d: query %zu in parts of %zu", set, h.d,
                            causal, i + r, part);
                }
            sx_free(whole);
            finish(&t);
        }
    }
}

Test(attention, keys_may_come_one_by_one)
{
    enum { N = 37, D = 10, LDK = 48 };
    float *k = filled(N * D, 1), whole[D * LDK], piecewise[D * LDK];
    for (size_t i = 0; i < D * LDK; i++)
        whole[i] = piecewise[i] = 7;
    sx_attention_keys(k, D, N, D, whole, LDK, 0);
    for (size_t j = 0; j < N; j++)
        for (size_t c = 0; c < D; c++)
            cr_assert_eq(whole[c * LDK + j], k[j * D + c]);
    for (size_t i = 0; i < D * LDK; i++)
        cr_assert(i % LDK < N || whole[i] == 0);
    for (size_t j = 0; j < N; j += 3)
        sx_attention_keys(k + j * D, D, N - j < 3 ? N - j : 3, D, piecewise, LDK, j);
    cr_assert_eq(memcmp(whole, piecewise, sizeof whole), 0);
    sx_free(k);
}

/* ---- hooks ---- */

struct watch {
    struct trial *trial;
    size_t rows;
    double bump;
    bool replace;
};

static void on_scores(void *ctx, size_t query, float *row)
{
    struct watch *w = ctx;
    const struct sx_attention_head *h = &w->trial->head;
    cr_assert_eq(query, w->rows++);
    for (size_t j = 0; j < h->n_k; j++)
        if (sees(h, query, j))
            cr_assert_float_eq(row[j], score(w->trial, query, j), 1e-5);
        else
            cr_assert_eq(row[j], -INFINITY);
    row[0] += (float)w->bump;
}

static void on_pattern(void *ctx, size_t query, float *row)
{
    struct watch *w = ctx;
    const struct sx_attention_head *h = &w->trial->head;
    for (size_t j = 0; j < h->n_k; j++) {
        double want = w->trial->want_pattern[query * h->n_k + j];
        cr_assert_float_eq(row[j], want, 2e-6 * want + 1e-9);
        if (w->replace)
            row[j] = (float)(j % 5);
    }
}

static void check_hooks(int64_t causal, double bump, bool replace)
{
    struct trial t;
    start(&t, 13, 37, 16);
    struct watch w = {.trial = &t, .bump = bump, .replace = replace};
    t.head.causal = causal;
    t.head.on_scores = on_scores;
    t.head.on_pattern = on_pattern;
    t.head.ctx = &w;
    t.head.pattern = t.pattern;
    plain(&t, bump);
    sx_attention_head(&t.head);
    cr_assert_eq(w.rows, 13);
    for (size_t i = 0; replace && i < 13; i++) {
        for (size_t j = 0; j < 37; j++)
            t.want_pattern[i * 37 + j] = (double)(j % 5);
        mix(&t, i);
        for (size_t c = 0; c < 16; c++)
            cr_assert_float_eq(t.out[i * t.head.ldo + c], t.want[i * 16 + c], 1e-4);
        for (size_t j = 0; j < 37; j++)
            cr_assert_eq(t.pattern[i * t.head.ldp + j], (float)(j % 5));
    }
    if (!replace)
        check(&t);
    finish(&t);
}

Test(attention, hooks_see_and_change_rows)
{
    EACH_SET
    {
        check_hooks(INT64_MAX, 0, false);
        check_hooks(INT64_MAX, 2.5, false);
        check_hooks(0, 2.5, false);
        check_hooks(INT64_MAX, 0, true);
        check_hooks(2, 0, true);
    }
}

static void open_all(void *ctx, size_t query, float *row)
{
    (void)query;
    for (size_t j = 0; j < *(size_t *)ctx; j++)
        row[j] = 0;
}

Test(attention, a_hook_may_open_what_the_mask_closed)
{
    EACH_SET
    {
        struct trial t;
        size_t n = 50;
        start(&t, 8, n, 16);
        t.head.causal = 0;
        t.head.on_scores = open_all;
        t.head.ctx = &n;
        t.head.pattern = t.pattern;
        sx_attention_head(&t.head);
        for (size_t i = 0; i < 8; i++)
            for (size_t j = 0; j < n; j++)
                cr_assert_float_eq(t.pattern[i * t.head.ldp + j], 0.02, 1e-8);
        finish(&t);
    }
}

/* Which rows are seen: those shown, and no bit of any row depends on who looked. */
static void note(void *ctx, size_t query, float *row)
{
    (void)row;
    ((uint8_t *)ctx)[query]++;
}

static void check_shown(int64_t causal, size_t n_q)
{
    struct trial t;
    start(&t, n_q, 37, 16);
    t.head.causal = causal;
    sx_attention_head(&t.head);
    const size_t size = n_q * t.head.ldo * sizeof(float);
    float *unseen = sx_xmalloc(size);
    memcpy(unseen, t.head.out, size);
    for (size_t first = 0; first < n_q; first++) {
        uint8_t shown[40] = {0}, seen[40] = {0};
        for (size_t i = first; i < n_q; i += 7)
            shown[i] = 1;
        t.head.shown = shown;
        t.head.ctx = seen;
        t.head.on_scores = note;
        t.head.on_pattern = first % 2 ? note : NULL;
        memset(t.head.out, 0, size);
        sx_attention_head(&t.head);
        for (size_t i = 0; i < n_q; i++) {
            cr_assert_eq(seen[i], shown[i] * (first % 2 ? 2 : 1), "row %zu from %zu", i, first);
            cr_assert_eq(
                memcmp(t.head.out + i * t.head.ldo, unseen + i * t.head.ldo, 16 * sizeof(float)), 0,
                "row %zu from %zu", i, first);
        }
    }
    sx_free(unseen);
    finish(&t);
}

Test(attention, only_shown_rows_are_seen)
{
    EACH_SET
    {
        check_shown(INT64_MAX, 29);
        check_shown(0, 29);
        check_shown(5, 3);
    }
}
