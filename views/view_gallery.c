/* gallery: latents as images, one row a seed with the matched latent of each column, and a row of
 * random latents as control. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/tui/image.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

enum { LABEL_WIDTH = 9, GAP = 2, COLUMNS_MAX = 64, TILE_MIN = 6 };

enum gallery_side { SIDE_DEC, SIDE_ENC, SIDE_BOTH };

struct gallery_state {
    enum gallery_side side;
    size_t first;  /* position of column 0 in the features order */
    size_t column; /* cursor */
    size_t row;
    size_t top;      /* first row shown */
    size_t followed; /* latent + 1 that `first` was last brought into view for */
    /* What the gallery was last asked for. */
    struct {
        size_t family, seed, first, columns;
        uint64_t rows, match;
    } asked;
};

/* --- layout -------------------------------------------------------------------------------------
 */

struct tiles {
    int image_w, image_h; /* columns and rows that one image takes */
    int w, h;             /* of a tile, its label line included */
    size_t columns, rows; /* that fit */
};

static struct sx_image image_of(const struct sx_session *session)
{
    return (struct sx_image){.w = (int)session->family.image_width,
                             .h = (int)session->family.image_height,
                             .diverging = true};
}

/* As many rows as there are seeds, and the control, if tiles stay large enough to see anything. */
static struct tiles tiles_of(const struct sx_view *view, const struct sx_session *session)
{
    const struct gallery_state *state = view->state;
    const struct sx_image image = image_of(session);
    const int room = view->height - 1;
    const int images = state->side == SIDE_BOTH ? 2 : 1;
    const int wanted = (int)session->family.n_seeds + 1;
    const int least = sx_layout_int(view, "tile", TILE_MIN);
    struct tiles t = {0};
    int height = room / wanted - 1;

    if (height < least)
        height = least < room - 1 ? least : room - 1;
    sx_image_size(&image, (view->width - LABEL_WIDTH) / images - GAP, height > 1 ? height : 1,
                  &t.image_w, &t.image_h);
    t.w = t.image_w * images + (images - 1) + GAP;
    if (t.w < sx_latent_digits(session->family.F) + 7)
        t.w = sx_latent_digits(session->family.F) + 7;
    t.h = t.image_h + 1;
    t.columns =
        t.w > 0 && view->width > LABEL_WIDTH ? (size_t)((view->width - LABEL_WIDTH) / t.w) : 1;
    t.columns = t.columns < 1 ? 1 : t.columns > COLUMNS_MAX ? COLUMNS_MAX : t.columns;
    t.rows = t.h > 0 && room > 0 ? (size_t)(room / t.h) : 1;
    t.rows = t.rows < 1 ? 1 : t.rows;
    return t;
}

static bool is_image_data(const struct sx_session *session)
{
    return sx_family_ready(session) && session->family.image_width > 0 &&
           session->family.image_height > 0;
}

static bool gallery_ready(const struct sx_session *session)
{
    return session->gallery.state == SX_STATE_READY &&
           session->gallery.family == session->selection.family && session->gallery.cells;
}

/* --- drawing ------------------------------------------------------------------------------------
 */

static void draw_tile(struct sx_canvas *cv, const struct sx_session *session,
                      const struct gallery_state *state, const struct tiles *t, size_t row,
                      size_t column)
{
    const struct sx_gallery *gallery = &session->gallery;
    const size_t at = row * gallery->columns + column;
    const struct sx_gallery_cell *cell = &gallery->cells[at];
    struct sx_image image = image_of(session);
    const int digits = sx_latent_digits(session->family.F);
    char sim[16];
    int x = 0;

    if (cell->latent < 0) {
        sx_put(cv, 0, 0, SX_STYLE_DIM, "–");
        return;
    }
    x = sx_putf(cv, 0, 0, SX_STYLE_TEXT, "%0*lld", digits, (long long)cell->latent) + 1;
    if (row > 0 && !isnan(cell->sim))
        sx_put(cv, x, 0, SX_STYLE_NUMBER,
               sx_fraction(sim, sizeof sim, (double)cell->sim, 2, sx_canvas_ascii(cv)));
    for (int encoder = 0; encoder < 2; encoder++) {
        if (state->side != SIDE_BOTH && encoder != (state->side == SIDE_ENC))
            continue;
        const int left = state->side == SIDE_BOTH && encoder ? t->image_w + 1 : 0;
        struct sx_canvas tile =
            sx_canvas_sub(cv, (struct sx_rect){left, 1, t->image_w, t->image_h});
        image.pixel = (encoder ? gallery->enc : gallery->dec) + at * gallery->D;
        sx_image_draw(&tile, &image);
    }
}

static void draw_row_label(struct sx_canvas *cv, int y, const struct sx_session *session,
                           size_t row)
{
    const struct sx_gallery *gallery = &session->gallery;
    char seed[SX_SHORT_TEXT];

    if (row + 1 == gallery->rows) {
        sx_put(cv, 1, y, SX_STYLE_LABEL, "random");
        return;
    }
    /* Row 0 is the anchor; the others follow in the order of the family. */
    size_t member = session->selection.seed_index;
    if (row > 0)
        member = row <= session->selection.seed_index ? row - 1 : row;
    sx_putf(cv, 1, y, row == 0 ? SX_STYLE_STRONG : SX_STYLE_LABEL, "seed %s",
            sx_seed_text(seed, sx_seed_of(session, member)));
}

static void draw_tiles(struct sx_canvas *body, const struct sx_view *view,
                       const struct sx_session *session)
{
    const struct gallery_state *state = view->state;
    const struct tiles t = tiles_of(view, session);
    const struct sx_gallery *gallery = &session->gallery;

    for (size_t r = 0; r < t.rows && state->top + r < gallery->rows; r++) {
        const size_t row = state->top + r;
        const int y = (int)r * t.h;
        draw_row_label(body, y, session, row);
        for (size_t c = 0; c < gallery->columns && c < t.columns; c++) {
            const int x = LABEL_WIDTH + (int)c * t.w;
            struct sx_canvas tile = sx_canvas_sub(body, (struct sx_rect){x, y, t.w - GAP, t.h});
            draw_tile(&tile, session, state, &t, row, c);
            if (c == state->column && row == state->row) {
                sx_overlay(&tile, (struct sx_rect){0, 0, tile.w, 1}, SX_STYLE_CURSOR);
                sx_set_cursor(&tile, 0, 0, false);
            }
        }
    }
}

static void gallery_draw(const struct sx_view *view, const struct sx_session *session,
                         struct sx_canvas *canvas)
{
    static const char *const side_word[] = {"decoder", "encoder", "decoder and encoder"};
    const struct gallery_state *state = view->state;
    const struct sx_gallery *gallery = &session->gallery;
    char title[96], info[64] = "";

    if (sx_too_small(canvas, 24, 4))
        return;
    if (gallery_ready(session))
        snprintf(info, sizeof info, "columns %zu–%zu of %zu", gallery->first + 1,
                 gallery->first + gallery->columns, session->rows.n);
    snprintf(title, sizeof title, "%s · each row a seed, matched by column",
             side_word[state->side]);
    struct sx_canvas body = sx_frame(canvas, title, info, true);
    if (sx_slot_notice(&body, sx_family_ready(session) ? SX_STATE_READY : session->family.state,
                       &session->family.error, "reading weights …",
                       "No family is selected. Press 1 and Enter for the workspace."))
        return;
    if (!is_image_data(session)) {
        sx_slot_notice(&body, SX_STATE_EMPTY, NULL, "",
                       "These SAEs do not read images. The card in features (2 and Enter) shows "
                       "their strongest weights, beside those of the partners.");
        return;
    }
    if (!sx_slot_notice(&body, gallery_ready(session) ? SX_STATE_READY : gallery->state,
                        &gallery->error, "…", "…"))
        draw_tiles(&body, view, session);
}

/* --- what is missing ----------------------------------------------------------------------------
 */

static void follow_selection(struct gallery_state *state, const struct sx_session *session,
                             size_t columns)
{
    const size_t wanted = (size_t)session->selection.latent + 1;

    if (state->followed == wanted)
        return;
    for (size_t i = 0; i < session->rows.n; i++) {
        if (session->rows.order[i] != session->selection.latent)
            continue;
        if (i < state->first || i >= state->first + columns)
            state->first = i - i % columns;
        state->column = i - state->first;
    }
    state->followed = wanted;
}

static void gallery_need(struct sx_view *view, const struct sx_session *session,
                         struct sx_emit *emit)
{
    struct gallery_state *state = view->state;

    if (!sx_need_family(session, emit) || !is_image_data(session))
        return;
    sx_need_rows(session, emit);
    sx_need_match(session, false, emit);
    if (session->rows.state != SX_STATE_READY || session->rows.n == 0)
        return;
    const size_t columns = tiles_of(view, session).columns;
    follow_selection(state, session, columns);
    const uint64_t match = sx_match_ready(session) ? session->revision[SX_SLOT_MATCH] : 0;
    if (session->gallery.state != SX_STATE_EMPTY &&
        state->asked.family == session->selection.family &&
        state->asked.seed == session->selection.seed_index && state->asked.first == state->first &&
        state->asked.columns == columns && state->asked.rows == session->revision[SX_SLOT_ROWS] &&
        state->asked.match == match)
        return;
    state->asked.family = session->selection.family;
    state->asked.seed = session->selection.seed_index;
    state->asked.first = state->first;
    state->asked.columns = columns;
    state->asked.rows = session->revision[SX_SLOT_ROWS];
    state->asked.match = match;
    sx_emit_line(emit, "gallery --first %zu --columns %zu", state->first, columns);
}

/* --- requests -----------------------------------------------------------------------------------
 */

/* Go to a position of the features order, scrolling by whole screens of columns. */
static void go_to(struct gallery_state *state, const struct sx_session *session, long position,
                  size_t columns, struct sx_emit *emit)
{
    const long n = (long)session->rows.n;

    if (n == 0)
        return;
    position = position < 0 ? 0 : position >= n ? n - 1 : position;
    const size_t at = (size_t)position;
    if (at < state->first || at >= state->first + columns)
        state->first = at - at % columns;
    state->column = at - state->first;
    state->followed = (size_t)session->rows.order[at] + 1;
    sx_emit_line(emit, "select --latent %u", session->rows.order[at]);
}

static void go_to_row(struct gallery_state *state, const struct sx_session *session, long row,
                      size_t shown)
{
    const long n = (long)session->family.n_seeds + 1;

    row = row < 0 ? 0 : row >= n ? n - 1 : row;
    state->row = (size_t)row;
    if (state->row < state->top)
        state->top = state->row;
    if (state->row >= state->top + shown)
        state->top = state->row - shown + 1;
}

static bool gallery_request(struct sx_view *view, const struct sx_session *session,
                            const struct sx_view_request *request, struct sx_emit *emit)
{
    struct gallery_state *state = view->state;
    const char *name = request->name;
    const int count = request->count > 0 ? request->count : 1;

    if (!is_image_data(session) || session->rows.state != SX_STATE_READY)
        return false;
    const struct tiles t = tiles_of(view, session);
    const long at = (long)(state->first + state->column);
    const long page = (long)t.columns;

    emit->dirty = true;
    if (strcmp(name, "left") == 0 || strcmp(name, "right") == 0) {
        go_to(state, session, at + (name[0] == 'l' ? -count : count), t.columns, emit);
    } else if (strcmp(name, "page-down") == 0 || strcmp(name, "half-down") == 0 ||
               strcmp(name, "wheel-down") == 0) {
        go_to(state, session, at + page * count, t.columns, emit);
    } else if (strcmp(name, "page-up") == 0 || strcmp(name, "half-up") == 0 ||
               strcmp(name, "wheel-up") == 0) {
        go_to(state, session, at - page * count, t.columns, emit);
    } else if (strcmp(name, "first") == 0 || strcmp(name, "last") == 0) {
        const long end = name[0] == 'f' ? 0 : (long)session->rows.n - 1;
        go_to(state, session, request->count > 0 ? request->count - 1 : end, t.columns, emit);
    } else if (strcmp(name, "up") == 0 || strcmp(name, "down") == 0) {
        go_to_row(state, session, (long)state->row + (name[0] == 'u' ? -count : count), t.rows);
    } else if (strcmp(name, "side") == 0) {
        state->side = (enum gallery_side)((state->side + 1) % 3);
        gallery_need(view, session, emit);
    } else if (strcmp(name, "mark") == 0) {
        sx_emit_line(emit, "mark --latent %u", session->selection.latent);
    } else if (strcmp(name, "seed-next") == 0) {
        sx_emit_line(emit, "select --seed %zu",
                     (session->selection.seed_index + 1) % session->family.n_seeds);
    } else if (strcmp(name, "click") == 0) {
        if (request->x >= LABEL_WIDTH && request->y >= 1) {
            go_to(state, session, (long)state->first + (request->x - LABEL_WIDTH) / t.w, t.columns,
                  emit);
            go_to_row(state, session, (long)state->top + (request->y - 1) / t.h, t.rows);
        }
    } else {
        emit->dirty = false;
        return false;
    }
    return true;
}

static struct sx_value *gallery_data(const struct sx_view *view, const struct sx_session *session)
{
    const struct sx_gallery *gallery = &session->gallery;
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    (void)view;
    for (size_t i = 0; gallery_ready(session) && i < gallery->rows * gallery->columns; i++) {
        const struct sx_gallery_cell *cell = &gallery->cells[i];
        const size_t r = i / gallery->columns;
        struct sx_value *row = sx_value_append(rows, sx_value_map());

        sx_value_set(row, "row", sx_value_int((int64_t)r));
        sx_value_set(row, "control", sx_value_bool(r + 1 == gallery->rows));
        sx_value_set(row, "column", sx_value_int((int64_t)(gallery->first + i % gallery->columns)));
        sx_value_set(row, "latent",
                     cell->latent >= 0 ? sx_value_int(cell->latent) : sx_value_null());
        sx_row_real(row, "sim", (double)cell->sim);
    }
    return document;
}

static const struct sx_key_binding keys[] = {
    {"gallery", "Right", "right", "latents", "The next latent.", "Gallery"},
    {"gallery", "e", "side", "enc/dec", "Decoder, encoder, or both.", "Gallery"},
    {"gallery", "Enter", ":view features", "features", "The latent in the table, with its card.",
     "Gallery"},
    {"gallery", "m", "mark", "mark", "Mark or unmark the latent.", "Gallery"},
    {"gallery", "]", "seed-next", "seed", "The next seed as anchor.", "Gallery"},
    {"gallery", "s", ":view seeds", "seeds", "Threshold, fractions and counters.", "Gallery"},
    {"gallery", "r", ":load-family", NULL, "Read the family again.", "Gallery"},
};

const struct sx_view_ops sx_view_gallery = {
    .name = "gallery",
    .help = "latents as images, matched across seeds, with random latents as control",
    .key = '5',
    .depends = 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_FAMILY | 1u << SX_SLOT_MATCH |
               1u << SX_SLOT_ROWS | 1u << SX_SLOT_GALLERY | 1u << SX_SLOT_WORKSPACE,
    .n_panes = 1,
    .state_size = sizeof(struct gallery_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = gallery_need,
    .draw = gallery_draw,
    .request = gallery_request,
    .title = sx_title_of_family,
    .data = gallery_data,
};
