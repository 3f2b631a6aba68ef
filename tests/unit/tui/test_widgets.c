/* Each widget as text in UTF-8 and ASCII, at several depths, and at every small size. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "canvas_expect.h"
#include "sextant/tui/heatmap.h"
#include "sextant/tui/image.h"
#include "sextant/tui/pager.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/prompt.h"
#include "sextant/tui/table.h"
#include "sextant/tui/widgets.h"

/* A table of 131,072 rows, of which only the visible ones may be asked for. */

static size_t cells_asked;

static void table_cell(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    (void)ctx;
    cells_asked++;
    out->text = out->buffer;
    if (column == 0) {
        snprintf(out->buffer, sizeof out->buffer, "%06zu", row);
    } else if (column == 1) {
        out->style = SX_STYLE_NUMBER;
        sx_fraction(out->buffer, sizeof out->buffer, row % 7 ? -(double)(row % 7) / 7 : 0, 2,
                    false);
    } else if (column == 2) {
        out->text = row % 3 ? "●●○" : "●●● ≈";
        out->style = SX_STYLE_BADGE;
    } else {
        snprintf(out->buffer, sizeof out->buffer, "a longer remark about latent %zu", row);
        out->style = SX_STYLE_DIM;
    }
}

static unsigned table_flags(const void *ctx, size_t row)
{
    (void)ctx;
    return row == 2 ? SX_ROW_MARKED : row == 4 ? SX_ROW_HIT : 0;
}

static const struct sx_column columns[] = {
    {.title = "latent", .width = 6, .frozen = true},
    {.title = "align", .unit = "cos", .width = 9, .align = SX_RIGHT},
    {.title = "badge", .width = 5},
    {.title = "remark", .width = 12, .weight = 1},
};
static const struct sx_table table = {.columns = columns,
                                      .n_columns = 4,
                                      .n_rows = 131072,
                                      .cell = table_cell,
                                      .flags = table_flags,
                                      .sort_column = 1,
                                      .sort_descending = true,
                                      .empty = "nothing here: press m to match"};

/* Other widgets' data. */

static double wave(const void *ctx, int row, int col)
{
    (void)ctx;
    if (row == 2 && col == 3)
        return NAN;
    return (row - 2) * 0.5 + (col - 4) * 0.25;
}

static void layer_label(const void *ctx, int row, char *buf, size_t size)
{
    (void)ctx;
    snprintf(buf, size, "layer %d", row);
}

static void band_label(const void *ctx, int col, char *buf, size_t size)
{
    (void)ctx;
    snprintf(buf, size, "%d", col * 7);
}

static struct sx_heatmap make_map(bool diverging, int cell_width)
{
    return (struct sx_heatmap){.rows = 5,
                               .cols = 9,
                               .value = wave,
                               .row_label = layer_label,
                               .col_label = band_label,
                               .row_label_width = 9,
                               .cell_width = cell_width,
                               .diverging = diverging,
                               .lo = -2,
                               .hi = 2,
                               .unit = "logits",
                               .what = "direction"};
}

static double curve_a[60];
static double curve_b[60];
static float point_x[400];
static float point_y[400];
static float pixels[28 * 28];
static double bins[20];

static void fill_data(void)
{
    for (int i = 0; i < 60; i++) {
        curve_a[i] = exp(-i / 15.0);
        curve_b[i] = i == 30 ? NAN : 0.2 + 0.5 * exp(-i / 30.0);
    }
    for (int i = 0; i < 400; i++) {
        point_x[i] = (float)(i % 20) / 19.0F;
        point_y[i] = point_x[i] * point_x[i] + (float)(i / 20) / 100.0F;
    }
    point_x[7] = NAN;
    for (int y = 0; y < 28; y++)
        for (int x = 0; x < 28; x++)
            pixels[y * 28 + x] = (float)(sin(x / 4.0) * cos(y / 5.0));
    for (int i = 0; i < 20; i++)
        bins[i] = i == 5 ? 0 : exp(-(i - 14) * (i - 14) / 18.0);
}

static const char *const log_lines[] = {"first line", "the second line, longer than the pager is",
                                        "match here and Match there", "漢字 in a line", "last"};

static const char *log_line(const void *ctx, size_t i, enum sx_style *style)
{
    (void)ctx;
    if (i == 4)
        *style = SX_STYLE_WARN;
    return log_lines[i];
}

static const struct sx_pager pager = {.n_lines = 5, .line = log_line, .find = "match"};

static const struct sx_key_binding keys[] = {
    {"seeds", "Left", "less", "threshold", "lower the threshold", "Seeds"},
    {"seeds", "o", "orphans", "orphans", "only latents without partner", "Seeds"},
    {"seeds", "x", "hidden", NULL, "not in the bar", "Seeds"},
    {"seeds", "?", "help", "help", "explain", "Seeds"},
};

/* The drawings. */

static void draw_table(struct sx_canvas *cv)
{
    struct sx_table_state state = {.cursor = 3};
    sx_table_draw(cv, &table, &state, true);
}

static void draw_table_scrolled(struct sx_canvas *cv)
{
    struct sx_table_state state = {.cursor = 131071, .column = 3};
    sx_table_draw(cv, &table, &state, false);
}

static void draw_table_empty(struct sx_canvas *cv)
{
    struct sx_table_state state = {.cursor = 5};
    struct sx_table none = table;
    none.n_rows = 0;
    sx_table_draw(cv, &none, &state, true);
}

static void draw_heat(struct sx_canvas *cv)
{
    struct sx_heatmap map = make_map(false, 0);
    struct sx_heatmap_state state = {.row = 1, .col = 2};
    sx_heatmap_draw(cv, &map, &state, true);
}

static void draw_diverging(struct sx_canvas *cv)
{
    struct sx_heatmap map = make_map(true, 0);
    struct sx_heatmap_state state = {.row = 3, .col = 8};
    sx_heatmap_draw(cv, &map, &state, true);
}

static void draw_numbers(struct sx_canvas *cv)
{
    struct sx_heatmap map = make_map(true, 6);
    struct sx_heatmap_state state = {.row = 4, .col = 8};
    sx_heatmap_draw(cv, &map, &state, false);
}

static void draw_histogram(struct sx_canvas *cv)
{
    struct sx_histogram hist = {.count = bins,
                                .n = 20,
                                .lo = -1,
                                .hi = 1,
                                .unit = "cos",
                                .has_cut = true,
                                .cut = 0.1,
                                .cut_label = "alive"};
    sx_histogram_draw(cv, &hist);
}

static void draw_plot(struct sx_canvas *cv)
{
    const struct sx_series series[] = {
        {.y = curve_a, .n = 60, .style = SX_STYLE_SERIES_0, .label = "seed 0"},
        {.y = curve_b, .n = 60, .style = SX_STYLE_SERIES_1, .label = "seed 1"}};
    struct sx_plot plot = {.series = series,
                           .n_series = 2,
                           .x_label = "epoch",
                           .y_label = "FVU",
                           .has_marker = true,
                           .marker = 20};
    sx_plot_draw(cv, &plot);
}

static void draw_filled(struct sx_canvas *cv)
{
    const struct sx_series series[] = {{.y = curve_a, .n = 60, .style = SX_STYLE_SERIES_0}};
    struct sx_plot plot = {.series = series, .n_series = 1, .filled = true, .y_lo = 0, .y_hi = 1};
    sx_plot_draw(cv, &plot);
}

static void draw_scatter(struct sx_canvas *cv)
{
    struct sx_scatter scatter = {.x = point_x,
                                 .y = point_y,
                                 .n = 400,
                                 .x_label = "|enc|",
                                 .y_label = "|dec|",
                                 .diagonal = true,
                                 .has_selection = true,
                                 .selected = 210};
    sx_scatter_draw(cv, &scatter);
}

static void draw_image(struct sx_canvas *cv)
{
    struct sx_image image = {.pixel = pixels, .w = 28, .h = 28, .diverging = true};
    int w;
    int h;
    sx_image_size(&image, cv->w, cv->h, &w, &h);
    struct sx_canvas part = sx_canvas_sub(cv, (struct sx_rect){0, 0, w, h});
    sx_image_draw(&part, &image);
}

static void draw_pager(struct sx_canvas *cv)
{
    struct sx_pager_state state = {.top = 1};
    sx_pager_draw(cv, &pager, &state, true);
}

static void draw_small(struct sx_canvas *cv)
{
    static const char *const crumbs[] = {"sextant", "mnist", "T l2 1e-4", "features"};
    sx_breadcrumb(cv, 0, crumbs, 4, "train 43% 1:12", true);
    struct sx_canvas body = sx_canvas_sub(cv, (struct sx_rect){0, 1, cv->w, 8});
    struct sx_canvas left = sx_canvas_sub(&body, (struct sx_rect){0, 0, 24, 8});
    struct sx_canvas right = sx_canvas_sub(&body, (struct sx_rect){25, 0, cv->w - 25, 8});
    struct sx_canvas inner = sx_frame(&left, "pair 0 × 1", "7", true);
    sx_frame(&right, "three seeds", NULL, false);
    struct sx_canvas lower = sx_canvas_sub(&right, (struct sx_rect){0, 4, right.w, 4});
    struct sx_canvas card = sx_frame(&lower, "a title that is too long for its pane", NULL, false);
    sx_divider(&body, 24, 0, 8);
    sx_field(&inner, 1, 0, 10, "threshold", SX_STYLE_NUMBER, ".70");
    sx_slider(&inner, 1, 1, 20, 0.7, 0, 1, true);
    sx_progress(&inner, 1, 2, 22, 0.43, 72);
    sx_progress(&inner, 1, 3, 22, -1, -1);
    sx_badge(&inner, 1, 4, 2, 3);
    sx_sparkline(&inner, 6, 4, 14, SX_STYLE_BAR, bins, 20, 0);
    sx_paragraph(&card, 0, SX_STYLE_TEXT,
                 "Words are wrapped at blanks, averyveryverylongword is cut.");
    struct sx_keymap *map = sx_keymap_new();
    static const char *const contexts[] = {"seeds"};
    sx_keymap_add(map, keys, 4);
    sx_keybar_of(cv, cv->h - 2, map, contexts, 1);
    sx_keymap_free(map);
    sx_message(cv, cv->h - 1, SX_MESSAGE_WARN, "seed 1 has a transposed encoder (i)");
}

static const struct {
    const char *name;
    void (*draw)(struct sx_canvas *cv);
    int w, h;
    bool all_depths; /* drawing depends on the depth */
} drawings[] = {
    {"table", draw_table, 50, 7, false},
    {"table_scrolled", draw_table_scrolled, 30, 5, false},
    {"table_empty", draw_table_empty, 40, 3, false},
    {"heatmap", draw_heat, 60, 9, true},
    {"heatmap_diverging", draw_diverging, 60, 9, true},
    {"heatmap_numbers", draw_numbers, 64, 9, false},
    {"histogram", draw_histogram, 40, 6, false},
    {"plot", draw_plot, 60, 12, false},
    {"plot_filled", draw_filled, 50, 8, false},
    {"scatter", draw_scatter, 50, 12, false},
    {"image", draw_image, 30, 14, true},
    {"pager", draw_pager, 24, 4, false},
    {"small", draw_small, 50, 11, false},
};
enum { N_DRAWINGS = sizeof drawings / sizeof drawings[0] };

static void check(size_t i, enum sx_charset charset, enum sx_depth depth)
{
    static const char *const depth_name[] = {"mono", "16", "256", "true"};
    char path[512];
    char suffix[16] = "";
    struct sx_screen *screen = sx_screen_new(drawings[i].w, drawings[i].h, charset, depth);
    struct sx_canvas cv = sx_canvas_of(screen);
    drawings[i].draw(&cv);
    if (drawings[i].all_depths)
        snprintf(suffix, sizeof suffix, "_%s", depth_name[depth]);
    snprintf(path, sizeof path, SX_SOURCE_DIR "/tests/unit/tui/golden/%s%s_%s.txt",
             drawings[i].name, suffix, charset == SX_CHARSET_ASCII ? "ascii" : "utf8");
    canvas_expect(screen, charset == SX_CHARSET_UTF8, path);
    sx_screen_free(screen);
}

Test(widgets, goldens, .init = fill_data)
{
    for (size_t i = 0; i < N_DRAWINGS; i++) {
        for (int depth = 0; depth < (drawings[i].all_depths ? SX_DEPTH_TRUE : 1); depth++) {
            enum sx_depth d = drawings[i].all_depths ? (enum sx_depth)depth : SX_DEPTH_256;
            check(i, SX_CHARSET_UTF8, d);
            check(i, SX_CHARSET_ASCII, d);
        }
    }
}

Test(widgets, any_size_draws_without_a_crash, .init = fill_data)
{
    for (size_t i = 0; i < N_DRAWINGS; i++)
        for (int h = 1; h <= 6; h++)
            for (int w = 1; w <= 40; w++)
                for (int d = 0; d < SX_DEPTH_COUNT; d++) {
                    struct sx_screen *screen = sx_screen_new(
                        w, h, d % 2 ? SX_CHARSET_ASCII : SX_CHARSET_UTF8, (enum sx_depth)d);
                    struct sx_canvas cv = sx_canvas_of(screen);
                    drawings[i].draw(&cv);
                    struct sx_canvas none = sx_canvas_sub(&cv, (struct sx_rect){0, 0, 0, 0});
                    drawings[i].draw(&none);
                    sx_screen_free(screen);
                }
}

Test(widgets, ascii_screens_hold_ascii_only, .init = fill_data)
{
    for (size_t i = 0; i < N_DRAWINGS; i++) {
        struct sx_screen *screen =
            sx_screen_new(drawings[i].w, drawings[i].h, SX_CHARSET_ASCII, SX_DEPTH_MONO);
        struct sx_canvas cv = sx_canvas_of(screen);
        drawings[i].draw(&cv);
        for (int k = 0; k < screen->w * screen->h; k++)
            cr_assert_lt(screen->cells[k].ch, 0x80, "%s", drawings[i].name);
        sx_screen_free(screen);
    }
}

Test(table, asks_for_visible_rows_only)
{
    struct sx_screen *screen = sx_screen_new(80, 24, SX_CHARSET_UTF8, SX_DEPTH_256);
    struct sx_canvas cv = sx_canvas_of(screen);
    struct sx_table_state state = {.cursor = 70000};
    cells_asked = 0;
    sx_table_draw(&cv, &table, &state, true);
    cr_expect_eq(cells_asked, 23 * 4);
    cr_expect_eq(state.page, 23);
    sx_screen_free(screen);
}

Test(table, moves)
{
    struct sx_table_state s = {.page = 10};
    cr_expect(sx_table_request(&table, &s, "down", 12));
    cr_expect_eq(s.cursor, 12);
    sx_table_request(&table, &s, "up", 100);
    cr_expect_eq(s.cursor, 0);
    sx_table_request(&table, &s, "page-down", 0);
    cr_expect_eq(s.cursor, 10);
    cr_expect_eq(s.top, 10);
    sx_table_request(&table, &s, "half-up", 0);
    cr_expect_eq(s.cursor, 5);
    sx_table_request(&table, &s, "last", 0);
    cr_expect_eq(s.cursor, 131071);
    sx_table_request(&table, &s, "down", 4000000);
    cr_expect_eq(s.cursor, 131071);
    sx_table_request(&table, &s, "last", 5);
    cr_expect_eq(s.cursor, 4);
    sx_table_request(&table, &s, "right", 9);
    cr_expect_eq(s.column, 3);
    cr_expect_not(sx_table_request(&table, &s, "dance", 0));
    struct sx_table none = table;
    none.n_rows = 0;
    static const char *const all[] = {"down", "up", "page-down", "page-up", "first", "last"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        sx_table_request(&none, &s, all[i], 0);
        cr_expect_eq(s.cursor, 0);
    }
}

Test(table, the_window_follows_the_cursor_both_ways)
{
    struct sx_screen *screen = sx_screen_new(40, 11, SX_CHARSET_UTF8, SX_DEPTH_256);
    struct sx_canvas cv = sx_canvas_of(screen);
    struct sx_table_state s = {.cursor = 50};
    sx_table_draw(&cv, &table, &s, true);
    cr_expect_eq(s.top, 41);
    sx_table_move(&s, table.n_rows, -5);
    sx_table_draw(&cv, &table, &s, true);
    cr_expect_eq(s.top, 41); /* stays: the cursor moves within the window */
    size_t row;
    int column;
    cr_expect(sx_table_hit(&table, &s, 40, 11, 3, 5, &row, &column));
    cr_expect_eq(row, 45);
    cr_expect_eq(column, 0);
    cr_expect(sx_table_hit(&table, &s, 40, 11, 12, 0, &row, &column));
    cr_expect_eq(row, (size_t)-1);
    cr_expect_eq(column, 1);
    cr_expect_eq(screen->cursor_y, 5);
    sx_screen_free(screen);
}

Test(heatmap, levels_are_bounded_and_symmetric)
{
    for (double v = -3; v <= 3; v += 0.01) {
        int d = sx_heat_level(v, -2, 2, true);
        int s = sx_heat_level(v, -2, 2, false);
        cr_assert(d >= 0 && d < SX_DIV_LEVELS);
        cr_assert(s >= 0 && s < SX_HEAT_LEVELS);
        cr_assert_eq(d + sx_heat_level(-v, -2, 2, true), SX_DIV_LEVELS - 1);
    }
    cr_expect_eq(sx_heat_level(0, 0, 0, true), SX_DIV_LEVELS / 2);
    cr_expect_eq(sx_heat_level(5, 5, 5, false), 0);
    cr_expect_eq(sx_heat_level(NAN, 0, 1, true), SX_DIV_LEVELS / 2);
}

static void expect_number(double v, const char *utf8, const char *ascii)
{
    char buf[32];
    cr_expect_str_eq(sx_number(buf, sizeof buf, v, false), utf8);
    cr_expect_str_eq(sx_number(buf, sizeof buf, v, true), ascii);
}

Test(numbers, short_forms)
{
    char buf[32];
    expect_number(0, "·", "0");
    expect_number(NAN, "–", "-");
    expect_number(0.12345678, "0.1235", "0.1235");
    expect_number(-2e-7, "-2.0e-7", "-2.0e-7");
    expect_number(1568, "1568", "1568");
    expect_number(131072, "131k", "131k");
    expect_number(1.6e6, "1.6M", "1.6M");
    expect_number(INFINITY, "inf", "inf");
    cr_expect_str_eq(sx_fraction(buf, sizeof buf, 0.812, 3, false), ".812");
    cr_expect_str_eq(sx_fraction(buf, sizeof buf, -0.125, 2, false), "-.12");
    cr_expect_str_eq(sx_fraction(buf, sizeof buf, -0.004, 2, false), ".00");
    cr_expect_str_eq(sx_fraction(buf, sizeof buf, 1, 2, false), "1.00");
    cr_expect_str_eq(sx_fraction(buf, sizeof buf, 0, 2, false), "·");
    cr_expect_str_eq(sx_duration(buf, sizeof buf, 72), "1:12");
    cr_expect_str_eq(sx_duration(buf, sizeof buf, 7424), "2:03:44");
    cr_expect_str_eq(sx_duration(buf, sizeof buf, NAN), "?");
}

Test(plots, mouse_positions_invert_the_drawing, .init = fill_data)
{
    struct sx_histogram hist = {.count = bins, .n = 20, .lo = 0, .hi = 20};
    for (int x = 0; x < 40; x++) /* two columns a bin */
        cr_expect_eq((int)sx_histogram_at(&hist, 47, x), x / 2);
    cr_expect_float_eq(sx_slider_at(22, 1, 0, 1), 0, 1e-12);
    cr_expect_float_eq(sx_slider_at(22, 20, 0, 1), 1, 1e-12);
}

Test(image, keeps_proportions)
{
    struct sx_image image = {.pixel = pixels, .w = 28, .h = 28};
    int w;
    int h;
    sx_image_size(&image, 100, 14, &w, &h);
    cr_expect_eq(w, 28);
    cr_expect_eq(h, 14);
    sx_image_size(&image, 100, 30, &w, &h); /* doubled, not stretched by 2.14 */
    cr_expect_eq(w, 56);
    cr_expect_eq(h, 28);
    sx_image_size(&image, 14, 30, &w, &h);
    cr_expect_eq(w, 14);
    cr_expect_eq(h, 7);
}

Test(pager, search_and_scrolling)
{
    struct sx_pager_state s = {.page = 2};
    cr_expect_eq(sx_pager_find(&pager, "LINE", 1, false), 1);
    cr_expect_eq(sx_pager_find(&pager, "line", 2, true), 1);
    cr_expect_eq(sx_pager_find(&pager, "zzz", 0, false), (size_t)-1);
    sx_pager_request(&pager, &s, "last", 0);
    cr_expect_eq(s.top, 3);
    sx_pager_request(&pager, &s, "page-up", 0);
    cr_expect_eq(s.top, 1);
    cr_expect(s.loose);
    sx_pager_request(&pager, &s, "down", 99);
    cr_expect_eq(s.top, 3);
    cr_expect_not(s.loose);
}

/* --- maps of noise ------------------------------------------------------------------------------
 */

static double noise(const void *ctx, int row, int col)
{
    uint32_t x = (uint32_t)(row * 4099 + col) * 2654435761u;
    (void)ctx;
    x ^= x >> 15;
    x *= 2246822519u;
    return (x >> 8) / 16777216.0;
}

Test(widgets, a_map_of_noise_keeps_colours_for_its_strongest_cells)
{
    const struct sx_heatmap map = {.rows = 40, .cols = 20, .value = noise, .lo = 0, .hi = 1};
    struct sx_heatmap_state state = {0};
    struct sx_screen *screen = sx_screen_new(200, 50, SX_CHARSET_UTF8, SX_DEPTH_256);
    struct sx_canvas cv = sx_canvas_of(screen);
    size_t lit = 0;

    sx_heatmap_draw(&cv, &map, &state, false);
    cr_assert_gt(state.lit, 5);
    cr_assert_lt(state.lit, SX_HEAT_LEVELS, "some cells fit");
    for (int row = 0; row < map.rows; row++)
        for (int col = 0; col < map.cols; col++) {
            const int level = sx_heat_level(noise(NULL, row, col), 0, 1, false);
            const struct sx_cell *cell = sx_canvas_cell(&cv, 2 * col, row);
            const bool strong = sx_heat_lit(level, false, state.lit);
            lit += strong;
            cr_expect_eq(cell->style, strong ? SX_STYLE_HEAT_0 + level : SX_STYLE_TEXT);
            cr_expect_eq(cell->ch, strong ? ' ' : sx_glyph_ramp(level));
        }
    cr_expect_gt(lit, 50);
    cr_expect_leq(sx_heat_wire(&cv, (struct sx_rect){0, 0, 40, 40}), 4800);
    sx_screen_free(screen);
}

Test(widgets, maps_of_one_picture_share_their_bytes)
{
    struct sx_screen *screen = sx_screen_new(200, 50, SX_CHARSET_UTF8, SX_DEPTH_256);
    struct sx_canvas cv = sx_canvas_of(screen);
    const struct sx_heatmap map = {.rows = 40, .cols = 30, .value = noise, .lo = 0, .hi = 1};
    size_t sum = 0;

    for (int i = 0; i < 3; i++) {
        struct sx_heatmap_state state = {0};
        struct sx_canvas part = sx_canvas_sub(&cv, (struct sx_rect){66 * i, 0, 66, 44});
        sx_heatmap_draw(&part, &map, &state, false);
        cr_expect_gt(state.lit, 0);
        sum += sx_heat_wire(&part, sx_canvas_rect(&part));
    }
    cr_expect_leq(sum, 12000, "%zu", sum);
    cr_expect_gt(screen->heat_bytes, 7000);
    sx_screen_clear(screen);
    cr_expect_eq(screen->heat_bytes, 0);
    sx_screen_free(screen);
}
