#include "bands_many.h"

#include <math.h>
#include <stdio.h>

#include "document.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/names.h"
#include "sextant/run/command.h"

/* What is chosen; SIZE_MAX: all. */
struct part {
    size_t layer, head, band, group;
};

struct many {
    const struct sx_bands_result *const *results;
    size_t n;
    const struct sx_bands_filter *filter;
    uint64_t seed;
    bool *chosen; /* [L,H,B] */
    struct sx_value *rows;
};

static bool is(size_t wanted, size_t found)
{
    return wanted == SIZE_MAX || wanted == found;
}

static size_t choose(struct many *m, const struct part *part)
{
    const struct sx_bands_result *r = m->results[0];
    size_t count = 0;
    for (size_t i = 0; i < r->n_layers * r->n_heads * r->n_bands; i++) {
        const size_t layer = i / r->n_bands / r->n_heads;
        const size_t head = i / r->n_bands % r->n_heads;
        const size_t band = i % r->n_bands;
        m->chosen[i] = is(m->filter->layer, layer) && is(m->filter->head, head) &&
                       is(part->layer, layer) && is(part->head, head) && is(part->band, band) &&
                       (part->group == SIZE_MAX ||
                        part->group == sx_band_group_of(m->filter->groups, r->period[band]));
        count += m->chosen[i];
    }
    return count;
}

static void add_interval(struct sx_value *map, const char *key, const struct sx_interval *interval)
{
    struct sx_value *one = sx_value_set(map, key, sx_value_map());
    sx_document_real(one, "mean", interval->value, "nothing changes");
    sx_document_real(one, "lo", interval->lo, "nothing changes");
    sx_document_real(one, "hi", interval->hi, "nothing changes");
}

static void add_index(struct sx_value *map, const char *key, size_t index)
{
    sx_value_set(map, key, index == SIZE_MAX ? sx_value_null() : sx_value_int((int64_t)index));
}

static void add_row(struct many *m, const struct part *part)
{
    struct sx_band_aggregate found;
    if (choose(m, part) == 0)
        return;
    sx_bands_aggregate(m->results, m->n, m->chosen, m->seed, &found);
    struct sx_value *row = sx_value_append(m->rows, sx_value_map());
    add_index(row, "layer", part->layer == SIZE_MAX ? m->filter->layer : part->layer);
    add_index(row, "head", part->head == SIZE_MAX ? m->filter->head : part->head);
    add_index(row, "band", part->band);
    if (m->filter->groups)
        add_index(row, "group", part->group);
    for (int t = 0; t < SX_BAND_TERM_COUNT; t++)
        add_interval(row, sx_band_term_name((enum sx_band_term)t), &found.term[t]);
    add_interval(row, "norm_share", &found.norm_share);
    add_interval(row, "key_share", &found.key_share);
    add_interval(row, "direction_share", &found.direction_share);
    add_interval(row, "position_share", &found.position_share);
}

static void add_rows(struct many *m)
{
    const struct sx_bands_result *r = m->results[0];
    const struct part all = {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};
    struct part part = all;
    add_row(m, &all);
    if (m->filter->layer == SIZE_MAX) {
        for (part.layer = 0; part.layer < r->n_layers; part.layer++)
            add_row(m, &part);
    } else if (m->filter->head == SIZE_MAX) {
        for (part.head = 0; part.head < r->n_heads; part.head++)
            add_row(m, &part);
    }
    part = all;
    for (part.band = 0; part.band < r->n_bands; part.band++)
        add_row(m, &part);
    part = all;
    for (part.group = 0; m->filter->groups && part.group <= m->filter->groups->n_edges + 1;
         part.group++)
        add_row(m, &part);
}

struct sx_value *sx_bands_many_document(const struct sx_model *model,
                                        const struct sx_bands_result *results, size_t n,
                                        const struct sx_bands_filter *filter, uint64_t seed)
{
    struct sx_value *document = sx_document_new();
    const struct sx_bands_result **list = sx_xcalloc(n, sizeof *list);
    const size_t cells = results[0].n_layers * results[0].n_heads * results[0].n_bands;
    double residual = 0;
    for (size_t i = 0; i < n; i++) {
        list[i] = &results[i];
        residual = fmax(residual, results[i].residual);
    }
    sx_document_text(document, "model", sx_model_info(model)->name);
    sx_document_int(document, "sequences", (int64_t)n);
    sx_document_int(document, "draws", SX_BOOTSTRAP_DRAWS);
    struct many m = {.results = list,
                     .n = n,
                     .filter = filter,
                     .seed = seed,
                     .chosen = sx_xcalloc(cells, sizeof(bool)),
                     .rows = sx_value_set(document, "rows", sx_value_list())};
    add_rows(&m);
    sx_document_real(document, "residual", residual, "not finite");
    sx_free(m.chosen);
    sx_free(list);
    return document;
}

/* --- for people ---------------------------------------------------------------------------------
 */

static double at(const struct sx_value *row, const char *key, const char *what)
{
    return sx_value_real_or(sx_value_get(sx_value_get(row, key), what), (double)NAN);
}

static void name_of(const struct sx_value *row, char *out, size_t size)
{
    static const char *const keys[] = {"layer", "head", "band", "group"};
    size_t used = 0;
    snprintf(out, size, "all");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && used < size; i++) {
        const struct sx_value *value = sx_value_get(row, keys[i]);
        if (sx_value_kind(value) == SX_VALUE_INT)
            used += (size_t)snprintf(out + used, size - used, "%s%s %lld", used ? " " : "", keys[i],
                                     (long long)sx_value_int_or(value, 0));
    }
}

static void print_interval(const struct sx_value *row, const char *key, struct sx_str *out)
{
    sx_str_printf(out, "  %+9.3f (%+.3f … %+.3f)", at(row, key, "mean"), at(row, key, "lo"),
                  at(row, key, "hi"));
}

void sx_print_bands_many(const struct sx_value *document, struct sx_str *out)
{
    const struct sx_value *rows = sx_value_get(document, "rows");
    char name[64];
    sx_str_printf(out,
                  "%lld sequences, B - A, mean and 95 %% interval; shares are ratios of means\n",
                  (long long)sx_value_int_or(sx_value_get(document, "sequences"), 0));
    for (size_t i = 0; i < sx_value_count(rows); i++) {
        const struct sx_value *row = sx_value_item(rows, i);
        name_of(row, name, sizeof name);
        sx_str_printf(out, "%-25s total", name);
        print_interval(row, "total", out);
        sx_str_printf(out, "  norm %.3f  key %.3f  direction %.3f  of it position %.3f\n",
                      at(row, "norm_share", "mean"), at(row, "key_share", "mean"),
                      at(row, "direction_share", "mean"), at(row, "position_share", "mean"));
    }
    sx_str_printf(out, "residual %.1e\n",
                  sx_value_real_or(sx_value_get(document, "residual"), (double)NAN));
}
