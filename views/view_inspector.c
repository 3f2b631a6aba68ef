/* inspector: what one file says about itself, tensor by tensor, and what is odd about it. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model_parts.h"
#include "sextant/model/names.h"
#include "sextant/sae/names.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

struct inspector_state {
    struct sx_table_state tensors;
    size_t entry; /* shown last; another one starts at its top */
};

enum { LABEL_WIDTH = 15 };

/* The selected entry; without one the anchor seed of the family. */
static const struct sx_entry *shown_entry(const struct sx_session *session)
{
    const size_t entry = session->selection.entry;

    if (entry < session->workspace.n_entries)
        return &session->workspace.entries[entry];
    return sx_session_member(session, session->selection.seed_index);
}

/* --- tensors ------------------------------------------------------------------------------------
 */

enum tensor_column { COL_NAME, COL_DTYPE, COL_SHAPE, COL_STRIDES, COL_LAYOUT, TENSOR_COLUMNS };

static const struct sx_view_column tensor_columns[TENSOR_COLUMNS] = {
    [COL_NAME] = {"name", {.title = "tensor", .width = 16, .weight = 1}},
    [COL_DTYPE] = {"dtype", {.title = "dtype", .width = 5}},
    [COL_SHAPE] = {"shape", {.title = "shape", .width = 14, .align = SX_RIGHT}},
    [COL_STRIDES] = {"strides", {.title = "strides", .width = 12, .align = SX_RIGHT}},
    [COL_LAYOUT] = {"layout", {.title = "", .width = 1}},
};

struct tensor_list {
    const struct sx_sae_info *info;
    bool ascii;
    struct sx_column columns[SX_VIEW_COLUMNS];
    int id[SX_VIEW_COLUMNS];
    struct sx_table table;
};

static void dims_text(char *out, size_t size, const uint64_t *dim, int rank, const char *between)
{
    size_t used = 0;

    snprintf(out, size, "scalar");
    for (int i = 0; i < rank && used + 24 < size; i++) {
        const int put = snprintf(out + used, size - used, "%s%llu", i ? between : "",
                                 (unsigned long long)dim[i]);
        used += put > 0 ? (size_t)put : 0;
    }
}

static void tensor_cell(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    const struct tensor_list *list = ctx;
    const struct sx_tensor_row *tensor = &list->info->tensors[row];

    switch ((enum tensor_column)list->id[column]) {
    case COL_NAME:
        sx_cell_text(out, SX_STYLE_TEXT, tensor->name);
        break;
    case COL_DTYPE:
        sx_cell_text(out, SX_STYLE_LABEL, tensor->dtype);
        break;
    case COL_SHAPE:
        dims_text(out->buffer, sizeof out->buffer, tensor->shape, tensor->rank,
                  list->ascii ? "x" : "×");
        sx_cell_text(out, SX_STYLE_NUMBER, out->buffer);
        break;
    case COL_STRIDES:
        if (tensor->rank > 0)
            dims_text(out->buffer, sizeof out->buffer, tensor->strides, tensor->rank, ",");
        sx_cell_text(out, tensor->contiguous ? SX_STYLE_DIM : SX_STYLE_WARN,
                     tensor->rank > 0 ? out->buffer : "");
        break;
    case COL_LAYOUT:
        if (!tensor->contiguous)
            sx_cell_text(out, SX_STYLE_WARN, "!");
        break;
    case TENSOR_COLUMNS:
        break;
    }
}

static void make_tensors(struct tensor_list *list, const struct sx_view *view,
                         const struct sx_sae_info *info, bool ascii)
{
    *list = (struct tensor_list){.info = info, .ascii = ascii};
    const int n =
        sx_view_columns(view, "columns", tensor_columns, TENSOR_COLUMNS, list->columns, list->id);
    list->table = (struct sx_table){
        .columns = list->columns,
        .n_columns = n,
        .n_rows = info->n_tensors,
        .cell = tensor_cell,
        .ctx = list,
        .sort_column = -1,
        .empty = "The file names no tensors.",
    };
}

/* --- fields -------------------------------------------------------------------------------------
 */

struct fields {
    struct sx_canvas *cv;
    int y;
};

static void field(struct fields *f, const char *label, enum sx_style style, const char *value)
{
    if (f->y >= f->cv->h)
        return;
    sx_put(f->cv, 2, f->y, SX_STYLE_LABEL, label);
    sx_put_cut(f->cv, 2 + LABEL_WIDTH, f->y, f->cv->w - LABEL_WIDTH - 3, style, value);
    f->y++;
}

static void field_word(struct fields *f, const char *label, const char *value)
{
    if (value && *value)
        field(f, label, SX_STYLE_TEXT, value);
}

static void field_int(struct fields *f, const char *label, int64_t value)
{
    char text[SX_SHORT_TEXT];

    snprintf(text, sizeof text, "%lld", (long long)value);
    field(f, label, value < 0 ? SX_STYLE_DIM : SX_STYLE_NUMBER, value < 0 ? "?" : text);
}

static void field_real(struct fields *f, const char *label, double value)
{
    char text[SX_SHORT_TEXT];

    if (isnan(value))
        return;
    snprintf(text, sizeof text, "%g", value);
    field(f, label, SX_STYLE_NUMBER, text);
}

static const char *norm_word(enum sx_sae_norm norm)
{
    switch (norm) {
    case SX_NORM_NONE:
        return "none";
    case SX_NORM_EXPECTED_AVERAGE:
        return "expected average only in (scalar not in the file)";
    case SX_NORM_CONSTANT_NORM:
        return "constant norm: x sqrt(D)/|x|";
    case SX_NORM_LAYER:
        return "layer norm, undone at the output";
    case SX_NORM_SQRT_D:
        return "to sqrt(D), undone at the output";
    case SX_NORM_DIVIDE:
        return "divided by a factor, undone at the output";
    }
    return "?";
}

static const struct sx_sae_stats *stats_of(const struct sx_session *session, size_t entry)
{
    for (size_t i = 0; sx_family_ready(session) && i < session->family.n_seeds; i++)
        if (session->family.seeds[i].entry == entry)
            return &session->family.seeds[i].stats;
    return NULL;
}

static void training_fields(struct fields *f, const struct sx_sae_info *info)
{
    field(f, "penalty", info->penalty_known ? SX_STYLE_TEXT : SX_STYLE_DIM,
          info->penalty_known ? sx_penalty_name(info->penalty) : "?");
    field_real(f, "lambda", info->lambda);
    field_real(f, "activation l1", info->l1_activation);
    if (info->constraint != SX_CONSTRAINT_UNKNOWN)
        field_word(f, "constraint", sx_constraint_name(info->constraint));
    field_word(f, "hook", info->hook);
    if (info->layer >= 0)
        field_int(f, "layer", info->layer);
    field_word(f, "model", info->model);
    field_word(f, "input scaling", info->norm == SX_NORM_NONE ? NULL : norm_word(info->norm));
    field_real(f, "scaling factor", info->norm_factor);
    field(f, "before encoder", SX_STYLE_TEXT, info->subtract_b_dec ? "x - b_dec" : "x");
    if (info->scale_by_decoder_norm)
        field_word(f, "latents", "scaled by the decoder's norms");
    field_word(f, "variant", info->variant);
}

static void measured_fields(struct fields *f, const struct sx_sae_stats *stats)
{
    char text[96];

    if (!stats)
        return;
    f->y++;
    snprintf(text, sizeof text, "%s (max |norm-1| %.1e)",
             sx_constraint_name(stats->decoder_constraint), stats->dec_norm_deviation);
    field_word(f, "decoder", text);
    snprintf(text, sizeof text, "mean %.3f, median %.3f, %llu above .95", stats->align_mean,
             stats->align_median, (unsigned long long)stats->align_over_095);
    field_word(f, "alignment", text);
    snprintf(text, sizeof text, "enc %.3g (%.3g … %.3g)", stats->enc_norm_mean, stats->enc_norm_min,
             stats->enc_norm_max);
    field_word(f, "norms", text);
    snprintf(text, sizeof text, "dec %.3g (%.3g … %.3g)", stats->dec_norm_mean, stats->dec_norm_min,
             stats->dec_norm_max);
    field_word(f, "", text);
    snprintf(text, sizeof text, "%llu exactly zero, %llu below 1e-12",
             (unsigned long long)stats->dead_exact, (unsigned long long)stats->dead_tiny);
    field_word(f, "dead", text);
    field_word(f, "fingerprint", stats->fingerprint);
}

static int draw_warnings(struct sx_canvas *cv, const struct sx_sae_info *info)
{
    int y = 0;

    for (size_t i = 0; i < info->n_warnings && y < cv->h; i++) {
        struct sx_canvas line = sx_canvas_sub(cv, (struct sx_rect){4, y, cv->w - 5, cv->h - y});
        sx_put(cv, 2, y, SX_STYLE_WARN, "!");
        y += sx_paragraph(&line, 0, SX_STYLE_WARN, info->warnings[i]);
    }
    return y > 0 ? y + 1 : 0;
}

static void draw_fields(struct sx_canvas *cv, const struct sx_session *session,
                        const struct sx_entry *entry, bool focus)
{
    const struct sx_sae_info *info = &entry->info;
    struct sx_canvas body = sx_frame(cv, "what it says", NULL, focus);
    char text[96], size[SX_SHORT_TEXT];
    struct fields f = {&body, draw_warnings(&body, info)};

    snprintf(text, sizeof text, "%s%s%s", sx_sae_format_name(info->format),
             info->library_class ? ", " : "", info->library_class ? info->library_class : "");
    field_word(&f, "format", text);
    field_word(&f, "architecture", sx_sae_arch_name(info->arch));
    snprintf(text, sizeof text, "%llu → %llu", (unsigned long long)info->activation_dim,
             (unsigned long long)info->dict_size);
    field(&f, "D → F", SX_STYLE_NUMBER, text);
    if (info->k >= 0)
        field_int(&f, "k", info->k);
    field_real(&f, "threshold", info->threshold);
    if (info->n_groups > 0) {
        dims_text(text, sizeof text, info->group_sizes, (int)info->n_groups, " ");
        field(&f, "groups", SX_STYLE_NUMBER, text);
    }
    field_int(&f, "seed", info->seed);
    training_fields(&f, info);
    if (info->image_width > 0) {
        snprintf(text, sizeof text, "%llu × %llu", (unsigned long long)info->image_width,
                 (unsigned long long)info->image_height);
        field(&f, "image", SX_STYLE_NUMBER, text);
    }
    field(&f, "size", SX_STYLE_NUMBER, sx_bytes_text(size, info->bytes));
    field_word(&f, "file", info->file ? info->file : entry->path);
    measured_fields(&f, stats_of(session, (size_t)(entry - session->workspace.entries)));
    if (focus)
        sx_set_cursor(&body, 2, 0, false);
}

static void draw_model(struct sx_canvas *body, const struct sx_entry *entry)
{
    const struct sx_model_info *info = &entry->model;
    char text[SX_SHORT_TEXT];

    const int y = sx_draw_model_facts(body, 0, info);
    struct sx_canvas rest = sx_canvas_sub(body, (struct sx_rect){0, y, body->w, body->h - y});
    struct fields f = {&rest, 0};
    snprintf(text, sizeof text, "%g", info->layer_norm_eps);
    field(&f, "LayerNorm eps", SX_STYLE_NUMBER, text);
    snprintf(text, sizeof text, "%g", info->rope_theta);
    field(&f, "rotary theta", SX_STYLE_NUMBER, text);
    field_word(&f, "path", entry->path);
    sx_set_cursor(body, 2, 0, false);
}

/* --- the screen ---------------------------------------------------------------------------------
 */

static void panes_of(const struct sx_view *view, struct sx_rect pane[2])
{
    sx_two_panes(view, sx_layout_int(view, "share", 50), pane);
}

/* Of an answer that no screen shows the way to see it is said. */
static void draw_stored(struct sx_canvas *cv, const struct sx_entry *entry)
{
    struct sx_canvas body = sx_frame(cv, entry->label, NULL, true);
    const int foot = body.h > 4;
    struct sx_canvas inner =
        sx_canvas_sub(&body, (struct sx_rect){2, foot, body.w - 4, body.h - 3 * foot});

    sx_draw_run(&inner, entry->run);
    if (foot)
        sx_putf(&body, 2, body.h - 1, SX_STYLE_DIM, "%s",
                sx_entry_asked(entry) ? "Enter in the workspace shows it."
                                      : "sextant info FILE prints the answer.");
}

static void inspector_draw(const struct sx_view *view, const struct sx_session *session,
                           struct sx_canvas *canvas)
{
    struct inspector_state *state = view->state;
    const struct sx_entry *entry = shown_entry(session);
    struct sx_rect pane[2];
    struct tensor_list list;
    char info[64];

    if (sx_too_small(canvas, 24, 3))
        return;
    if (entry && entry->kind == SX_ENTRY_MODEL) {
        struct sx_canvas body = sx_frame(canvas, entry->label, NULL, true);
        draw_model(&body, entry);
        return;
    }
    if (entry && entry->kind == SX_ENTRY_RUN && entry->run) {
        draw_stored(canvas, entry);
        return;
    }
    if (!entry || entry->kind != SX_ENTRY_SAE) {
        struct sx_canvas body = sx_frame(canvas, entry ? entry->label : "inspector", NULL, true);
        const bool broken = entry && entry->kind == SX_ENTRY_PROBLEM;
        sx_slot_notice(
            &body, broken ? SX_STATE_FAILED : SX_STATE_EMPTY, broken ? &entry->problem : NULL, "",
            entry && entry->kind == SX_ENTRY_PROTEINS ? "Protein sequences: nothing but text."
            : entry ? "Neither an SAE nor a model: a file that sextant wrote about one."
                    : "Nothing is selected. Press 1 and Enter for the workspace.");
        return;
    }
    panes_of(view, pane);
    if (pane[0].w > 0) {
        struct sx_canvas left = sx_canvas_sub(canvas, pane[0]);
        snprintf(info, sizeof info, "%zu tensors%s", entry->info.n_tensors,
                 entry->info.n_warnings && pane[1].w == 0 ? " · ! Tab" : "");
        struct sx_canvas body = sx_frame(&left, entry->label, info, view->focus == 0);
        const int above = pane[1].w == 0 ? draw_warnings(&body, &entry->info) : 0;
        struct sx_canvas rest =
            sx_canvas_sub(&body, (struct sx_rect){0, above, body.w, body.h - above});
        make_tensors(&list, view, &entry->info, sx_canvas_ascii(canvas));
        sx_table_draw(&rest, &list.table, &state->tensors, view->focus == 0);
    }
    if (pane[1].w > 0) {
        struct sx_canvas right = sx_canvas_sub(canvas, pane[1]);
        draw_fields(&right, session, entry, view->focus == 1);
    }
    sx_pane_divider(canvas, pane);
}

static void inspector_need(struct sx_view *view, const struct sx_session *session,
                           struct sx_emit *emit)
{
    struct inspector_state *state = view->state;
    const struct sx_entry *entry = shown_entry(session);
    const size_t index = entry ? (size_t)(entry - session->workspace.entries) : SIZE_MAX;

    if (state->entry == index)
        return;
    state->entry = index;
    state->tensors = (struct sx_table_state){0};
    emit->dirty = true;
}

static bool inspector_request(struct sx_view *view, const struct sx_session *session,
                              const struct sx_view_request *request, struct sx_emit *emit)
{
    struct inspector_state *state = view->state;
    const struct sx_entry *entry = shown_entry(session);
    const size_t n = session->workspace.n_entries;
    struct sx_rect pane[2];
    struct tensor_list list;

    if (!entry)
        return false;
    const size_t index = (size_t)(entry - session->workspace.entries);
    if (strcmp(request->name, "entry-next") == 0 || strcmp(request->name, "entry-previous") == 0) {
        sx_emit_line(emit, "select --entry %zu",
                     (index + (request->name[6] == 'n' ? 1 : n - 1)) % n);
        return true;
    }
    if (entry->kind != SX_ENTRY_SAE)
        return false;
    panes_of(view, pane);
    if (strcmp(request->name, "click") == 0) {
        const int at = sx_pane_at(pane, 2, request->x, request->y);
        if (at >= 0)
            view->focus = at;
    }
    if (strcmp(request->name, "back") == 0 && view->focus == 1) {
        view->focus = 0;
        emit->dirty = true;
        return true;
    }
    make_tensors(&list, view, &entry->info, false);
    return sx_list_request(&list.table, &state->tensors, pane[0], request, emit);
}

static void inspector_title(const struct sx_view *view, const struct sx_session *session,
                            struct sx_str *out)
{
    const struct sx_entry *entry = shown_entry(session);

    if (entry)
        sx_str_printf(out, "%s ▸ ", entry->label);
    sx_str_append(out, view->ops->name);
}

static void model_row(struct sx_value *rows, const char *name, struct sx_value *take)
{
    struct sx_value *row = sx_value_append(rows, sx_value_map());

    sx_value_set(row, "name", sx_value_string(name));
    sx_value_set(row, "value", take);
}

static void model_rows(struct sx_value *document, struct sx_value *rows,
                       const struct sx_entry *entry)
{
    const struct sx_model_info *info = &entry->model;
    struct sx_value *warnings = sx_value_get(document, "warnings");

    sx_value_set(document, "path", sx_value_string(entry->path));
    for (size_t i = 0; i < info->n_warnings; i++)
        sx_value_append(warnings, sx_value_string(info->warnings[i]));
    model_row(rows, "family", sx_value_string(sx_model_family_name(info->family)));
    model_row(rows, "format", sx_value_string(sx_model_format_name(info->format)));
    model_row(rows, "dtype", sx_value_string(info->dtype));
    const struct {
        const char *name;
        uint64_t value;
    } count[] = {
        {"n_layers", info->n_layers},     {"d_model", info->d_model},
        {"n_heads", info->n_heads},       {"d_head", info->d_head},
        {"d_mlp", info->d_mlp},           {"vocab", info->vocab},
        {"n_bands", info->n_bands},       {"max_positions", info->max_positions},
        {"parameters", info->parameters}, {"bytes", info->bytes},
    };
    for (size_t i = 0; i < sizeof count / sizeof *count; i++)
        model_row(rows, count[i].name, sx_value_int((int64_t)count[i].value));
    model_row(rows, "rope_theta", sx_value_real(info->rope_theta));
    model_row(rows, "layer_norm_eps", sx_value_real(info->layer_norm_eps));
}

static struct sx_value *inspector_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct sx_entry *entry = shown_entry(session);
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);
    struct sx_value *warnings = sx_value_set(document, "warnings", sx_value_list());

    (void)view;
    if (entry && entry->kind == SX_ENTRY_MODEL)
        model_rows(document, rows, entry);
    if (!entry || entry->kind != SX_ENTRY_SAE)
        return document;
    sx_value_set(document, "path", sx_value_string(entry->path));
    for (size_t i = 0; i < entry->info.n_warnings; i++)
        sx_value_append(warnings, sx_value_string(entry->info.warnings[i]));
    for (size_t i = 0; i < entry->info.n_tensors; i++) {
        const struct sx_tensor_row *tensor = &entry->info.tensors[i];
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        char text[192];

        sx_value_set(row, "name", sx_value_string(tensor->name));
        sx_value_set(row, "dtype", sx_value_string(tensor->dtype));
        dims_text(text, sizeof text, tensor->shape, tensor->rank, "x");
        sx_value_set(row, "shape", sx_value_string(text));
        dims_text(text, sizeof text, tensor->strides, tensor->rank, ",");
        sx_value_set(row, "strides", sx_value_string(tensor->rank ? text : ""));
        sx_value_set(row, "contiguous", sx_value_bool(tensor->contiguous));
    }
    return document;
}

static const struct sx_key_binding keys[] = {
    {"inspector", "]", "entry-next", "next file", "The next file of the workspace.", "Inspector"},
    {"inspector", "[", "entry-previous", NULL, "The file before.", "Inspector"},
};

const struct sx_view_ops sx_view_inspector = {
    .name = "inspector",
    .help = "what one file or model says about itself: tensors, shapes, strides, warnings",
    .key = '7',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_FAMILY,
    .n_panes = 2,
    .state_size = sizeof(struct inspector_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = inspector_need,
    .draw = inspector_draw,
    .request = inspector_request,
    .title = inspector_title,
    .data = inspector_data,
};
