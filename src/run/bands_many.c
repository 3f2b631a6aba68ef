#include "bands_many.h"

#include <math.h>
#include <stdio.h>

#include "circuit_words.h"
#include "document.h"
#include "sextant/base/alloc.h"
#include "sextant/interp/names.h"
#include "sextant/interp/results.h"
#include "sextant/run/command.h"

/* --- measured -----------------------------------------------------------------------------------
 */

static enum sx_status below(const char *what, size_t index, size_t count, struct sx_error *err)
{
    if (index == SIZE_MAX || index < count)
        return SX_OK;
    return sx_fail(err, SX_ERR_USAGE, "bands: --%s %zu, but the last one is %zu", what, index,
                   count - 1);
}

/* Masks the query of A where asked to; *original is what stands there without. */
static enum sx_status mask_query(const struct sx_model *model, bool mask, int32_t *ids,
                                 size_t query, int32_t *original, struct sx_error *err)
{
    *original = ids[query];
    if (!mask)
        return SX_OK;
    SX_TRY(sx_model_must_be(model, SX_MODEL_ESM2, "bands: --mask", err));
    if (!sx_is_amino_acid(ids[query]) && ids[query] != SX_ESM_MASK)
        return sx_fail(err, SX_ERR_USAGE, "bands: --mask: token %zu is no residue", query);
    ids[query] = SX_ESM_MASK;
    return SX_OK;
}

enum sx_status sx_bands_many_question(const struct sx_model *model,
                                      const struct sx_bands_many_ask *ask, const struct sx_ids *ids,
                                      struct sx_bands_question *out, struct sx_error *err)
{
    size_t query = ask->query;
    int32_t original;
    SX_TRY(below("query", query, ids->n, err));
    SX_TRY(below("key", ask->key, ids->n, err));
    if (query == SIZE_MAX)
        SX_TRY(sx_default_query(model, "bands", "query", ids->ids, ids->n, &query, err));
    SX_TRY(mask_query(model, ask->mask, ids->ids, query, &original, err));
    return sx_bands_question_new(model, ids->ids, ids->n, query,
                                 ask->key == SIZE_MAX ? 0 : ask->key, original, out, err);
}

/* Why this sequence cannot be asked; NULL: it can. */
static const char *left_out(const struct sx_model *model, const struct sx_bands_many_ask *ask,
                            const struct sx_ids *ids)
{
    if ((ask->query != SIZE_MAX && ask->query >= ids->n) ||
        (ask->key != SIZE_MAX && ask->key >= ids->n) || ask->against >= ids->n)
        return "too short";
    if (ask->mask || sx_model_info(model)->family != SX_MODEL_ESM2)
        return NULL;
    for (size_t t = 0; t < ids->n && ask->query == SIZE_MAX; t++)
        if (ids->ids[t] == SX_ESM_MASK)
            return NULL;
    return ask->query == SIZE_MAX ? "no mask" : NULL;
}

/* Of the results that are kept beside the next pass. */
static uint64_t kept_bytes(const struct sx_bands_result *results, size_t n)
{
    if (n == 0)
        return 0;
    const uint64_t cells = results->n_layers * results->n_heads * results->n_bands;
    return n * cells * 2 * (sizeof *results->a + sizeof *results->split);
}

static enum sx_status measure_one(struct sx_runner *runner, const struct sx_value *args,
                                  const struct sx_bands_many_ask *ask, const struct sx_ids *ids,
                                  uint64_t kept, struct sx_bands_result *result,
                                  struct sx_task *task, struct sx_error *err)
{
    const struct sx_model *model = sx_runner_model(runner);
    struct sx_bands_question q = {0};
    enum sx_status status = sx_bands_many_question(model, ask, ids, &q, err);
    if (status == SX_OK)
        status = sx_bands_question_move(model, &q, ask->against, err);
    if (status == SX_OK) {
        const size_t longest = q.n_b > q.n ? q.n_b : q.n;
        status = sx_model_must_fit(args, model, &longest, 1,
                                   kept + sx_bands_question_bytes(sx_model_info(model), &q),
                                   "give fewer or shorter sequences, or raise --max-memory", err);
    }
    if (status == SX_OK)
        status = sx_measure_bands(runner, &q, result, task, err);
    sx_bands_question_release(&q);
    return status;
}

enum sx_status sx_bands_many_measure(struct sx_runner *runner, const struct sx_value *args,
                                     struct sx_model_inputs *inputs,
                                     const struct sx_bands_many_ask *ask,
                                     struct sx_bands_result **results, size_t *n,
                                     struct sx_task *task, struct sx_error *err)
{
    enum sx_status status = SX_OK;
    *results = sx_xcalloc(inputs->n + 1, sizeof **results);
    *n = 0;
    for (size_t i = 0; i < inputs->n && status == SX_OK; i++) {
        const struct sx_model_input *item = &inputs->item[i];
        const char *why = left_out(sx_runner_model(runner), ask, &item->ids);
        status = sx_task_step(task, i, inputs->n);
        if (why) {
            sx_model_inputs_warn(inputs, "%s left out: %s", item->name ? item->name : "?", why);
        } else if (status == SX_OK) {
            struct sx_bands_result *result = &(*results)[*n];
            status = measure_one(runner, args, ask, &item->ids, kept_bytes(*results, *n), result,
                                 task, err);
            (*n)++; /* what a failure leaves is released too */
        }
    }
    if (status == SX_OK && *n == 0)
        status = sx_fail(err, SX_ERR_USAGE, "bands: no sequence has the query, key and --against");
    return status;
}

/* --- aggregated ---------------------------------------------------------------------------------
 */

void sx_bands_many_cell(const struct sx_bands_result *results, size_t n, size_t layer, size_t head,
                        size_t band, uint64_t seed, struct sx_band_aggregate *out)
{
    const struct sx_bands_result **list = sx_xcalloc(n, sizeof *list);
    const size_t H = results->n_heads, B = results->n_bands;
    bool *chosen = sx_xcalloc(results->n_layers * H * B, sizeof *chosen);
    for (size_t i = 0; i < n; i++)
        list[i] = &results[i];
    for (size_t h = 0; h < H; h++)
        chosen[(layer * H + h) * B + band] = head == SIZE_MAX || head == h;
    sx_bands_aggregate(list, n, chosen, seed, out);
    sx_free(chosen);
    sx_free(list);
}

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
