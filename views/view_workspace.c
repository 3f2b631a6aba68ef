/* workspace: what was found, by family; beside it the members of the family under the cursor. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model_parts.h"
#include "partner.h"
#include "sextant/base/alloc.h"
#include "sextant/base/text.h"
#include "sextant/model/names.h"
#include "sextant/sae/names.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

enum row_kind { ROW_HEADING, ROW_FAMILY, ROW_ENTRY };

/* In a narrow screen: rows the lower pane needs, rows of the list when it must give way; title,
 * heads and a blank around the list. */
enum { DETAIL_ROWS = 9, SHORT_LIST = 5, LIST_MARGIN = 3 };

struct workspace_row {
    enum row_kind kind;
    size_t index;        /* family or entry */
    const char *heading; /* HEADING only */
};

struct workspace_state {
    struct sx_table_state list, members;
    struct workspace_row *rows; /* owned */
    size_t n, capacity;
    uint64_t built; /* revision of WORKSPACE + 1 that the rows were made from; 0: none */
    char find[128];
};

/* --- rows ---------------------------------------------------------------------------------------
 */

static void add_row(struct workspace_state *state, enum row_kind kind, size_t index,
                    const char *heading)
{
    SX_GROW(state->rows, state->capacity, state->n + 1);
    state->rows[state->n++] = (struct workspace_row){kind, index, heading};
}

static void add_entries(struct workspace_state *state, const struct sx_workspace *workspace,
                        enum sx_entry_kind kind, const char *heading)
{
    bool headed = false;
    for (size_t i = 0; i < workspace->n_entries; i++) {
        if (workspace->entries[i].kind != kind)
            continue;
        if (!headed)
            add_row(state, ROW_HEADING, 0, heading);
        headed = true;
        add_row(state, ROW_ENTRY, i, NULL);
    }
}

static void build_rows(struct workspace_state *state, const struct sx_session *session)
{
    const struct sx_workspace *workspace = &session->workspace;

    state->n = 0;
    for (size_t i = 0; i < workspace->n_families; i++)
        add_row(state, ROW_FAMILY, i, NULL);
    add_entries(state, workspace, SX_ENTRY_MODEL, "models");
    add_entries(state, workspace, SX_ENTRY_RUN, "runs");
    add_entries(state, workspace, SX_ENTRY_PROTEINS, "proteins");
    add_entries(state, workspace, SX_ENTRY_TRAINING, "training runs");
    add_entries(state, workspace, SX_ENTRY_MATCH, "matches");
    add_entries(state, workspace, SX_ENTRY_PROBLEM, "cannot be read");
    state->built = session->revision[SX_SLOT_WORKSPACE] + 1;
}

static bool up_to_date(const struct workspace_state *state, const struct sx_session *session)
{
    return state->built == session->revision[SX_SLOT_WORKSPACE] + 1;
}

static const struct workspace_row *current_row(const struct workspace_state *state,
                                               const struct sx_session *session)
{
    if (!up_to_date(state, session) || state->list.cursor >= state->n)
        return NULL;
    return &state->rows[state->list.cursor];
}

static bool row_is_selected(const struct workspace_row *row, const struct sx_session *session)
{
    if (row->kind == ROW_FAMILY)
        return row->index == session->selection.family;
    return row->kind == ROW_ENTRY && row->index == session->selection.entry;
}

/* The cursor follows the selection when another screen or a command moved it. */
static void follow_selection(struct workspace_state *state, const struct sx_session *session)
{
    const struct workspace_row *row = current_row(state, session);

    if (row && row_is_selected(row, session))
        return;
    SX_ASSERT(state->rows || state->n == 0);
    for (size_t i = 0; i < state->n; i++) {
        if (!row_is_selected(&state->rows[i], session))
            continue;
        state->list.cursor = i;
        return;
    }
    sx_table_goto(&state->list, state->n, state->list.cursor);
}

/* --- the list -----------------------------------------------------------------------------------
 */

struct list_ctx {
    const struct workspace_state *state;
    const struct sx_session *session;
    int name_width;
};

enum list_column { LIST_NAME, LIST_SEEDS, LIST_FLAG, LIST_COLUMNS };

static const struct sx_view_column list_columns[LIST_COLUMNS] = {
    [LIST_NAME] = {"family", {.title = "family", .width = 20, .weight = 1}},
    [LIST_SEEDS] = {"seeds", {.title = "seeds", .width = 9}},
    [LIST_FLAG] = {"warnings", {.title = "", .width = 1}},
};

/* "0 1 2"; with many "0 1 2 … 24 files". */
static void seeds_text(char *out, size_t size, const struct sx_session *session,
                       const struct sx_family *family)
{
    size_t used = 0;

    if (family->n_members > 4) {
        snprintf(out, size, "%zu", family->n_members);
        return;
    }
    out[0] = '\0';
    for (size_t i = 0; i < family->n_members && used + 8 < size; i++) {
        const int64_t seed = session->workspace.entries[family->members[i]].info.seed;
        const int put =
            seed < 0 ? snprintf(out + used, size - used, "%s?", i ? " " : "")
                     : snprintf(out + used, size - used, "%s%lld", i ? " " : "", (long long)seed);
        used += put > 0 ? (size_t)put : 0;
    }
}

/* "esm2-mini  6L 128d 8h"; the family in the column of the seeds. */
static void model_cell(const struct sx_entry *entry, int column, int name_width,
                       struct sx_table_cell *out)
{
    const struct sx_model_info *info = &entry->model;
    const char *name = info->name ? info->name : entry->label;
    char shape[64], cut[64];

    if (column == LIST_NAME) {
        sx_model_shape_text(shape, sizeof shape, info);
        const int room = name_width - (int)strlen(shape) - 2;
        if (room >= 12)
            sx_cell_printf(out, SX_STYLE_TEXT, "%s  %s", sx_middle_cut(cut, sizeof cut, name, room),
                           shape);
        else
            sx_cell_text(out, SX_STYLE_TEXT,
                         sx_middle_cut(out->buffer, sizeof out->buffer, name, name_width));
    } else if (column == LIST_SEEDS) {
        sx_cell_text(out, SX_STYLE_LABEL, sx_model_family_name(info->family));
    } else if (column == LIST_FLAG && info->n_warnings > 0) {
        sx_cell_text(out, SX_STYLE_WARN, "!");
    }
}

static void list_cell(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    const struct list_ctx *list = ctx;
    const struct workspace_row *at = &list->state->rows[row];
    const struct sx_workspace *workspace = &list->session->workspace;

    if (at->kind == ROW_HEADING) {
        if (column == LIST_NAME)
            sx_cell_text(out, SX_STYLE_HEADER, at->heading);
        return;
    }
    if (at->kind == ROW_ENTRY) {
        const struct sx_entry *entry = &workspace->entries[at->index];
        if (entry->kind == SX_ENTRY_MODEL)
            model_cell(entry, column, list->name_width, out);
        else if (column == LIST_NAME)
            sx_cell_text(
                out, SX_STYLE_TEXT,
                sx_middle_cut(out->buffer, sizeof out->buffer, entry->label, list->name_width));
        else if (column == LIST_SEEDS && entry->run)
            sx_cell_text(out, SX_STYLE_LABEL,
                         sx_clean_value(out->buffer, sizeof out->buffer,
                                        sx_value_get(entry->run, "command")));
        else if (column == LIST_FLAG && entry->kind == SX_ENTRY_PROBLEM)
            sx_cell_text(out, SX_STYLE_BAD, "!");
        return;
    }
    const struct sx_family *family = &workspace->families[at->index];
    switch ((enum list_column)column) {
    case LIST_NAME:
        sx_cell_text(
            out, SX_STYLE_TEXT,
            sx_middle_cut(out->buffer, sizeof out->buffer, family->title, list->name_width));
        break;
    case LIST_SEEDS:
        seeds_text(out->buffer, sizeof out->buffer, list->session, family);
        sx_cell_text(out, SX_STYLE_NUMBER, out->buffer);
        break;
    case LIST_FLAG:
        if (family->n_warnings)
            sx_cell_text(out, SX_STYLE_WARN, "!");
        break;
    case LIST_COLUMNS:
        break;
    }
}

static unsigned list_flags(const void *ctx, size_t row)
{
    const struct list_ctx *list = ctx;
    const struct workspace_row *at = &list->state->rows[row];

    if (at->kind == ROW_HEADING)
        return SX_ROW_HEADING;
    return 0;
}

struct list_table {
    struct list_ctx ctx;
    struct sx_column columns[SX_VIEW_COLUMNS];
    int id[SX_VIEW_COLUMNS];
    struct sx_table table;
};

static void list_cell_by_id(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    const struct list_table *list = ctx;
    list_cell(&list->ctx, row, list->id[column], out);
}

static unsigned list_flags_of(const void *ctx, size_t row)
{
    const struct list_table *list = ctx;
    return list_flags(&list->ctx, row);
}

static void make_list(struct list_table *list, const struct sx_view *view,
                      const struct sx_session *session, int width)
{
    const struct workspace_state *state = view->state;

    *list = (struct list_table){.ctx = {state, session, width}};
    const int n =
        sx_view_columns(view, "families", list_columns, LIST_COLUMNS, list->columns, list->id);
    for (int i = 0; i < n; i++) /* what the other columns leave to the name */
        list->ctx.name_width -= list->id[i] == LIST_NAME ? 2 : list->columns[i].width + 2;
    list->table = (struct sx_table){
        .columns = list->columns,
        .n_columns = n,
        .n_rows = up_to_date(state, session) ? state->n : 0,
        .cell = list_cell_by_id,
        .flags = list_flags_of,
        .ctx = list,
        .sort_column = -1,
    };
}

/* --- members of a family ------------------------------------------------------------------------
 */

enum member_column {
    MEMBER_SEED,
    MEMBER_FILE,
    MEMBER_EPOCH,
    MEMBER_MSE,
    MEMBER_L0,
    MEMBER_ALIVE,
    MEMBER_K,
    MEMBER_LATENTS,
    MEMBER_DEAD,
    MEMBER_ALIGN,
    MEMBER_SIZE,
    MEMBER_FLAG,
    MEMBER_COLUMNS
};

static const struct sx_view_column member_columns[MEMBER_COLUMNS] = {
    [MEMBER_SEED] = {"seed", {.title = "seed", .width = 4, .align = SX_RIGHT}},
    [MEMBER_FILE] = {"file", {.title = "file", .width = 14, .weight = 1}},
    [MEMBER_EPOCH] = {"epoch", {.title = "epoch", .width = 5, .align = SX_RIGHT}},
    [MEMBER_MSE] = {"mse", {.title = "MSE", .width = 6, .align = SX_RIGHT}},
    [MEMBER_L0] = {"l0", {.title = "L0", .width = 5, .align = SX_RIGHT}},
    [MEMBER_ALIVE] = {"alive", {.title = "alive", .width = 5, .align = SX_RIGHT}},
    [MEMBER_K] = {"k", {.title = "k", .width = 4, .align = SX_RIGHT}},
    [MEMBER_LATENTS] = {"latents", {.title = "F", .width = 6, .align = SX_RIGHT}},
    [MEMBER_DEAD] = {"dead", {.title = "dead", .width = 5, .align = SX_RIGHT}},
    [MEMBER_ALIGN] = {"align", {.title = "align", .width = 5, .align = SX_RIGHT}},
    [MEMBER_SIZE] = {"size", {.title = "size", .width = 6, .align = SX_RIGHT}},
    [MEMBER_FLAG] = {"warnings", {.title = "", .width = 1}},
};

struct member_table {
    const struct sx_session *session;
    const struct sx_family *family;
    bool ready, pending, ascii; /* of the family's weights */
    size_t common;              /* bytes of the folders that all labels begin with */
    struct sx_column columns[SX_VIEW_COLUMNS];
    int id[SX_VIEW_COLUMNS];
    struct sx_table table;
};

static void member_measure(const struct member_table *members, size_t row, int id,
                           struct sx_table_cell *out)
{
    if (members->pending) {
        sx_cell_pending(out);
        return;
    }
    if (!members->ready || row >= members->session->family.n_seeds) {
        sx_cell_fraction(out, NAN, 2, members->ascii);
        return;
    }
    const struct sx_sae_stats *stats = &members->session->family.seeds[row].stats;
    if (id == MEMBER_ALIGN)
        sx_cell_fraction(out, stats->align_median, 2, members->ascii);
    else if (stats->dead_tiny == 0)
        sx_cell_text(out, SX_STYLE_DIM, members->ascii ? "0" : "·");
    else
        sx_cell_printf(out, SX_STYLE_NUMBER, "%llu", (unsigned long long)stats->dead_tiny);
}

/* What the file says of the end of its training. */
static void member_training(const struct sx_sae_info *info, int id, bool ascii,
                            struct sx_table_cell *out)
{
    const struct sx_sae_training *end = &info->training;
    const bool known = end->steps > 0;

    switch (id) {
    case MEMBER_EPOCH:
        sx_number(out->buffer, sizeof out->buffer, known ? end->epochs : NAN, ascii);
        break;
    case MEMBER_MSE:
        sx_fraction(out->buffer, sizeof out->buffer, known ? end->mse : NAN, 4, ascii);
        break;
    case MEMBER_L0:
        if (known && !isnan(end->l0))
            snprintf(out->buffer, sizeof out->buffer, "%.1f", end->l0);
        else
            snprintf(out->buffer, sizeof out->buffer, "–");
        break;
    default:
        if (known && !isnan(end->dead) && info->dict_size > 0)
            snprintf(out->buffer, sizeof out->buffer, "%.0f%%",
                     100 * (1 - end->dead / (double)info->dict_size));
        else
            snprintf(out->buffer, sizeof out->buffer, "–");
        break;
    }
    sx_cell_text(out, known ? SX_STYLE_NUMBER : SX_STYLE_DIM, out->buffer);
}

/* Our own files tell how training ended; for a family of others the columns would be empty. */
static bool tells_training(const struct sx_session *session, const struct sx_family *family)
{
    for (size_t m = 0; m < family->n_members; m++)
        if (session->workspace.entries[family->members[m]].info.format == SX_SAE_SEXTANT)
            return true;
    return false;
}

static void member_cell(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    const struct member_table *members = ctx;
    const struct sx_entry *entry =
        &members->session->workspace.entries[members->family->members[row]];
    const enum member_column id = (enum member_column)members->id[column];

    switch (id) {
    case MEMBER_SEED:
        sx_seed_text(out->buffer, entry->info.seed);
        sx_cell_text(out, SX_STYLE_NUMBER, out->buffer);
        break;
    case MEMBER_FILE:
        sx_cell_text(out, SX_STYLE_TEXT, entry->label + members->common);
        break;
    case MEMBER_EPOCH:
    case MEMBER_MSE:
    case MEMBER_L0:
    case MEMBER_ALIVE:
        member_training(&entry->info, (int)id, members->ascii, out);
        break;
    case MEMBER_K:
        if (entry->info.k > 0)
            sx_cell_printf(out, SX_STYLE_NUMBER, "%lld", (long long)entry->info.k);
        break;
    case MEMBER_LATENTS:
        sx_cell_printf(out, SX_STYLE_NUMBER, "%llu", (unsigned long long)entry->info.dict_size);
        break;
    case MEMBER_DEAD:
    case MEMBER_ALIGN:
        member_measure(members, row, (int)id, out);
        break;
    case MEMBER_SIZE:
        sx_bytes_text(out->buffer, entry->info.bytes);
        sx_cell_text(out, SX_STYLE_DIM, out->buffer);
        break;
    case MEMBER_FLAG:
        if (entry->info.n_warnings)
            sx_cell_text(out, SX_STYLE_WARN, "!");
        break;
    case MEMBER_COLUMNS:
        break;
    }
}

static size_t common_folder(const struct sx_session *session, const struct sx_family *family)
{
    const char *first = session->workspace.entries[family->members[0]].label;
    size_t common = strlen(first), folder = 0;

    for (size_t m = 1; m < family->n_members; m++) {
        const char *label = session->workspace.entries[family->members[m]].label;
        size_t i = 0;
        while (i < common && label[i] == first[i])
            i++;
        common = i;
    }
    for (size_t i = 0; i < common; i++)
        if (first[i] == '/')
            folder = i + 1;
    return folder;
}

static void make_members(struct member_table *members, const struct sx_view *view,
                         const struct sx_session *session, const struct sx_family *family,
                         bool ascii)
{
    const bool same = family == sx_selected_family(session) &&
                      session->family.family == session->selection.family;

    *members = (struct member_table){
        .session = session,
        .family = family,
        .ready = same && sx_family_ready(session),
        .pending = same && session->family.state == SX_STATE_PENDING,
        .ascii = ascii,
        .common = family->n_members > 0 ? common_folder(session, family) : 0,
    };
    const bool trained = tells_training(session, family);
    const int known = sx_view_columns(view, "members", member_columns, MEMBER_COLUMNS,
                                      members->columns, members->id);
    int n = 0;
    for (int i = 0; i < known; i++) {
        const int id = members->id[i];
        if (!trained && id >= MEMBER_EPOCH && id <= MEMBER_ALIVE)
            continue;
        members->columns[n] = members->columns[i];
        members->id[n++] = id;
    }
    members->table = (struct sx_table){
        .columns = members->columns,
        .n_columns = n,
        .n_rows = family->n_members,
        .cell = member_cell,
        .ctx = members,
        .sort_column = -1,
    };
}

/* --- what is known of a loaded family ------------------------------------------------------------
 */

static int draw_agreement(struct sx_canvas *cv, int y, const struct sx_session *session)
{
    const bool ascii = sx_canvas_ascii(cv);
    struct sx_agreement mean;
    char mmcs[3][SX_SHORT_TEXT], shared[3][SX_SHORT_TEXT], paired[SX_SHORT_TEXT];

    if (session->family.n_seeds < 2)
        return y;
    if (session->match.state == SX_STATE_PENDING) {
        sx_put(cv, 2, y, SX_STYLE_BUSY, "matching seeds …");
        return y + 2;
    }
    if (!sx_mean_agreement(session, &mean)) {
        int x = 2 + sx_put(cv, 2, y, SX_STYLE_LABEL, "agreement over seeds  ");
        x += sx_put(cv, x, y, SX_STYLE_DIM, "not computed: ");
        x += sx_put(cv, x, y, SX_STYLE_KEY, "s");
        sx_put(cv, x, y, SX_STYLE_DIM, " matches them");
        return y + 2;
    }
    const double mmcs_of[] = {mean.mmcs_enc, mean.mmcs_dec, mean.mmcs};
    const double shared_of[] = {mean.shared_enc, mean.shared_dec, mean.shared};
    for (int i = 0; i < 3; i++) {
        sx_fraction(mmcs[i], sizeof mmcs[i], mmcs_of[i], 3, ascii);
        sx_percent_text(shared[i], shared_of[i], ascii);
    }
    sx_percent_text(paired, mean.paired, ascii);
    sx_put(cv, 2, y, SX_STYLE_LABEL, "agreement over seeds");
    static const char *const head[] = {"MMCS", "paired %", "shared %"};
    static const char *const line[] = {"encoder", "decoder", "both"};
    for (int c = 0; c < 3; c++)
        sx_put_right(cv, 22 + 9 * c, y, 9, SX_STYLE_HEADER, head[c]);
    for (int i = 0; i < 3; i++) {
        sx_put(cv, 4, y + 1 + i, SX_STYLE_LABEL, line[i]);
        sx_put_right(cv, 22, y + 1 + i, 9, SX_STYLE_NUMBER, mmcs[i]);
        sx_put_right(cv, 31, y + 1 + i, 9, SX_STYLE_NUMBER, i == 1 ? paired : "");
        sx_put_right(cv, 40, y + 1 + i, 9, SX_STYLE_NUMBER, shared[i]);
    }
    return y + 5;
}

enum { SPARK_BINS = 24 };

/* Without a spread there is nothing to see in a distribution: the text alone. */
static int draw_spark(struct sx_canvas *cv, int y, const char *label, const float *value, size_t n,
                      double lo, double hi, const char *text)
{
    double bin[SPARK_BINS];
    int x = 14;

    sx_put(cv, 2, y, SX_STYLE_LABEL, label);
    if (hi - lo > 1e-3 * fabs(hi)) {
        sx_bin_floats(value, n, lo, hi, bin, SPARK_BINS);
        x += sx_sparkline(cv, x, y, SPARK_BINS, SX_STYLE_BAR, bin, SPARK_BINS, 0) + 2;
    }
    sx_put(cv, x, y, SX_STYLE_NUMBER, text);
    return y + 1;
}

static int draw_measures(struct sx_canvas *cv, int y, const struct sx_session *session)
{
    const struct sx_seed_latents *anchor = sx_anchor_latents(session);
    const bool ascii = sx_canvas_ascii(cv);
    const size_t F = (size_t)session->family.F;
    char text[96], a[SX_SHORT_TEXT], b[SX_SHORT_TEXT];
    double lo = 0, hi = 1;

    if (!anchor)
        return y;
    snprintf(text, sizeof text, "%s  (max |‖w‖-1| %.1e)",
             sx_constraint_name(anchor->stats.decoder_constraint),
             anchor->stats.dec_norm_deviation);
    sx_put(cv, 2, y, SX_STYLE_LABEL, "constraint");
    sx_put(cv, 14, y++, SX_STYLE_TEXT, text);
    snprintf(text, sizeof text, "median %s",
             sx_fraction(a, sizeof a, anchor->stats.align_median, 2, ascii));
    y = draw_spark(cv, y, "alignment", anchor->align, F, -0.2, 1, text);
    if (sx_float_range(anchor->enc_norm, F, &lo, &hi)) {
        snprintf(text, sizeof text, "%s … %s", sx_fraction(a, sizeof a, lo, 2, ascii),
                 sx_fraction(b, sizeof b, hi, 2, ascii));
        y = draw_spark(cv, y, "norms enc", anchor->enc_norm, F, lo, hi, text);
    }
    if (sx_float_range(anchor->dec_norm, F, &lo, &hi)) {
        snprintf(text, sizeof text, "%s … %s", sx_fraction(a, sizeof a, lo, 2, ascii),
                 sx_fraction(b, sizeof b, hi, 2, ascii));
        y = draw_spark(cv, y, "norms dec", anchor->dec_norm, F, lo, hi, text);
    }
    return y + 1;
}

static void draw_warnings(struct sx_canvas *cv, int y, const struct sx_session *session,
                          const struct sx_family *family)
{
    for (size_t m = 0; m < family->n_members; m++) {
        const struct sx_entry *entry = &session->workspace.entries[family->members[m]];
        for (size_t w = 0; w < entry->info.n_warnings && y < cv->h; w++) {
            char line[256], seed[SX_SHORT_TEXT];
            struct sx_canvas inner =
                sx_canvas_sub(cv, (struct sx_rect){2, y, cv->w - 3, cv->h - y});
            snprintf(line, sizeof line, "! seed %s: %s", sx_seed_text(seed, entry->info.seed),
                     entry->info.warnings[w]);
            y += sx_paragraph(&inner, 0, SX_STYLE_WARN, line);
        }
    }
}

static void draw_family(struct sx_canvas *cv, const struct sx_view *view,
                        const struct sx_session *session, const struct sx_family *family,
                        bool focus)
{
    struct workspace_state *state = view->state;
    struct member_table members;
    const bool selected = family == sx_selected_family(session);
    struct sx_canvas body = sx_frame(cv, family->title, NULL, focus);
    int rows = (int)family->n_members + 1;
    const int most = body.h > 14 ? body.h - 11 : body.h;

    make_members(&members, view, session, family, sx_canvas_ascii(cv));
    if (rows > most)
        rows = most;
    struct sx_canvas table = sx_canvas_sub(&body, (struct sx_rect){0, 0, body.w, rows});
    sx_table_draw(&table, &members.table, &state->members, focus);

    int y = rows + 1;
    if (!selected)
        return;
    if (sx_family_ready(session)) {
        y = draw_agreement(&body, y, session);
        y = draw_measures(&body, y, session);
    } else if (session->family.state == SX_STATE_PENDING) {
        sx_put(&body, 2, y, SX_STYLE_BUSY, "reading weights …");
        y += 2;
    } else if (session->family.state == SX_STATE_FAILED &&
               session->family.family == session->selection.family) {
        struct sx_canvas inner =
            sx_canvas_sub(&body, (struct sx_rect){2, y, body.w - 3, body.h - y});
        y += sx_paragraph(&inner, 0, SX_STYLE_BAD, session->family.error.message) + 1;
    } else {
        int x = 2 + sx_put(&body, 2, y, SX_STYLE_DIM, "weights not read yet: ");
        x += sx_put(&body, x, y, SX_STYLE_KEY, "Enter");
        sx_put(&body, x, y, SX_STYLE_DIM, " browses, s matches seeds");
        y += 2;
    }
    draw_warnings(&body, y, session, family);
}

static void draw_model(struct sx_canvas *body, const struct sx_entry *entry)
{
    const int y = sx_draw_model_facts(body, body->h > 14, &entry->model);
    int x = 2;

    if (y + 1 >= body->h)
        return;
    x += sx_put(body, x, y + 1, SX_STYLE_KEY, "Enter");
    sx_put_cut(body, x, y + 1, body->w - x - 1, SX_STYLE_DIM,
               entry->model.family == SX_MODEL_ESM2
                   ? " opens it: mask residues, see what is predicted"
                   : " opens it: type a prompt, see what is predicted");
}

static void draw_entry(struct sx_canvas *cv, const struct sx_entry *entry, bool focus)
{
    char title[96];

    snprintf(title, sizeof title, "%s · model", entry->model.name ? entry->model.name : "");
    struct sx_canvas body =
        sx_frame(cv, entry->kind == SX_ENTRY_MODEL ? title : entry->label, NULL, focus);
    struct sx_canvas inner =
        sx_canvas_sub(&body, (struct sx_rect){2, body.h > 4, body.w - 4, body.h});

    if (entry->kind == SX_ENTRY_MODEL) {
        draw_model(&body, entry);
        return;
    }
    if (entry->kind == SX_ENTRY_PROBLEM)
        sx_paragraph(&inner, 0, SX_STYLE_BAD, entry->problem.message);
    else if (entry->kind == SX_ENTRY_RUN && entry->run)
        sx_draw_run(&inner, entry->run);
    else if (entry->kind == SX_ENTRY_RUN)
        sx_paragraph(&inner, 0, SX_STYLE_TEXT,
                     "Activations of a transformer, as `run --out` wrote them. h5py and h5dump "
                     "read it; the units stand in its attributes.");
    else if (entry->kind == SX_ENTRY_PROTEINS)
        sx_paragraph(&inner, 0, SX_STYLE_TEXT,
                     "Protein sequences. Enter asks the selected ESM-2 model what stands first in "
                     "each.");
    else if (entry->kind == SX_ENTRY_TRAINING)
        sx_paragraph(&inner, 0, SX_STYLE_TEXT, "A training run. Enter shows its curves.");
    else
        sx_paragraph(&inner, 0, SX_STYLE_TEXT,
                     "Matched seeds, as `match --out` wrote them. Open the family of its SAEs and "
                     "press s to see them matched again.");
}

/* --- the screen ---------------------------------------------------------------------------------
 */

/* Beside each other; in a narrow screen below each other once the lower one has the focus. */
static void panes_of(const struct sx_view *view, struct sx_rect pane[2])
{
    const struct workspace_state *state = view->state;
    const struct sx_rect body = sx_body_rect(view);
    const int list = (int)(state->n < 1000 ? state->n : 1000) + LIST_MARGIN;

    if (!sx_folded(view)) {
        sx_two_panes(view, sx_layout_int(view, "share", 48), pane);
        return;
    }
    pane[0] = pane[1] = body;
    if (view->focus == 0)
        pane[1].h = 0;
    else
        pane[0].h = list + DETAIL_ROWS <= body.h         ? list
                    : body.h >= SHORT_LIST + DETAIL_ROWS ? SHORT_LIST
                                                         : 0;
    if (view->focus == 1) {
        pane[1].y = pane[0].h;
        pane[1].h = body.h - pane[0].h;
    }
    for (int i = 0; i < 2; i++)
        if (pane[i].h <= 0)
            pane[i].w = 0;
}

static void draw_empty(struct sx_canvas *cv, const struct sx_session *session)
{
    struct sx_canvas body = sx_frame(cv, "workspace", NULL, true);
    char text[512];

    snprintf(text, sizeof text,
             "No SAEs and no models under %s. Type :open PATH to look elsewhere; PATH is a folder "
             "or a file of dictionary_learning, SAELens, sparsify, InterPLM, Gemma Scope or "
             "sextant (*.sae.h5), or an ESM-2 or GPT-NeoX model (Hugging Face folder, fair-esm "
             ".pt). Or train some: :train examples/mnist/quick.yaml",
             session->workspace.root ? session->workspace.root : "here");
    sx_slot_notice(&body,
                   session->workspace_state == SX_STATE_READY ? SX_STATE_EMPTY
                                                              : session->workspace_state,
                   &(struct sx_error){.message = "the path could not be read; see the last line"},
                   "looking for SAEs and models …", text);
}

static bool has_models(const struct sx_workspace *workspace)
{
    for (size_t i = 0; i < workspace->n_entries; i++)
        if (sx_entry_asked(&workspace->entries[i]) || workspace->entries[i].kind == SX_ENTRY_RUN)
            return true;
    return false;
}

/* The list; without any SAE it says why and what to do. */
static void draw_list(struct sx_canvas *cv, const struct sx_view *view,
                      const struct sx_session *session, struct list_table *list)
{
    struct workspace_state *state = view->state;
    const struct sx_workspace *workspace = &session->workspace;
    const bool focus = view->focus == 0;
    char info[64];

    snprintf(info, sizeof info, "%zu", workspace->n_families);
    const bool models = has_models(workspace);
    struct sx_canvas body = workspace->n_families > 0 ? sx_frame(cv, "families", info, focus)
                            : models                  ? sx_frame(cv, "here", NULL, focus)
                                                      : sx_frame(cv, "no SAEs yet", NULL, focus);
    for (int i = 0; workspace->n_families == 0 && i < list->table.n_columns; i++)
        list->columns[i].title = list->id[i] == LIST_NAME ? "file" : "";
    sx_table_draw(&body, &list->table, &state->list, focus);
    if (workspace->n_families > 0 || models)
        return;
    const int below = (int)state->n + 2;
    struct sx_canvas rest =
        sx_canvas_sub(&body, (struct sx_rect){2, below, body.w - 4, body.h - below});
    sx_paragraph(&rest, 0, SX_STYLE_DIM,
                 workspace->n_problems > 0
                     ? "No SAE here can be read. Enter says why; :open PATH looks elsewhere."
                     : "SAEs are written when training ends. Enter shows the curves so far, r "
                       "looks again, :open PATH looks elsewhere.");
}

static void workspace_draw(const struct sx_view *view, const struct sx_session *session,
                           struct sx_canvas *canvas)
{
    struct workspace_state *state = view->state;
    const struct workspace_row *row = current_row(state, session);
    struct sx_rect pane[2];
    struct list_table list;

    if (sx_too_small(canvas, 24, 3))
        return;
    if (state->n == 0 || !row) {
        draw_empty(canvas, session);
        return;
    }
    panes_of(view, pane);
    make_list(&list, view, session, pane[0].w);
    if (pane[0].w > 0) {
        struct sx_canvas left = sx_canvas_sub(canvas, pane[0]);
        draw_list(&left, view, session, &list);
    }
    if (pane[1].w > 0) {
        struct sx_canvas right = sx_canvas_sub(canvas, pane[1]);
        const bool focus = view->focus == 1;
        if (row->kind == ROW_FAMILY)
            draw_family(&right, view, session, &session->workspace.families[row->index], focus);
        else if (row->kind == ROW_ENTRY)
            draw_entry(&right, &session->workspace.entries[row->index], focus);
    }
    sx_pane_divider(canvas, pane);
}

/* The family beside the list, as long as the cursor is in the list. */
static size_t workspace_followers(const struct sx_view *view, const struct sx_session *session,
                                  struct sx_rect out[SX_FOLLOWERS])
{
    struct sx_rect pane[2];

    (void)session;
    panes_of(view, pane);
    out[0] = pane[1];
    return view->focus == 0 && pane[1].w > 0;
}

static void workspace_need(struct sx_view *view, const struct sx_session *session,
                           struct sx_emit *emit)
{
    struct workspace_state *state = view->state;

    if (!up_to_date(state, session)) {
        build_rows(state, session);
        emit->dirty = true;
    }
    follow_selection(state, session);
    if (sx_selected_family(session))
        state->members.cursor = session->selection.seed_index;
}

/* --- requests -----------------------------------------------------------------------------------
 */

static void select_row(const struct workspace_state *state, const struct sx_session *session,
                       struct sx_emit *emit)
{
    const struct workspace_row *row = current_row(state, session);

    if (!row || row_is_selected(row, session))
        return;
    if (row->kind == ROW_FAMILY)
        sx_emit_line(emit, "select --family %zu", row->index);
    else if (session->workspace.entries[row->index].kind == SX_ENTRY_TRAINING)
        sx_emit_line(emit, "select --entry %zu --training %zu", row->index, row->index);
    else
        sx_emit_line(emit, "select --entry %zu", row->index);
}

/* Headings are passed over, in the direction of the move. */
static void skip_headings(struct workspace_state *state, size_t before)
{
    const long step = state->list.cursor >= before ? 1 : -1;
    size_t at = state->list.cursor;

    while (at < state->n && state->rows[at].kind == ROW_HEADING)
        at = (size_t)((long)at + step);
    state->list.cursor = at < state->n ? at : before;
}

static const char *row_text(const struct workspace_row *row, const struct sx_session *session)
{
    if (row->kind == ROW_FAMILY)
        return session->workspace.families[row->index].title;
    return row->kind == ROW_ENTRY ? session->workspace.entries[row->index].label : "";
}

static bool contains(const char *text, const char *find)
{
    const size_t n = strlen(find);
    for (; n > 0 && *text; text++) {
        size_t i = 0;
        while (i < n && text[i] && (text[i] | 0x20) == (find[i] | 0x20))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

static void find_row(struct workspace_state *state, const struct sx_session *session, long step,
                     struct sx_emit *emit)
{
    for (size_t tried = 1; tried <= state->n; tried++) {
        const size_t at =
            (state->list.cursor + state->n + (step > 0 ? tried : state->n - tried % state->n)) %
            state->n;
        if (!contains(row_text(&state->rows[at], session), state->find))
            continue;
        state->list.cursor = at;
        emit->dirty = true;
        return;
    }
    sx_emit_line(emit, "message not found: %s", state->find);
}

static bool search_request(struct workspace_state *state, const struct sx_session *session,
                           const struct sx_view_request *request, struct sx_emit *emit)
{
    if (strcmp(request->name, "search") == 0) {
        snprintf(state->find, sizeof state->find, "%s", request->text ? request->text : "");
        if (!*state->find)
            return true;
        find_row(state, session, 1, emit);
    } else if (strcmp(request->name, "search-next") == 0 && *state->find) {
        find_row(state, session, 1, emit);
    } else if (strcmp(request->name, "search-previous") == 0 && *state->find) {
        find_row(state, session, -1, emit);
    } else {
        return false;
    }
    select_row(state, session, emit);
    return true;
}

/* Where a model is asked first, or a stored run or answer is shown. */
static const char *screen_of(const struct sx_entry *entry)
{
    static const char *const screens[][2] = {
        {"bands", "bands"},         {"head", "head"},         {"attribution", "circuit"},
        {"composition", "circuit"}, {"patching", "patching"}, {"nterm", "nterm"},
    };
    const char *slot = sx_value_string_or(sx_value_get(entry->run, "slot"), "");

    for (size_t i = 0; i < sizeof screens / sizeof *screens; i++)
        if (strcmp(slot, screens[i][0]) == 0)
            return screens[i][1];
    return "sequence";
}

/* Not selected again: that would empty its input. */
static void open_model(const struct sx_session *session, size_t entry, struct sx_emit *emit)
{
    if (session->selection.model != entry)
        sx_emit_line(emit, "select --model %zu", entry);
    sx_emit_line(emit, "view %s", screen_of(&session->workspace.entries[entry]));
}

/* The command takes the selected entry by itself. */
static void open_proteins(const struct sx_session *session, size_t entry, struct sx_emit *emit)
{
    const struct sx_nterm_data *data = &session->nterm;
    const char *path = session->workspace.entries[entry].path;
    const bool there = data->state == SX_STATE_READY || data->state == SX_STATE_PENDING;

    if (!there || !data->path || strcmp(data->path, path) != 0)
        sx_emit_line(emit, "nterm-table");
    sx_emit_line(emit, "view nterm");
}

static void open_row(const struct workspace_state *state, const struct sx_session *session,
                     struct sx_emit *emit)
{
    const struct workspace_row *row = &state->rows[state->list.cursor];

    select_row(state, session, emit);
    if (row->kind == ROW_FAMILY)
        sx_emit_line(emit, "view features");
    else if (session->workspace.entries[row->index].kind == SX_ENTRY_TRAINING)
        sx_emit_line(emit, "view training");
    else if (session->workspace.entries[row->index].kind == SX_ENTRY_PROTEINS)
        open_proteins(session, row->index, emit);
    else if (sx_entry_asked(&session->workspace.entries[row->index]))
        open_model(session, row->index, emit);
    else
        sx_emit_line(emit, "view inspector");
}

static bool members_request(struct sx_view *view, const struct sx_session *session,
                            const struct sx_view_request *request, struct sx_rect pane,
                            struct sx_emit *emit)
{
    struct workspace_state *state = view->state;
    const struct sx_family *family = sx_selected_family(session);
    struct member_table members;

    if (!family)
        return false;
    make_members(&members, view, session, family, false);
    if (!sx_list_request(&members.table, &state->members, pane, request, emit))
        return false;
    if (state->members.cursor != session->selection.seed_index)
        sx_emit_line(emit, "select --seed %zu", state->members.cursor);
    return true;
}

static bool workspace_request(struct sx_view *view, const struct sx_session *session,
                              const struct sx_view_request *request, struct sx_emit *emit)
{
    struct workspace_state *state = view->state;
    struct sx_rect pane[2];
    struct list_table list;

    if (!current_row(state, session))
        return false;
    panes_of(view, pane);
    if (strcmp(request->name, "click") == 0) {
        const int at = sx_pane_at(pane, 2, request->x, request->y);
        if (at >= 0)
            view->focus = at;
    }
    if (strcmp(request->name, "open") == 0) {
        open_row(state, session, emit);
        return true;
    }
    if (strcmp(request->name, "back") == 0 && view->focus == 1) {
        view->focus = 0;
        emit->dirty = true;
        return true;
    }
    if (search_request(state, session, request, emit))
        return true;
    if (view->focus == 1)
        return members_request(view, session, request, pane[1], emit);

    const size_t before = state->list.cursor;
    make_list(&list, view, session, pane[0].w);
    if (!sx_list_request(&list.table, &state->list, pane[0], request, emit))
        return false;
    skip_headings(state, before);
    select_row(state, session, emit);
    return true;
}

static void workspace_title(const struct sx_view *view, const struct sx_session *session,
                            struct sx_str *out)
{
    (void)session;
    sx_str_append(out, view->ops->name);
}

/* --- as data ------------------------------------------------------------------------------------
 */

static const char *const entry_words[] = {
    [SX_ENTRY_SAE] = "sae",           [SX_ENTRY_TRAINING] = "training",
    [SX_ENTRY_MATCH] = "match",       [SX_ENTRY_MODEL] = "model",
    [SX_ENTRY_RUN] = "run",           [SX_ENTRY_PROBLEM] = "problem",
    [SX_ENTRY_PROTEINS] = "proteins",
};

static struct sx_value *workspace_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct sx_workspace *workspace = &session->workspace;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    (void)view;
    for (size_t i = 0; i < workspace->n_entries; i++) {
        const struct sx_entry *entry = &workspace->entries[i];
        const bool sae = entry->kind == SX_ENTRY_SAE, model = entry->kind == SX_ENTRY_MODEL;
        struct sx_value *row = sx_value_append(rows, sx_value_map());

        sx_value_set(row, "kind", sx_value_string(entry_words[entry->kind]));
        sx_value_set(row, "path", sx_value_string(entry->path));
        sx_value_set(row, "family",
                     sae && entry->family < workspace->n_families
                         ? sx_value_string(workspace->families[entry->family].title)
                         : sx_value_null());
        sx_value_set(row, "format",
                     sae     ? sx_value_string(sx_sae_format_name(entry->info.format))
                     : model ? sx_value_string(sx_model_format_name(entry->model.format))
                             : sx_value_null());
        sx_value_set(row, "arch",
                     sae     ? sx_value_string(sx_sae_arch_name(entry->info.arch))
                     : model ? sx_value_string(sx_model_family_name(entry->model.family))
                             : sx_value_null());
        sx_value_set(row, "activation_dim",
                     sae ? sx_value_int((int64_t)entry->info.activation_dim) : sx_value_null());
        sx_value_set(row, "dict_size",
                     sae ? sx_value_int((int64_t)entry->info.dict_size) : sx_value_null());
        sx_value_set(row, "k",
                     sae && entry->info.k >= 0 ? sx_value_int(entry->info.k) : sx_value_null());
        sx_value_set(row, "seed",
                     sae && entry->info.seed >= 0 ? sx_value_int(entry->info.seed)
                                                  : sx_value_null());
        sx_value_set(row, "warnings",
                     sx_value_int(sae     ? (int64_t)entry->info.n_warnings
                                  : model ? (int64_t)entry->model.n_warnings
                                          : 0));
        sx_value_set(row, "problem",
                     entry->kind == SX_ENTRY_PROBLEM ? sx_value_string(entry->problem.message)
                                                     : sx_value_null());
    }
    return document;
}

static void workspace_release(struct sx_view *view)
{
    struct workspace_state *state = view->state;
    sx_free(state->rows);
}

static const struct sx_key_binding keys[] = {
    {"workspace", "Enter", "open", "open", "Open the family, the model or the run.", "Workspace"},
    {"workspace", "s", ":view seeds", "seeds", "Match the seeds of the family.", "Workspace"},
    {"workspace", "t", ":view training", "training", "Training curves.", "Workspace"},
    {"workspace", "i", ":view inspector", "inspect", "What the file says, tensor by tensor.",
     "Workspace"},
    {"workspace", "w", ":view weights", "weights", "Alignment and norms of the family.",
     "Workspace"},
    {"workspace", "v", ":view gallery", "gallery", "Latents as images.", "Workspace"},
    {"workspace", "b", ":view bands", NULL, "A model's attention scores in rotary bands.",
     "Workspace"},
    {"workspace", "r", ":rescan", "rescan", "Look at the same paths again.", "Workspace"},
};

const struct sx_view_ops sx_view_workspace = {
    .name = "workspace",
    .help = "what is here: families of SAEs, models, runs, and what cannot be read",
    .key = '1',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_FAMILY |
               1u << SX_SLOT_MATCH,
    .n_panes = 2,
    .state_size = sizeof(struct workspace_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = workspace_need,
    .draw = workspace_draw,
    .followers = workspace_followers,
    .request = workspace_request,
    .title = workspace_title,
    .data = workspace_data,
    .release = workspace_release,
};
