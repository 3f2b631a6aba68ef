/* Answers kept in files: what comes back is what was measured, bit for bit; and files in which one
 * number, text or array was changed after the fact are refused or harmless. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "session_stage.h"
#include "sextant/io/h5.h"

static const struct tiny_shape shape = {SX_MODEL_ESM2, 2, 32, 2, 128, 33, 0};

static const char *const commands[][2] = {
    {"bands", "--seq <mask>KTVRQ --query 1 --against 4 --profile"},
    {"bands", "--seq <mask>KTVRQ --along-keys --layer 1 --head 1 --removed 1"},
    {"attribute", "--seq <mask>KTVRQ --sources --linearised"},
    {"compose", "--seq <mask>KTVRQ --layer 1 --head 1 --pairs"},
    {"patch", "--clean <mask>KTVRQ --corrupt <mask>RTVKQ --grid layer-token"},
    {"nterm", "--builtin --limit 3"},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static struct stage stage_new(void)
{
    struct stage s = stage_start();
    s.model = stage_model(&s, "model", shape, NULL);
    s.file = sx_xasprintf("%s/f.run.h5", s.folder);
    return s;
}

static void keep(struct stage *s, size_t command)
{
    char *line = sx_xasprintf("sextant %s %s %s --out %s --force", commands[command][0], s->model,
                              commands[command][1], s->file);
    sx_value_free(shell(line));
    sx_free(line);
}

static void open_path(struct stage *s, const char *path)
{
    char *line = sx_xasprintf("open %s", path);
    do_line(s, line);
    sx_free(line);
}

static void equal(const char *what, const void *a, const void *b, size_t bytes)
{
    cr_assert(a && b && memcmp(a, b, bytes) == 0, "%s", what);
}

#define SAME(member, count)                                                                        \
    equal(#member, live.member, stored->member, (count) * sizeof *live.member)

Test(answer, bands_come_back_bit_for_bit)
{
    struct stage s = stage_new();
    open_path(&s, s.model);
    do_line(&s, "input <mask>KTVRQ");
    do_line(&s, "band-table --against 4 --profile");
    cr_assert_eq(s.session->bands.state, SX_STATE_READY, "%s", s.session->bands.error.message);
    const struct sx_bands_result live = s.session->bands.result;
    struct stage other = stage_start();
    keep(&s, 0);
    open_path(&other, s.file);
    do_line(&other, "input");
    const struct sx_bands_data *data = &other.session->bands;
    const struct sx_bands_result *stored = &data->result;
    cr_assert_eq(data->state, SX_STATE_READY, "%s", other.session->input.error.message);
    cr_assert_eq(data->serial, other.session->input.serial);
    cr_assert(data->profile && data->against == 4 && !data->other);
    cr_assert_eq(stored->n_bands, live.n_bands);
    cr_assert_eq(stored->n_profile, live.n_profile);
    const size_t heads = live.n_layers * live.n_heads, cells = heads * live.n_bands;
    SAME(period, live.n_bands);
    SAME(a, cells);
    SAME(b, cells);
    SAME(split, cells);
    SAME(attention_a, heads);
    SAME(attention_b, heads);
    SAME(margin_a, heads);
    SAME(margin_b, heads);
    SAME(readout, heads);
    SAME(profile_at, live.n_profile);
    SAME(profile, cells * live.n_profile);
    cr_assert_eq(stored->query_b, live.query_b);
    cr_assert_eq(stored->residual, live.residual);
    cr_assert_eq(stored->scale, live.scale);
    cr_assert_eq(other.session->selection.token, 1);
    cr_assert_eq(other.session->settings.against, 4);
    stage_free(&other);
    stage_free(&s);
}

Test(answer, circuits_come_back_bit_for_bit)
{
    struct stage s = stage_new(), other = stage_start();
    open_path(&s, s.model);
    do_line(&s, "input <mask>KTVRQ");
    do_line(&s, "attribution --linearised");
    do_line(&s, "composition --layer 1 --head 1");
    cr_assert_eq(s.session->composition.state, SX_STATE_READY);
    keep(&s, 2);
    open_path(&other, s.file);
    do_line(&other, "input");
    {
        const struct sx_attribution_result live = s.session->attribution.result;
        const struct sx_attribution_result *stored = &other.session->attribution.result;
        cr_assert_eq(other.session->attribution.state, SX_STATE_READY, "%s",
                     other.session->input.error.message);
        cr_assert_eq(stored->n_terms, live.n_terms);
        for (size_t i = 0; i < live.n_terms; i++) {
            const struct sx_attribution_term *a = &live.terms[i], *b = &stored->terms[i];
            cr_assert(a->component.kind == b->component.kind &&
                      a->component.layer == b->component.layer &&
                      a->component.head == b->component.head);
            cr_assert(a->value == b->value && a->bos == b->bos && a->own == b->own &&
                      a->context == b->context);
        }
        SAME(by_source, live.n_layers * live.n_heads * live.n);
        SAME(by_embedding, live.n);
        equal("groups", &live.groups, &stored->groups, sizeof live.groups);
        cr_assert_eq(stored->logit, live.logit);
        cr_assert_eq(stored->linearised_residual, live.linearised_residual);
        cr_assert_str_eq(other.session->attribution.target_text, "M");
        cr_assert(strstr(other.session->attribution.line, "sextant attribute "));
        cr_assert_eq(other.session->composition.state, SX_STATE_EMPTY);
    }
    keep(&s, 3);
    do_line(&other, "rescan");
    do_line(&other, "input");
    {
        const struct sx_composition_result live = s.session->composition.result;
        const struct sx_composition_result *stored = &other.session->composition.result;
        cr_assert_eq(other.session->attribution.state, SX_STATE_EMPTY);
        cr_assert_eq(stored->n_terms, live.n_terms);
        for (size_t i = 0; i < live.n_terms; i++)
            cr_assert_eq(stored->terms[i].score, live.terms[i].score);
        SAME(band, live.n_terms * live.n_bands);
        SAME(radial, live.n_terms * live.n_bands);
        SAME(tangential, live.n_terms * live.n_bands);
        cr_assert_not_null(stored->pairs);
        cr_assert_eq(other.session->selection.layer, 1);
    }
    stage_free(&other);
    stage_free(&s);
}

Test(answer, grids_and_proteins_come_back_bit_for_bit)
{
    struct stage s = stage_new(), other = stage_start();
    open_path(&s, s.model);
    do_line(&s, "input <mask>KTVRQ");
    do_line(&s, "patch-grid --corrupt <mask>RTVKQ --grid layer-token");
    do_line(&s, "head-bands --layer 1 --head 1 --removed 1");
    do_line(&s, "nterm-table --builtin");
    keep(&s, 4);
    open_path(&other, s.file);
    do_line(&other, "input");
    {
        const struct sx_scan_result live = s.session->patching.result;
        const struct sx_scan_result *stored = &other.session->patching.result;
        cr_assert_eq(other.session->patching.state, SX_STATE_READY);
        cr_assert(stored->rows == live.rows && stored->columns == live.columns);
        cr_assert(stored->grid == live.grid && stored->n_done == live.n_done);
        cr_assert(stored->clean == live.clean && stored->corrupt == live.corrupt);
        SAME(value, live.rows * live.columns);
        cr_assert_str_eq(other.session->patching.corrupt, s.session->patching.corrupt);
        cr_assert_str_eq(other.session->patching.what, s.session->patching.what);
    }
    keep(&s, 1);
    do_line(&other, "rescan");
    do_line(&other, "input");
    {
        const struct sx_head_result live = s.session->head.result;
        const struct sx_head_result *stored = &other.session->head.result;
        cr_assert_eq(other.session->head.state, SX_STATE_READY, "%s",
                     other.session->input.error.message);
        cr_assert(stored->removed == 1 && stored->n == live.n && stored->top == live.top);
        SAME(score, live.n_bands * live.n);
        SAME(attention, live.n);
        SAME(attention_removed, live.n);
        cr_assert_eq(stored->p_removed, live.p_removed);
        cr_assert_str_eq(other.session->head.top_text, s.session->head.top_text);
    }
    keep(&s, 5);
    do_line(&other, "rescan");
    do_line(&other, "input");
    {
        const struct sx_nterm_result *stored = &other.session->nterm.result;
        const struct sx_nterm_row *live = s.session->nterm.result.rows;
        cr_assert_eq(other.session->nterm.state, SX_STATE_READY);
        cr_assert_eq(stored->n_rows, 3);
        cr_assert_eq(other.session->input.n, 0);
        for (size_t i = 0; i < 3; i++) {
            const struct sx_nterm_row *row = &stored->rows[i];
            cr_assert_str_eq(row->id, live[i].id);
            cr_assert(row->kind == live[i].kind && row->first == live[i].first &&
                      row->length == live[i].length && row->offset == live[i].offset);
            for (int c = 0; c < SX_PRESENTATION_COUNT; c++) {
                cr_assert_eq(row->cell[c].made, live[i].cell[c].made);
                cr_assert(!row->cell[c].made || (row->cell[c].p_met == live[i].cell[c].p_met &&
                                                 row->cell[c].gap == live[i].cell[c].gap &&
                                                 row->cell[c].top == live[i].cell[c].top));
            }
        }
        const struct sx_nterm_summary *all = &stored->summary;
        cr_assert(all->n_rows >= 1 && all->n_rows <= 3);
        do_line(&other, "rescan");
        cr_assert_eq(other.session->input.state, SX_STATE_READY, "%s",
                     other.session->input.error.message);
        cr_assert_eq(other.session->message_status, SX_OK, "%s", other.session->message);
        cr_assert_eq(other.session->nterm.state, SX_STATE_READY);
    }
    stage_free(&other);
    stage_free(&s);
}

Test(answer, other_passes_are_refused_and_say_what_to_open)
{
    struct stage s = stage_new();
    keep(&s, 4);
    open_path(&s, s.file);
    do_line(&s, "input");
    cr_assert(strstr(s.session->input.title, "stored answer"), "%s", s.session->input.title);
    refuse(&s, "band-table", "holds no weights; open the model model");
    refuse(&s, "patch-grid --ablate zero", "holds no weights");
    do_line(&s, "infer");
    cr_assert_eq(s.session->sequence.state, SX_STATE_FAILED);
    cr_assert_eq(s.session->patching.state, SX_STATE_READY);
    stage_free(&s);
}

/* --- changed files ------------------------------------------------------------------------------
 */

struct change {
    const char *object, *name; /* attribute of a group, or a dataset (object NULL) */
    int how;
};

static const int64_t numbers[] = {-1, 0, 1, 40, 1000000007, INT64_MAX, INT64_MIN};
enum {
    N_NUMBERS = sizeof numbers / sizeof numbers[0],
    AS_TEXT = N_NUMBERS,
    GONE,
    N_ATTRIBUTE_HOWS
};
enum { LESS, OTHER_RANK, FILLED, AS_F64_NAN, MISSING, N_DATASET_HOWS };

static void copy_attributes(struct sx_h5 *from, struct sx_h5 *to, const char *object,
                            const struct change *change)
{
    struct sx_value *map = NULL, *out = sx_value_map();
    struct sx_error err = {0};
    cr_assert_eq(sx_h5_read_attributes(from, object, &map, &err), SX_OK, "%s", err.message);
    for (size_t i = 0; i < sx_value_count(map); i++) {
        const char *key = sx_value_key(map, i);
        const bool this =
            change->object && strcmp(change->object, object) == 0 && strcmp(change->name, key) == 0;
        if (!this)
            sx_value_set(out, key, sx_value_dup(sx_value_item(map, i)));
        else if (change->how < N_NUMBERS)
            sx_value_set(out, key, sx_value_int(numbers[change->how]));
        else if (change->how == AS_TEXT)
            sx_value_set(out, key, sx_value_string("\033[31m %s %n"));
    }
    if (strcmp(object, "/") == 0 || sx_h5_kind(to, object) == SX_H5_GROUP)
        cr_assert_eq(sx_h5_write_attributes(to, object, out, &err), SX_OK, "%s", err.message);
    sx_value_free(map);
    sx_value_free(out);
}

static void copy_dataset(struct sx_h5 *from, struct sx_h5 *to, const char *name,
                         const struct change *change)
{
    struct sx_error err = {0};
    enum sx_dtype dtype;
    int rank;
    uint64_t sides[8], count = 1;
    cr_assert_eq(sx_h5_shape(from, name, &dtype, &rank, sides, &err), SX_OK, "%s", err.message);
    for (int d = 0; d < rank; d++)
        count *= sides[d];
    double *data = sx_calloc_big((size_t)count + 1, sizeof *data);
    cr_assert_eq(sx_h5_read(from, name, dtype, count, data, &err), SX_OK, "%s", err.message);
    const bool this = !change->object && strcmp(change->name, name) == 0;
    if (this && change->how == LESS)
        sides[0]--;
    if (this && change->how == OTHER_RANK)
        sides[rank++] = 1;
    if (this && change->how == FILLED)
        memset(data, 0xfe, (size_t)count * sizeof *data);
    if (this && change->how == AS_F64_NAN) {
        dtype = SX_DTYPE_F64;
        for (uint64_t i = 0; i < count; i++)
            data[i] = NAN;
    }
    if (!this || (change->how != MISSING && sides[0] > 0))
        cr_assert_eq(sx_h5_write(to, name, dtype, rank, sides, data, 0, &err), SX_OK, "%s",
                     err.message);
    sx_free(data);
}

/* The names of a group's datasets, full; the caller frees. */
static struct sx_value *datasets(struct sx_h5 *h5, const char *group)
{
    struct sx_value *names = NULL, *out = sx_value_list();
    struct sx_error err = {0};
    cr_assert_eq(sx_h5_list(h5, *group ? group : "/", &names, &err), SX_OK, "%s", err.message);
    for (size_t i = 0; i < sx_value_count(names); i++) {
        const char *name = sx_value_string_or(sx_value_item(names, i), "");
        char *full = sx_xasprintf("%s%s%s", group, *group ? "/" : "", name);
        if (sx_h5_kind(h5, full) == SX_H5_DATASET && strcmp(full, "document") != 0)
            sx_value_append(out, sx_value_string(full));
        sx_free(full);
    }
    sx_value_free(names);
    return out;
}

static void copy_changed(const struct stage *s, const char *to, const char *slot,
                         const struct change *change)
{
    struct sx_h5 *from = NULL, *out = NULL;
    struct sx_error err = {0};
    const char *const groups[] = {"", slot};
    cr_assert_eq(sx_h5_open(s->file, &from, &err), SX_OK, "%s", err.message);
    cr_assert_eq(sx_h5_create(to, &out, &err), SX_OK, "%s", err.message);
    for (int g = 0; g < 2; g++) {
        struct sx_value *names = datasets(from, groups[g]);
        for (size_t i = 0; i < sx_value_count(names); i++)
            copy_dataset(from, out, sx_value_string_or(sx_value_item(names, i), ""), change);
        sx_value_free(names);
    }
    copy_attributes(from, out, "/", change);
    copy_attributes(from, out, slot, change);
    sx_h5_close(from);
    cr_assert_eq(sx_h5_commit(out, &err), SX_OK, "%s", err.message);
}

/* Opens the changed file: READY or a reason that names it. */
static bool survives(struct stage *s, const char *path, const struct change *change)
{
    const struct sx_input *input = &s->session->input;
    open_path(s, path);
    if (s->session->workspace.n_entries == 0 || !sx_entry_asked(&s->session->workspace.entries[0]))
        return false;
    do_line(s, "select --model 0");
    do_line(s, "input");
    if (input->state == SX_STATE_READY)
        return true;
    cr_assert_eq(input->state, SX_STATE_FAILED);
    cr_assert(strstr(input->error.message, path), "%s %s %d: %s",
              change->object ? change->object : "", change->name, change->how,
              input->error.message);
    return false;
}

static size_t change_attributes(struct stage *s, const char *path, const char *slot,
                                const char *object)
{
    struct sx_h5 *h5 = NULL;
    struct sx_value *map = NULL;
    size_t refused = 0;
    cr_assert_eq(sx_h5_open(s->file, &h5, NULL), SX_OK);
    cr_assert_eq(sx_h5_read_attributes(h5, object, &map, NULL), SX_OK);
    sx_h5_close(h5);
    for (size_t i = 0; i < sx_value_count(map); i++)
        for (int how = 0; how < N_ATTRIBUTE_HOWS; how++) {
            const struct change change = {object, sx_value_key(map, i), how};
            copy_changed(s, path, slot, &change);
            refused += !survives(s, path, &change);
        }
    sx_value_free(map);
    return refused;
}

static size_t change_datasets(struct stage *s, const char *path, const char *slot,
                              const char *group)
{
    struct sx_h5 *h5 = NULL;
    size_t refused = 0;
    cr_assert_eq(sx_h5_open(s->file, &h5, NULL), SX_OK);
    struct sx_value *names = datasets(h5, group);
    sx_h5_close(h5);
    for (size_t i = 0; i < sx_value_count(names); i++)
        for (int how = 0; how < N_DATASET_HOWS; how++) {
            const struct change change = {NULL, sx_value_string_or(sx_value_item(names, i), ""),
                                          how};
            copy_changed(s, path, slot, &change);
            const bool fine = survives(s, path, &change);
            cr_assert(!fine || (how != LESS && how != OTHER_RANK) || strstr(change.name, "text"),
                      "%s of another shape is taken", change.name);
            refused += !fine;
        }
    sx_value_free(names);
    return refused;
}

Test(answer, changed_files_are_refused_or_harmless)
{
    struct stage s = stage_new();
    char *path = sx_xasprintf("%s/changed.run.h5", s.folder);
    for (size_t c = 0; c < N_COMMANDS; c++) {
        static const char *const slots[N_COMMANDS] = {"bands",       "head",     "attribution",
                                                      "composition", "patching", "nterm"};
        keep(&s, c);
        size_t refused = change_attributes(&s, path, slots[c], "/");
        refused += change_attributes(&s, path, slots[c], slots[c]);
        refused += change_datasets(&s, path, slots[c], "");
        refused += change_datasets(&s, path, slots[c], slots[c]);
        cr_assert_gt(refused, 30, "%s: only %zu changes were refused", slots[c], refused);
    }
    sx_free(path);
    stage_free(&s);
}
