/* bands for people: a table of layers and bands, or of keys, or of the survey. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bands_many.h"
#include "commands_private.h"
#include "document.h"
#include "model_input.h"
#include "sextant/base/alloc.h"
#include "sextant/model/types.h"

static double real_at(const struct sx_value *map, const char *key)
{
    return sx_value_real_or(sx_value_get(map, key), (double)NAN);
}

static long long int_at(const struct sx_value *map, const char *key)
{
    return (long long)sx_value_int_or(sx_value_get(map, key), 0);
}

static const char *text_at(const struct sx_value *map, const char *key)
{
    return sx_value_string_or(sx_value_get(map, key), "");
}

/* The key of a metric in a row; coupling is a ratio of sums. */
static const char *key_of(const char *metric)
{
    static const char *const keys[][2] = {
        {"score-a", "score"},   {"score-b", "score_b"},   {"total", "total"},
        {"query-norm", "qn"},   {"key-norm", "kn"},       {"direction", "dir"},
        {"content", "content"}, {"position", "position"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(metric, keys[i][0]) == 0)
            return keys[i][1];
    return NULL;
}

struct cell {
    double sum, of; /* coupling: a ratio */
};

struct table {
    size_t layers, bands; /* 1 + the largest that there is */
    struct cell *cell;    /* [layers,bands] */
    double period[SX_MAX_BANDS + 1];
};

/* Documents come back from files too. */
static bool is_cell(const struct sx_value *row, size_t *layer, size_t *band)
{
    enum { MOST_LAYERS = 4096 };
    *layer = (size_t)int_at(row, "layer");
    *band = (size_t)int_at(row, "band");
    return *layer < MOST_LAYERS && *band <= SX_MAX_BANDS;
}

static void add_row(struct table *t, const struct sx_value *row, const char *metric)
{
    size_t layer, band;
    const char *key = key_of(metric);
    if (!is_cell(row, &layer, &band))
        return;
    struct cell *cell = &t->cell[layer * t->bands + band];
    if (key) {
        cell->sum += real_at(row, key);
        cell->of = 1;
        return;
    }
    cell->sum += fabs(real_at(row, "interaction"));
    cell->of += fabs(real_at(row, "norm_only")) + fabs(real_at(row, "direction_only")) +
                fabs(real_at(row, "interaction"));
}

static struct table table_of(const struct sx_value *rows, const char *metric)
{
    struct table t = {0};
    const size_t n = sx_value_count(rows);
    for (size_t i = 0; i < n; i++) {
        const struct sx_value *row = sx_value_item(rows, i);
        size_t layer, band;
        if (!is_cell(row, &layer, &band))
            continue;
        t.layers = layer >= t.layers ? layer + 1 : t.layers;
        t.bands = band >= t.bands ? band + 1 : t.bands;
        t.period[band] = real_at(row, "period");
    }
    t.cell = sx_xcalloc(t.layers * t.bands + 1, sizeof *t.cell);
    for (size_t i = 0; i < n; i++)
        add_row(&t, sx_value_item(rows, i), metric);
    return t;
}

static void print_period(double period, struct sx_str *out)
{
    if (isnan(period))
        sx_str_append(out, "     rest");
    else
        sx_str_printf(out, period < 100 ? " %8.1f" : " %8.0f", period);
}

static void print_table(const struct sx_value *rows, const char *metric, struct sx_str *out)
{
    struct table t = table_of(rows, metric);
    const bool ratio = !key_of(metric);
    sx_str_append(out, "period   ");
    for (size_t b = 0; b < t.bands; b++)
        print_period(b <= SX_MAX_BANDS ? t.period[b] : (double)NAN, out);
    sx_str_append(out, ratio ? "\n" : "      sum\n");
    for (size_t l = 0; l < t.layers; l++) {
        double sum = 0;
        bool any = false;
        for (size_t b = 0; b < t.bands; b++)
            any = any || t.cell[l * t.bands + b].of > 0;
        if (!any)
            continue;
        sx_str_printf(out, "layer %-3zu", l);
        for (size_t b = 0; b < t.bands; b++) {
            const struct cell *cell = &t.cell[l * t.bands + b];
            sum += cell->sum;
            sx_str_printf(out, ratio ? " %8.4f" : " %+8.4f",
                          cell->of > 0 ? cell->sum / cell->of : 0);
        }
        if (!ratio)
            sx_str_printf(out, " %+8.4f", sum);
        sx_str_append_char(out, '\n');
    }
    sx_free(t.cell);
}

/* --- heads --------------------------------------------------------------------------------------
 */

struct ranked {
    const struct sx_value *head;
    double size;
};

static int by_size(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    return (x->size < y->size) - (x->size > y->size);
}

static void print_heads(const struct sx_value *heads, struct sx_str *out)
{
    enum { MOST = 8 };
    const size_t n = sx_value_count(heads);
    const bool both = n > 0 && sx_value_get(sx_value_item(heads, 0), "score_b");
    const bool readout = n > 0 && sx_value_get(sx_value_item(heads, 0), "readout");
    struct ranked *list = sx_xcalloc(n + 1, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        list[i].head = sx_value_item(heads, i);
        list[i].size = fabs(real_at(list[i].head, readout ? "readout" : "attention"));
    }
    qsort(list, n, sizeof *list, by_size);
    sx_str_printf(out, "\nhead      score  attention   margin%s%s\n",
                  both ? "  score B  attention B  margin B" : "", readout ? "   readout" : "");
    for (size_t i = 0; i < n && i < MOST; i++) {
        char name[32];
        const struct sx_value *head = list[i].head;
        snprintf(name, sizeof name, "L%lld.H%lld", int_at(head, "layer"), int_at(head, "head"));
        sx_str_printf(out, "%-7s %+7.4f    %.5f  %+8.4f", name, real_at(head, "score"),
                      real_at(head, "attention"), real_at(head, "margin"));
        if (both)
            sx_str_printf(out, "  %+7.4f      %.5f  %+8.4f", real_at(head, "score_b"),
                          real_at(head, "attention_b"), real_at(head, "margin_b"));
        if (readout)
            sx_str_printf(out, "  %+8.4f", real_at(head, "readout"));
        sx_str_append_char(out, '\n');
    }
    if (n > MOST)
        sx_str_printf(out, "%zu heads in all; these have the largest %s\n", n,
                      readout ? "readout: attention times what is written towards the target, in "
                                "logits"
                              : "attention");
    sx_free(list);
}

static const double SMALL_PART = 0.1;

/* Scores alone have no change; coupling is not of margins. */
static void print_margins(const struct sx_value *document, const char *metric, struct sx_str *out)
{
    const struct sx_value *heads = sx_value_get(document, "heads");
    const bool change = key_of(metric) && strncmp(metric, "score", 5) != 0;
    const size_t n = sx_value_count(heads);
    double worst = 0;
    size_t large = 0;
    for (size_t i = 0; i < n; i++) {
        const struct sx_value *head = sx_value_item(heads, i);
        const double residual = fabs(real_at(head, "margin_residual"));
        worst = fmax(worst, residual);
        large += residual > SMALL_PART * fabs(real_at(head, "margin_b") - real_at(head, "margin"));
    }
    sx_str_printf(out, "\nchange of the margin, %s, sum over heads\n", change ? metric : "total");
    print_table(sx_value_get(document, "margins"), change ? metric : "total", out);
    sx_str_printf(out,
                  "what the bands leave of a head's change: at most %.3g; more than a tenth of it "
                  "in %zu of %zu heads\n",
                  worst, large, n);
}

static void print_groups(const struct sx_value *groups, const char *metric, struct sx_str *out)
{
    const char *key = key_of(metric);
    sx_str_append(out, "\nhead       periods            ");
    sx_str_printf(out, "%s\n", metric);
    for (size_t i = 0; i < sx_value_count(groups); i++) {
        const struct sx_value *group = sx_value_item(groups, i);
        char name[32];
        char range[48];
        const double above = real_at(group, "above");
        const double to = real_at(group, "to");
        snprintf(name, sizeof name, "L%lld.H%lld", int_at(group, "layer"), int_at(group, "head"));
        if (isnan(above))
            snprintf(range, sizeof range, "rest");
        else if (isnan(to))
            snprintf(range, sizeof range, "above %g", above);
        else
            snprintf(range, sizeof range, "%g to %g", above, to);
        sx_str_printf(out, "%-8s   %-18s %+9.4f\n", name, range,
                      real_at(group, key ? key : "coupling"));
    }
}

/* --- the other two ------------------------------------------------------------------------------
 */

static void print_keys(const struct sx_value *document, struct sx_str *out)
{
    const struct sx_value *keys = sx_value_get(document, "keys");
    const size_t bands = sx_value_count(sx_value_get(document, "periods"));
    const bool removed = sx_value_get(document, "removed");
    sx_str_printf(out, "L%lld.H%lld, query %lld", int_at(document, "layer"),
                  int_at(document, "head"), int_at(document, "query"));
    if (sx_value_get(document, "top"))
        sx_str_printf(out, "   P(%s) %.4f, top %s", text_at(document, "target"),
                      real_at(document, "p"), text_at(document, "top"));
    if (sx_value_get(document, "top_removed"))
        sx_str_printf(out, "   without the bands %.4f, top %s", real_at(document, "p_removed"),
                      text_at(document, "top_removed"));
    sx_str_printf(out, "\n\n  key token   attention%s    score", removed ? "  without" : "");
    for (size_t b = 0; b < bands; b++)
        sx_str_printf(out, "  band %-2zu", b);
    sx_str_append_char(out, '\n');
    for (size_t k = 0; k < sx_value_count(keys); k++) {
        const struct sx_value *key = sx_value_item(keys, k);
        sx_str_printf(out, "%5lld %-8s  %.5f ", int_at(key, "key"), text_at(key, "token"),
                      real_at(key, "attention"));
        if (removed)
            sx_str_printf(out, "  %.5f", real_at(key, "attention_removed"));
        sx_str_printf(out, "  %+8.4f", real_at(key, "score"));
        for (size_t b = 0; b < bands; b++) {
            char name[32];
            snprintf(name, sizeof name, "band_%zu", b);
            sx_str_printf(out, " %+8.4f", real_at(key, name));
        }
        sx_str_append_char(out, '\n');
    }
}

/* Means over the heads of a layer. */
static void print_survey(const struct sx_value *rows, const char *key, const char *title,
                         struct sx_str *out)
{
    double sum[SX_MAX_BANDS + 1] = {0};
    size_t heads = 0;
    size_t bands = 0;
    sx_str_printf(out, "%s\n", title);
    for (size_t i = 0; i < sx_value_count(rows); i++) {
        const struct sx_value *row = sx_value_item(rows, i);
        const struct sx_value *next = sx_value_item(rows, i + 1);
        const size_t band = (size_t)int_at(row, "band");
        if (band > SX_MAX_BANDS)
            continue;
        heads += band == 0;
        bands = band >= bands ? band + 1 : bands;
        sum[band] += real_at(row, key);
        if (next && int_at(next, "layer") == int_at(row, "layer"))
            continue;
        sx_str_printf(out, "layer %-3lld", int_at(row, "layer"));
        for (size_t b = 0; b < bands; b++) {
            sx_str_printf(out, " %8.4f", sum[b] / (double)heads);
            sum[b] = 0;
        }
        sx_str_append_char(out, '\n');
        heads = 0;
    }
}

static void print_survey_all(const struct sx_value *document, struct sx_str *out)
{
    const struct sx_value *rows = sx_value_get(document, "bands");
    sx_str_printf(out, "every pair of %lld tokens, means over heads\n\nperiod   ",
                  int_at(document, "tokens"));
    for (size_t i = 0; i < sx_value_count(rows); i++) {
        if (i > 0 && int_at(sx_value_item(rows, i), "band") == 0)
            break;
        print_period(real_at(sx_value_item(rows, i), "period"), out);
    }
    sx_str_append_char(out, '\n');
    print_survey(rows, "share", "share of the absolute scores", out);
    print_survey(rows, "size", "mean absolute score", out);
    print_survey(rows, "centred", "mean absolute score, its mean over the keys taken off", out);
}

SX_PRINT(bands)
{
    const char *metric = text_at(document, "metric");
    sx_print_warnings(document, out);
    if (sx_value_get(document, "sequences")) {
        sx_print_bands_many(document, out);
        return;
    }
    if (sx_value_get(document, "keys")) {
        print_keys(document, out);
    } else if (!metric[0]) {
        print_survey_all(document, out);
    } else {
        sx_str_printf(out, "query %s @%lld, key %s @%lld", text_at(document, "query_token"),
                      int_at(document, "query"), text_at(document, "key_token"),
                      int_at(document, "key"));
        if (sx_value_get(document, "query_b"))
            sx_str_printf(out, "; B: query @%lld%s", int_at(document, "query_b"),
                          sx_value_get(document, "tokens_b") ? " of the other sequence" : "");
        sx_str_printf(out, "\n%s, sum over heads\n", metric);
        print_table(sx_value_get(document, "bands"), metric, out);
        print_heads(sx_value_get(document, "heads"), out);
        if (sx_value_get(document, "margins"))
            print_margins(document, metric, out);
        if (sx_value_get(document, "groups"))
            print_groups(sx_value_get(document, "groups"), metric, out);
    }
    sx_str_printf(out, "residual %.1e of the largest score\n", real_at(document, "residual"));
}
