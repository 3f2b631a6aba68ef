/* Which proteins the report looks at. */
#include <string.h>

#include "report_private.h"
#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/model/tokenizer.h"

enum { SAME_START = 30, LEAST = 24 };

void sx_report_data_release(struct sx_report_data *data)
{
    for (size_t i = 0; i < data->n; i++)
        sx_free((void *)(uintptr_t)data->proteins[i].ids);
    sx_free(data->proteins);
    sx_free(data->natural.items);
    *data = (struct sx_report_data){0};
}

/* Starts that are taken already; as few as the limit allows, so they are looked through. */
struct seen {
    const char **start;
    size_t *length;
    size_t n;
};

static bool seen_before(struct seen *seen, const char *start, size_t length)
{
    const size_t n = length < SAME_START ? length : SAME_START;
    for (size_t i = 0; i < seen->n; i++)
        if (seen->length[i] == n && memcmp(seen->start[i], start, n) == 0)
            return true;
    seen->start = sx_xrealloc(seen->start, (seen->n + 1) * sizeof *seen->start);
    seen->length = sx_xrealloc(seen->length, (seen->n + 1) * sizeof *seen->length);
    seen->start[seen->n] = start;
    seen->length[seen->n++] = n;
    return false;
}

static void seen_release(struct seen *seen)
{
    sx_free(seen->start);
    sx_free(seen->length);
}

/* As tokens, cut to max_length residues; M put in front where it is missing. */
static enum sx_status take(const struct sx_tokenizer *tokenizer, const struct sx_protein *protein,
                           const struct sx_report_options *options, struct sx_report_data *data,
                           size_t *room, struct sx_error *err)
{
    const bool given = protein->precursor[0] != 'M';
    const size_t length = protein->length + given;
    const bool cut = length > options->max_length;
    struct sx_ids ids = {0};
    char *text = sx_xasprintf("%s%s", given ? "M" : "", protein->precursor);
    const enum sx_status status =
        sx_tokenize(tokenizer, text, cut ? options->max_length : length, NULL, &ids, NULL, err);
    sx_free(text);
    SX_TRY(status);
    data->n_cut += cut;
    data->n_given_met += given;
    SX_GROW(data->proteins, *room, data->n + 1);
    data->proteins[data->n++] =
        (struct sx_report_protein){.id = protein->id, .ids = ids.ids, .n = ids.n};
    return SX_OK;
}

static void take_natural(const struct sx_protein *protein, struct sx_report_data *data,
                         size_t *room, struct seen *seen)
{
    if (seen_before(seen, protein->precursor + protein->offset, protein->mature))
        return;
    SX_GROW(data->natural.items, *room, data->natural.n + 1);
    data->natural.items[data->natural.n++] = *protein;
}

static enum sx_status take_all(const struct sx_tokenizer *tokenizer,
                               const struct sx_proteins *proteins, const uint32_t *order,
                               const struct sx_report_options *options, struct sx_report_data *data,
                               struct sx_error *err)
{
    struct seen seen = {0};
    struct seen natural = {0};
    size_t room = 0;
    size_t natural_room = 0;
    enum sx_status status = SX_OK;
    for (size_t i = 0; i < proteins->n && status == SX_OK; i++) {
        const struct sx_protein *protein = &proteins->items[order[i]];
        if (protein->precursor[protein->offset] != 'M' && data->natural.n < options->limit)
            take_natural(protein, data, &natural_room, &natural);
        if (protein->precursor[0] != 'M' && !options->add_met)
            data->n_other_start++;
        else if (protein->length < LEAST)
            data->n_short++;
        else if (data->n == options->limit)
            data->n_beyond_limit++;
        else if (seen_before(&seen, protein->precursor, protein->length))
            data->n_repeated++;
        else
            status = take(tokenizer, protein, options, data, &room, err);
    }
    seen_release(&seen);
    seen_release(&natural);
    return status;
}

enum sx_status sx_report_select(const struct sx_proteins *proteins,
                                const struct sx_report_options *options,
                                struct sx_report_data *data, struct sx_error *err)
{
    struct sx_tokenizer *tokenizer = NULL;
    struct sx_rng rng = sx_rng_make(options->seed, 0);
    uint32_t *order = sx_xcalloc(proteins->n + 1, sizeof *order);

    for (size_t i = 0; i < proteins->n; i++)
        order[i] = (uint32_t)i;
    sx_rng_shuffle(&rng, order, proteins->n);
    data->n_read = proteins->n_read;
    data->n_starts = proteins->n;
    data->n_odd = proteins->n_odd;
    enum sx_status status = sx_tokenizer_esm2(NULL, &tokenizer, err);
    if (status == SX_OK)
        status = take_all(tokenizer, proteins, order, options, data, err);
    sx_free(order);
    sx_tokenizer_free(tokenizer);
    return status;
}
