#include "view_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/text.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"

/* Matching starts by itself up to this many latents: about a second a pair. */
enum { MATCH_AT_ONCE = 4096, FOLD_WIDTH = 100 };

/* --- session ------------------------------------------------------------------------------------
 */

const struct sx_family *sx_selected_family(const struct sx_session *session)
{
    const size_t family = session->selection.family;
    return family < session->workspace.n_families ? &session->workspace.families[family] : NULL;
}

bool sx_family_ready(const struct sx_session *session)
{
    return session->family.state == SX_STATE_READY && sx_selected_family(session) &&
           session->family.family == session->selection.family;
}

bool sx_match_ready(const struct sx_session *session)
{
    return session->match.state == SX_STATE_READY && sx_selected_family(session) &&
           session->match.family == session->selection.family && session->match.set;
}

const struct sx_seed_latents *sx_anchor_latents(const struct sx_session *session)
{
    const size_t seed = session->selection.seed_index;
    if (!sx_family_ready(session) || seed >= session->family.n_seeds)
        return NULL;
    return &session->family.seeds[seed];
}

bool sx_latent_dead(const struct sx_seed_latents *latents, uint32_t latent)
{
    return latents->enc_norm[latent] < 1e-12f || latents->dec_norm[latent] < 1e-12f;
}

int64_t sx_seed_of(const struct sx_session *session, size_t member)
{
    const struct sx_entry *entry = sx_session_member(session, member);
    return entry ? entry->info.seed : -1;
}

bool sx_need_family(const struct sx_session *session, struct sx_emit *emit)
{
    if (!sx_selected_family(session))
        return false;
    if (session->family.state == SX_STATE_EMPTY ||
        session->family.family != session->selection.family)
        sx_emit_line(emit, "load-family");
    return sx_family_ready(session);
}

void sx_need_match(const struct sx_session *session, bool always, struct sx_emit *emit)
{
    if (!sx_family_ready(session) || session->family.n_seeds < 2)
        return;
    if (!always && session->family.F > MATCH_AT_ONCE)
        return;
    if (session->match.state == SX_STATE_EMPTY ||
        session->match.family != session->selection.family)
        sx_emit_line(emit, "match-family");
}

void sx_need_rows(const struct sx_session *session, struct sx_emit *emit)
{
    if (sx_family_ready(session) && session->rows.state == SX_STATE_EMPTY)
        sx_emit_line(emit, "rows");
}

bool sx_slot_notice(struct sx_canvas *cv, enum sx_slot_state state, const struct sx_error *error,
                    const char *pending, const char *empty)
{
    struct sx_canvas inner =
        sx_canvas_sub(cv, (struct sx_rect){2, 0, cv->w > 4 ? cv->w - 4 : cv->w, cv->h});
    const int y = cv->h > 4 ? 1 : 0;

    switch (state) {
    case SX_STATE_READY:
        return false;
    case SX_STATE_PENDING:
        sx_paragraph(&inner, y, SX_STYLE_BUSY, pending);
        return true;
    case SX_STATE_FAILED:
        if (error->status == SX_CANCELLED)
            sx_paragraph(&inner, y, SX_STYLE_WARN, "cancelled; r asks again");
        else
            sx_paragraph(&inner, y, SX_STYLE_BAD, error->message);
        return true;
    case SX_STATE_EMPTY:
        break;
    }
    sx_paragraph(&inner, y, SX_STYLE_DIM, empty);
    return true;
}

/* --- panes --------------------------------------------------------------------------------------
 */

struct sx_rect sx_body_rect(const struct sx_view *view)
{
    return (struct sx_rect){0, 0, view->width, view->height};
}

int sx_layout_int(const struct sx_view *view, const char *dotted_path, int fallback)
{
    if (!view->env || !view->env->layout)
        return fallback;
    return (int)sx_value_int_or(sx_value_at(view->env->layout, dotted_path), fallback);
}

bool sx_folded(const struct sx_view *view)
{
    return view->width < sx_layout_int(view, "fold", FOLD_WIDTH);
}

void sx_two_panes(const struct sx_view *view, int share, struct sx_rect out[2])
{
    const struct sx_rect body = sx_body_rect(view);

    if (sx_folded(view)) {
        out[0] = out[1] = body;
        out[view->focus == 0].w = 0;
        return;
    }
    const struct sx_part part[2] = {{.weight = share, .min = 20},
                                    {.weight = 100 - share, .min = 20}};
    sx_split_columns(body, 1, part, 2, out);
}

int sx_pane_at(const struct sx_rect *pane, int n, int x, int y)
{
    for (int i = 0; i < n; i++)
        if (sx_rect_contains(pane[i], x, y))
            return i;
    return -1;
}

void sx_pane_divider(struct sx_canvas *cv, const struct sx_rect pane[2])
{
    if (pane[0].w > 0 && pane[1].w > 0 && pane[0].y == pane[1].y)
        sx_divider(cv, pane[0].x + pane[0].w, pane[0].y, pane[0].h);
}

/* --- tables -------------------------------------------------------------------------------------
 */

static int known_column(const struct sx_view_column *known, int n_known, const char *name)
{
    for (int i = 0; i < n_known; i++)
        if (strcmp(known[i].name, name) == 0)
            return i;
    return -1;
}

int sx_view_columns(const struct sx_view *view, const char *list,
                    const struct sx_view_column *known, int n_known, struct sx_column *out, int *id)
{
    const struct sx_value *wanted =
        view->env && view->env->layout ? sx_value_at(view->env->layout, list) : NULL;
    int n = 0;

    for (size_t i = 0; i < sx_value_count(wanted) && n < SX_VIEW_COLUMNS; i++) {
        const struct sx_value *item = sx_value_item(wanted, i);
        const int k =
            known_column(known, n_known, sx_value_string_or(sx_value_get(item, "name"), ""));
        if (k < 0)
            continue;
        out[n] = known[k].column;
        out[n].width = (int)sx_value_int_or(sx_value_get(item, "width"), out[n].width);
        out[n].weight = (int)sx_value_int_or(sx_value_get(item, "weight"), out[n].weight);
        id[n++] = k;
    }
    for (int i = 0; !wanted && i < n_known && n < SX_VIEW_COLUMNS; i++) {
        out[n] = known[i].column;
        id[n++] = i;
    }
    return n;
}

bool sx_list_request(const struct sx_table *table, struct sx_table_state *state,
                     struct sx_rect pane, const struct sx_view_request *request,
                     struct sx_emit *emit)
{
    const char *name = request->name;
    size_t row;
    int column;

    if (strcmp(name, "wheel-up") == 0 || strcmp(name, "wheel-down") == 0) {
        sx_table_move(state, table->n_rows, name[6] == 'u' ? -3 : 3);
    } else if (strcmp(name, "click") == 0) {
        if (!sx_rect_contains(pane, request->x, request->y))
            return false;
        if (sx_table_hit(table, state, pane.w, pane.h - 1, request->x - pane.x,
                         request->y - pane.y - 1, &row, &column) &&
            row != (size_t)-1)
            sx_table_goto(state, table->n_rows, row);
    } else if (!sx_table_request(table, state, name,
                                 request->count > 0 ? (unsigned)request->count : 0)) {
        return false;
    }
    emit->dirty = true;
    return true;
}

void sx_cell_fraction(struct sx_table_cell *cell, double value, int digits, bool ascii)
{
    cell->text = sx_fraction(cell->buffer, sizeof cell->buffer, value, digits, ascii);
    cell->style = isnan(value) || value == 0 ? SX_STYLE_DIM : SX_STYLE_NUMBER;
}

void sx_cell_text(struct sx_table_cell *cell, enum sx_style style, const char *text)
{
    cell->text = text;
    cell->style = style;
}

void sx_cell_pending(struct sx_table_cell *cell)
{
    sx_cell_text(cell, SX_STYLE_BUSY, "…");
}

void sx_cell_printf(struct sx_table_cell *cell, enum sx_style style, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(cell->buffer, sizeof cell->buffer, fmt, args);
    va_end(args);
    cell->text = cell->buffer;
    cell->style = style;
}

/* --- texts --------------------------------------------------------------------------------------
 */

const char *sx_bytes_text(char buf[SX_SHORT_TEXT], uint64_t bytes)
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t u = 0;

    while (value >= 1000 && u + 1 < sizeof unit / sizeof *unit) {
        value /= 1000;
        u++;
    }
    snprintf(buf, SX_SHORT_TEXT, u > 0 && value < 10 ? "%.1f %s" : "%.0f %s", value, unit[u]);
    return buf;
}

const char *sx_percent_text(char buf[SX_SHORT_TEXT], double fraction, bool ascii)
{
    if (isnan(fraction))
        snprintf(buf, SX_SHORT_TEXT, "–");
    else if (fraction == 0)
        snprintf(buf, SX_SHORT_TEXT, "%s", ascii ? "0" : "·");
    else
        snprintf(buf, SX_SHORT_TEXT, "%.1f", 100 * fraction);
    return buf;
}

const char *sx_seed_text(char buf[SX_SHORT_TEXT], int64_t seed)
{
    if (seed < 0)
        snprintf(buf, SX_SHORT_TEXT, "?");
    else
        snprintf(buf, SX_SHORT_TEXT, "%lld", (long long)seed);
    return buf;
}

/* Bytes of the longest start (from the end: of the longest end) that takes at most `width`
 * columns. */
static size_t fitting(const char *text, int width, bool from_end)
{
    const size_t len = strlen(text);
    size_t best = 0;

    for (size_t n = 1; n <= len; n++) {
        const char *edge = from_end ? text + len - n : text + n;
        if (((unsigned char)*edge & 0xC0) == 0x80) /* inside a code point */
            continue;
        char part[256];
        if (n >= sizeof part)
            break;
        memcpy(part, from_end ? text + len - n : text, n);
        part[n] = '\0';
        if (sx_text_width(part) > width)
            break;
        best = n;
    }
    return best;
}

const char *sx_middle_cut(char *buf, size_t size, const char *text, int width)
{
    if (sx_text_width(text) <= width || width < 8) {
        snprintf(buf, size, "%s", text);
        return buf;
    }
    const size_t head = fitting(text, (width - 1) / 2, false);
    const size_t tail = fitting(text, width - 1 - (width - 1) / 2, true);
    snprintf(buf, size, "%.*s…%s", (int)head, text, text + strlen(text) - tail);
    return buf;
}

int sx_latent_digits(uint64_t n)
{
    int digits = 1;
    for (uint64_t last = n > 0 ? n - 1 : 0; last >= 10; last /= 10)
        digits++;
    return digits < 4 ? 4 : digits;
}

int sx_label_value(struct sx_canvas *cv, int x, int y, const char *label, enum sx_style style,
                   const char *value)
{
    x += sx_put(cv, x, y, SX_STYLE_LABEL, label) + 1;
    return x + sx_put(cv, x, y, style, value) + 3;
}

/* --- numbers ------------------------------------------------------------------------------------
 */

void sx_bin_floats(const float *value, size_t n, double lo, double hi, double *bin, size_t n_bins)
{
    for (size_t i = 0; i < n_bins; i++)
        bin[i] = 0;
    if (!(hi > lo) || n_bins == 0)
        return;
    const double per_bin = (double)n_bins / (hi - lo);
    for (size_t i = 0; i < n; i++) {
        if (isnan(value[i]))
            continue;
        const double at = ((double)value[i] - lo) * per_bin;
        const size_t b = at <= 0 ? 0 : at >= (double)(n_bins - 1) ? n_bins - 1 : (size_t)at;
        bin[b] += 1;
    }
}

bool sx_float_range(const float *value, size_t n, double *lo, double *hi)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        const double v = (double)value[i];
        if (!isfinite(v))
            continue;
        *lo = !any || v < *lo ? v : *lo;
        *hi = !any || v > *hi ? v : *hi;
        any = true;
    }
    return any;
}

/* --- documents ----------------------------------------------------------------------------------
 */

struct sx_value *sx_rows_document(struct sx_value **document)
{
    *document = sx_value_map();
    return sx_value_set(*document, "rows", sx_value_list());
}

void sx_row_real(struct sx_value *row, const char *key, double value)
{
    sx_value_set(row, key, isfinite(value) ? sx_value_real(value) : sx_value_null());
}

/* --- breadcrumb ---------------------------------------------------------------------------------
 */

void sx_title_of_family(const struct sx_view *view, const struct sx_session *session,
                        struct sx_str *out)
{
    const struct sx_family *family = sx_selected_family(session);
    if (family)
        sx_str_printf(out, "%s ▸ ", family->title);
    sx_str_append(out, view->ops->name);
}
