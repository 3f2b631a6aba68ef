/* The real terminal through a pty: what it sends, and what it makes of bytes that come in. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sextant/base/str.h"
#include "sextant/tui/heatmap.h"
#include "sextant/tui/table.h"
#include "sextant/tui/term.h"

/* A thread reads the other side, so that nothing blocks. Text written to the slave directly marks
 * the end of a flush: no waiting for "long enough". */
static struct {
    int master, slave;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct sx_str seen;
} pty = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static const char sentinel[] = "\001end\001";

static void *read_master(void *unused)
{
    char buf[65536];
    ssize_t n;
    (void)unused;
    while ((n = read(pty.master, buf, sizeof buf)) > 0) {
        pthread_mutex_lock(&pty.lock);
        sx_str_append_len(&pty.seen, buf, (size_t)n);
        pthread_cond_signal(&pty.more);
        pthread_mutex_unlock(&pty.lock);
    }
    return NULL;
}

static void set_size(int w, int h)
{
    struct winsize ws = {.ws_col = (unsigned short)w, .ws_row = (unsigned short)h};
    cr_assert_eq(ioctl(pty.slave, TIOCSWINSZ, &ws), 0);
}

static void open_pty(int w, int h)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    unsetenv("NO_COLOR");
    unsetenv("COLORTERM");
    unsetenv("TMUX");
    pty.seen = SX_STR_INIT;
    pty.master = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(pty.master >= 0 && grantpt(pty.master) == 0 && unlockpt(pty.master) == 0);
    pty.slave = open(ptsname(pty.master), O_RDWR | O_NOCTTY);
    cr_assert(pty.slave >= 0);
    set_size(w, h);
    cr_assert_eq(pthread_create(&pty.thread, NULL, read_master, NULL), 0);
}

/* For tests that open several terminals one after the other: nothing of this one may be read with
 * the next. */
static void close_pty(void)
{
    close(pty.slave); /* ends the reader */
    pthread_join(pty.thread, NULL);
    close(pty.master);
    sx_str_release(&pty.seen);
}

static bool seen_sentinel(void)
{
    size_t len = sizeof sentinel - 1;
    return pty.seen.len >= len && memcmp(pty.seen.data + pty.seen.len - len, sentinel, len) == 0;
}

/* Everything sent since the last call; the caller releases it. */
static struct sx_str take_output(void)
{
    struct sx_str out = SX_STR_INIT;
    cr_assert_eq(write(pty.slave, sentinel, sizeof sentinel - 1), (ssize_t)sizeof sentinel - 1);
    pthread_mutex_lock(&pty.lock);
    while (!seen_sentinel())
        pthread_cond_wait(&pty.more, &pty.lock);
    sx_str_append_len(&out, pty.seen.data, pty.seen.len - (sizeof sentinel - 1));
    sx_str_clear(&pty.seen);
    pthread_mutex_unlock(&pty.lock);
    return out;
}

static size_t count_output(void)
{
    struct sx_str out = take_output();
    size_t len = out.len;
    sx_str_release(&out);
    return len;
}

static struct sx_term *open_term(const char *color, int w, int h)
{
    struct sx_term_options options = SX_TERM_OPTIONS_INIT;
    struct sx_term *term = NULL;
    struct sx_error err = {0};
    open_pty(w, h);
    options.color = color;
    options.in_fd = options.out_fd = pty.slave;
    options.term_name = "xterm-256color";
    enum sx_status status = sx_term_open_curses(&options, &term, &err);
    cr_assert_eq(status, SX_OK, "%s", err.message);
    return term;
}

/* The columns of the features screen. */
enum { N_COLUMNS = 9 };
static const struct sx_column columns[N_COLUMNS] = {
    {.title = "latent", .width = 6, .align = SX_RIGHT, .frozen = true},
    {.title = "align", .width = 5, .align = SX_RIGHT},
    {.title = "|dec|", .width = 5, .align = SX_RIGHT},
    {.title = "dens", .width = 5, .align = SX_RIGHT},
    {.title = "seed 1", .width = 11},
    {.title = "seed 2", .width = 11},
    {.title = "seed 3", .width = 11},
    {.title = "badge", .width = 7},
    {.title = "label", .width = 20, .weight = 1},
};

static void table_cell(const void *ctx, size_t row, int column, struct sx_table_cell *out)
{
    unsigned noise = (unsigned)(row * 7919 + 31 * (size_t)column) % 1000;
    (void)ctx;
    out->text = out->buffer;
    out->style = SX_STYLE_NUMBER;
    if (column == 0) {
        snprintf(out->buffer, sizeof out->buffer, "%04zu", row);
    } else if (column < 4) {
        snprintf(out->buffer, sizeof out->buffer, ".%03u", noise);
    } else if (column < 7) {
        snprintf(out->buffer, sizeof out->buffer, "%04u .%02u%s", noise * 7, noise % 97,
                 noise % 5 ? "" : " ≈");
    } else if (column == 7) {
        out->style = SX_STYLE_BADGE;
        out->text = noise % 3 ? "●●○" : "●●●";
    } else {
        out->style = SX_STYLE_DIM;
        snprintf(out->buffer, sizeof out->buffer, "digits with a loop, %u of them", noise);
    }
}

static size_t table_bytes[4]; /* first paint, largest cursor move, page, idle */

static void measure_table(const char *color, int w, int h)
{
    struct sx_table table = {.columns = columns,
                             .n_columns = N_COLUMNS,
                             .n_rows = 131072,
                             .cell = table_cell,
                             .sort_column = 2};
    struct sx_table_state state = {0};
    struct sx_term *term = open_term(color, w, h);
    struct sx_screen *screen = sx_screen_new(w, h, sx_term_charset(term), sx_term_depth(term));
    struct sx_canvas cv = sx_canvas_of(screen);
    memset(table_bytes, 0, sizeof table_bytes);
    for (int step = 0; step < h - 2; step++) {
        sx_screen_clear(screen);
        sx_table_draw(&cv, &table, &state, true);
        sx_term_flush(term, screen, sx_theme_default());
        size_t n = count_output();
        if (step == 0)
            table_bytes[0] = n;
        else if (n > table_bytes[1])
            table_bytes[1] = n;
        sx_table_move(&state, table.n_rows, 1);
    }
    sx_table_page(&state, table.n_rows, 1);
    sx_screen_clear(screen);
    sx_table_draw(&cv, &table, &state, true);
    sx_term_flush(term, screen, sx_theme_default());
    table_bytes[2] = count_output();
    sx_term_flush(term, screen, sx_theme_default());
    table_bytes[3] = count_output();
    fprintf(stderr, "%s %dx%d: first %zu B, cursor <= %zu B, page %zu B, idle %zu B\n", color, w, h,
            table_bytes[0], table_bytes[1], table_bytes[2], table_bytes[3]);
    sx_screen_free(screen);
    sx_term_close(term);
}

static void expect_budget(const char *color, int w, int h)
{
    measure_table(color, w, h);
    cr_expect_leq(table_bytes[1], 400, "%s %dx%d: cursor move %zu", color, w, h, table_bytes[1]);
    cr_expect_leq(table_bytes[2], 8192, "%s %dx%d: page %zu", color, w, h, table_bytes[2]);
    cr_expect_eq(table_bytes[3], 0);
}

Test(term_curses, cursor_move_200x50_256)
{
    expect_budget("256", 200, 50);
}

Test(term_curses, cursor_move_80x24_256)
{
    expect_budget("256", 80, 24);
}

Test(term_curses, cursor_move_120x40_16)
{
    expect_budget("16", 120, 40);
}

Test(term_curses, cursor_move_200x50_mono)
{
    expect_budget("never", 200, 50);
}

/* Attention as heads show it: a band along the diagonal, a strong first column, a weak rest; or
 * with signs, a difference of two such maps. */
static double attention(double row, double col, double shift)
{
    double d = (row * 2 - col + shift) / 6;
    return 0.8 * exp(-d * d) + (col < 1 ? 0.5 : 0);
}

static double map_value(const void *ctx, int row, int col)
{
    double t = *(const double *)ctx;
    return attention(row, col, 8 * t);
}

static double signed_value(const void *ctx, int row, int col)
{
    double t = *(const double *)ctx;
    return attention(row, col, 8 * t) - attention(row, col, 8 * t + 30);
}

/* No two neighbours alike. */
static double noise(const void *ctx, int row, int col)
{
    uint32_t x = (uint32_t)(row * 4099 + col) * 2654435761u + (uint32_t) * (const double *)ctx;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    return x / 2147483648.0 - 1;
}

static void noise_text(const void *ctx, int row, int col, char *buf, size_t size)
{
    snprintf(buf, size, "%+.2f", noise(ctx, row, col));
}

typedef double value_of(const void *ctx, int row, int col);

/* `width` of a cell; from 8 on with a word in each. */
static void expect_heat_budget(const char *name, value_of *value, bool diverging, int width,
                               const char *depth)
{
    double t = 0;
    struct sx_heatmap map = {.rows = 48,
                             .cols = 200 / width,
                             .value = value,
                             .ctx = &t,
                             .cell_width = width,
                             .cell_text = width >= 8 ? noise_text : NULL,
                             .diverging = diverging,
                             .lo = -1,
                             .hi = 1};
    struct sx_heatmap_state state = {0};
    struct sx_term *term = open_term(depth, 200, 50);
    struct sx_screen *screen = sx_screen_new(200, 50, sx_term_charset(term), sx_term_depth(term));
    struct sx_canvas cv = sx_canvas_of(screen);
    size_t most = 0;
    for (int i = 0; i < 4; i++, t += 1) {
        sx_screen_clear(screen);
        sx_heatmap_draw(&cv, &map, &state, true);
        sx_term_flush(term, screen, sx_theme_default());
        size_t n = count_output();
        most = n > most ? n : most;
    }
    fprintf(stderr, "heatmap 200x50, %s, %s: repaint <= %zu B\n", name, depth, most);
    cr_expect_leq(most, 12 * 1000);
    sx_screen_free(screen);
    sx_term_close(term);
    close_pty();
}

Test(term_curses, heatmap_repaint_sequential)
{
    expect_heat_budget("sequential", map_value, false, 2, "256");
}

Test(term_curses, heatmap_repaint_diverging)
{
    expect_heat_budget("diverging", signed_value, true, 2, "256");
}

Test(term_curses, heatmap_repaint_noise)
{
    expect_heat_budget("noise", noise, false, 2, "256");
    expect_heat_budget("noise", noise, false, 1, "256");
    expect_heat_budget("noise", noise, false, 2, "16");
    expect_heat_budget("noise", noise, false, 2, "never");
}

Test(term_curses, heatmap_repaint_noise_with_signs)
{
    expect_heat_budget("signed noise", noise, true, 2, "256");
    expect_heat_budget("numbers", noise, true, 7, "256");
    expect_heat_budget("words", noise, true, 8, "256");
    expect_heat_budget("words", noise, true, 8, "16");
}

static double alternating(const void *ctx, int row, int col)
{
    (void)ctx;
    return (row + col) % 2 ? 0.9 : -0.9;
}

static void number_text(const void *ctx, int row, int col, char *buf, size_t size)
{
    snprintf(buf, size, "%+.1f", alternating(ctx, row, col));
}

/* A cell whose colour is its own costs one change of both colours, not another one between the
 * blank at its left and its digits. */
Test(term_curses, numbers_on_colours)
{
    enum { ROWS = 40, COLS = 20, CHANGE = 22, TEXT = 7, AROUND = 40 };
    const struct sx_heatmap map = {.rows = ROWS,
                                   .cols = COLS,
                                   .value = alternating,
                                   .cell_width = TEXT,
                                   .cell_text = number_text,
                                   .numbers = true,
                                   .diverging = true,
                                   .lo = -1,
                                   .hi = 1};
    struct sx_heatmap_state state = {0};
    /* Twice as wide and high as what it holds, since that is what its budget hangs on. */
    struct sx_term *term = open_term("256", 400, 200);
    struct sx_screen *screen = sx_screen_new(400, 200, sx_term_charset(term), sx_term_depth(term));
    struct sx_canvas cv = sx_canvas_of(screen);

    sx_heatmap_draw(&cv, &map, &state, false);
    cr_assert_eq(state.lit, 1, "all but the cells about zero are coloured");
    sx_term_flush(term, screen, sx_theme_default());
    const size_t n = count_output();
    cr_expect_leq(n, ROWS * (COLS * (TEXT + CHANGE) + AROUND), "%zu bytes", n);
    sx_screen_free(screen);
    sx_term_close(term);
    close_pty();
}

static struct sx_key next_key(struct sx_term *term)
{
    struct sx_key key = {0};
    int fds[SX_TERM_FDS];
    struct pollfd p[SX_TERM_FDS];
    int n = sx_term_fds(term, fds);
    for (int i = 0; i < n; i++)
        p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    while (!sx_term_read(term, &key))
        cr_assert(poll(p, (nfds_t)n, 5000) != 0, "no key within 5 s");
    return key;
}

static void expect_key(struct sx_term *term, const char *bytes, const char *name)
{
    char found[32];
    cr_assert_eq(write(pty.master, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
    sx_key_name(next_key(term), found, sizeof found);
    cr_expect_str_eq(found, name, "%s came as %s", name, found);
}

Test(term_curses, keys_mouse_and_paste)
{
    struct sx_term *term = open_term("256", 80, 24);
    expect_key(term, "j", "j");
    expect_key(term, "\xC3\xA9", "é");
    expect_key(term, "\033OB", "Down");
    expect_key(term, "\033[Z", "S-Tab");
    expect_key(term, "\033[1;5A", "C-Up");
    expect_key(term, "\033[6~", "PgDn");
    expect_key(term, "\x04", "C-d");
    expect_key(term, "\x1a", "C-z");
    expect_key(term, "\r", "Enter");
    expect_key(term, "\x7f", "Backspace");
    expect_key(term, "\033x", "M-x");
    expect_key(term, "\033", "Esc");
    expect_key(term, "\033[200~one\rtwo\033[201~", "Paste");
    cr_expect_str_eq(sx_term_paste(term), "one\ntwo");
    expect_key(term, "\033[<64;5;3M", "WheelUp");
    cr_assert_eq(write(pty.master, "\033[<0;5;3M", 9), 9);
    struct sx_key key = next_key(term);
    cr_expect_eq(key.code, SX_KEY_CLICK);
    cr_expect_eq(key.x, 4);
    cr_expect_eq(key.y, 2);
    expect_key(term, "\033[<32;7;3M", "Drag");
    expect_key(term, "\033[<0;7;3m\033[<0;7;3Mq", "Click");
    sx_term_close(term);
}

Test(term_curses, resize_is_an_event_and_any_size_is_fine)
{
    struct sx_term *term = open_term("256", 80, 24);
    struct sx_screen *screen = sx_screen_new(80, 24, SX_CHARSET_UTF8, SX_DEPTH_256);
    static const int sizes[][2] = {{20, 5}, {1, 1}, {300, 100}, {80, 24}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        set_size(sizes[i][0], sizes[i][1]);
        raise(SIGWINCH);
        struct sx_key key = next_key(term);
        cr_expect_eq(key.code, SX_KEY_RESIZE);
        cr_expect_eq(key.x, sizes[i][0]);
        cr_expect_eq(key.y, sizes[i][1]);
        sx_term_flush(term, screen, sx_theme_default()); /* still of another size */
        sx_screen_resize(screen, key.x, key.y);
        struct sx_canvas cv = sx_canvas_of(screen);
        sx_put(&cv, 0, 0, SX_STYLE_STRONG, "漢字 and more than fits into one column");
        sx_term_flush(term, screen, sx_theme_default());
    }
    sx_screen_free(screen);
    sx_term_close(term);
}

static bool ends_restored(const struct sx_str *out)
{
    return strstr(out->data, "\033[?1049l") && strstr(out->data, "\033[?2004l") &&
           strstr(out->data, "\033[?1002l");
}

Test(term_curses, closing_gives_the_terminal_back)
{
    struct sx_term *term = open_term("256", 80, 24);
    struct sx_str out = take_output();
    cr_expect(strstr(out.data, "\033[?2004h"));
    sx_str_release(&out);
    cr_expect(sx_term_copy(term, "hello"));
    out = take_output();
    cr_expect_str_eq(out.data, "\033]52;c;aGVsbG8=\a");
    sx_str_release(&out);
    sx_term_close(term);
    out = take_output();
    cr_expect(ends_restored(&out));
    sx_str_release(&out);
}

/* The signal is expected to kill the test's process after the terminal is restored, so the check
 * runs in a handler that was there before. */
static void after_crash(int sig)
{
    (void)sig;
    struct sx_str out = take_output();
    _exit(ends_restored(&out) ? 17 : 18);
}

Test(term_curses, a_crash_restores_the_terminal, .exit_code = 17)
{
    signal(SIGABRT, after_crash);
    open_term("256", 80, 24);
    count_output();
    raise(SIGABRT);
    _exit(19);
}

Test(term_curses, truecolor_redefines_the_palette_when_it_may)
{
    setenv("COLORTERM", "truecolor", 1);
    struct sx_term_options options = SX_TERM_OPTIONS_INIT;
    struct sx_term *term = NULL;
    open_pty(10, 2);
    setenv("COLORTERM", "truecolor", 1);
    options.in_fd = options.out_fd = pty.slave;
    options.term_name = "xterm-256color";
    cr_assert_eq(sx_term_open_curses(&options, &term, NULL), SX_OK);
    cr_expect_eq(sx_term_depth(term), SX_DEPTH_TRUE);
    count_output();
    struct sx_screen *screen = sx_screen_new(10, 2, SX_CHARSET_UTF8, SX_DEPTH_TRUE);
    struct sx_canvas cv = sx_canvas_of(screen);
    sx_put_rgb(&cv, 0, 0, ' ', NULL, &(struct sx_rgb){0x12, 0xAB, 0xFF});
    sx_term_flush(term, screen, sx_theme_default());
    struct sx_str out = take_output();
    cr_expect(strstr(out.data, "\033]4;16;rgb:12/AB/FF\033\\"), "%s", out.data);
    cr_expect(strstr(out.data, "48;5;16m"));
    sx_str_release(&out);
    sx_screen_free(screen);
    sx_term_close(term);
    out = take_output();
    cr_expect(strstr(out.data, "\033]104")); /* the palette is put back */
    sx_str_release(&out);
}

Test(term_curses, no_terminal_is_an_error_not_a_crash)
{
    struct sx_term_options options = SX_TERM_OPTIONS_INIT;
    struct sx_term *term = NULL;
    struct sx_error err = {0};
    open_pty(80, 24);
    options.in_fd = options.out_fd = pty.slave;
    options.term_name = "no-such-terminal";
    cr_expect_eq(sx_term_open_curses(&options, &term, &err), SX_ERR_IO);
    cr_expect(strstr(err.message, "no-such-terminal"));
    options.term_name = "xterm";
    options.color = "purple";
    cr_expect_eq(sx_term_open_curses(&options, &term, &err), SX_ERR_USAGE);
}
