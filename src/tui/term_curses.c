/* The only user of curses. A flush compares the screen with what was sent last and hands ncurses
 * the cells that changed; ncurses finds the shortest way to say it, in one doupdate. Colours:
 *   - a terminal type with direct colours takes RGB as it is;
 *   - with COLORTERM=truecolor and a palette that can be changed, entries 16..255 are redefined as
 *     colours are met (and reset on leaving);
 *   - otherwise RGB is quantised to 256 before it comes here (the depth says 256).
 * ncurses keeps global state, so there is one terminal at a time. */
#include "sextant/tui/term.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"
#include "term_ops.h"

/* Key codes of our own, far above those of ncurses. */
enum {
    CODE_PASTE_BEGIN = 0x4000,
    CODE_PASTE_END,
    CODE_MODIFIED, /* + 8 * index into `modified` + modifiers */
};
static const struct {
    char final;
    uint32_t code;
} modified[] = {{'A', SX_KEY_UP},   {'B', SX_KEY_DOWN}, {'C', SX_KEY_RIGHT},
                {'D', SX_KEY_LEFT}, {'H', SX_KEY_HOME}, {'F', SX_KEY_END}};

enum { FIRST_SLOT = 16, N_SLOTS = 256 };

struct sent {
    uint32_t ch, mark;
    struct sx_look look;
};

struct curses_term {
    struct sx_term base;
    SCREEN *screen;
    FILE *in, *out; /* owned copies of the descriptors */
    int in_fd, out_fd;
    int w, h;
    struct sent *sent; /* [h][w]: what ncurses was told last */
    struct sent *row;  /* [w]: scratch of a flush */
    bool default_colours;
    bool direct;
    bool palette; /* slots are being redefined */
    struct sx_rgb slot[N_SLOTS];
    int n_slots;     /* next free slot; FIRST_SLOT at the start */
    bool xterm_like; /* takes the mouse and paste sequences of xterm */
    bool mouse;
    bool button_down;
    double click_time;
    int click_x, click_y;
    bool resized; /* report a SX_KEY_RESIZE */
    bool closed;
    struct sx_str paste;
    int pipe[2];
    bool signals;
    int cursor_shown; /* what curs_set was told, -1: nothing */
};

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL, SIGABRT,
                                    SIGTERM, SIGHUP, SIGQUIT, SIGINT};
enum { N_CRASH = sizeof crash_signals / sizeof crash_signals[0] };

/* What signal handlers may touch. */
static struct {
    volatile sig_atomic_t active;
    int out_fd, pipe_fd;
    char restore[512];
    size_t restore_len;
    struct termios modes;
    bool has_modes;
    struct sigaction old_crash[N_CRASH], old_winch;
} emergency;

static struct curses_term *curses_of(struct sx_term *term)
{
    return (struct curses_term *)term;
}

static const struct curses_term *curses_of_const(const struct sx_term *term)
{
    return (const struct curses_term *)term;
}

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            if (poll(&p, 1, 1000) <= 0)
                return;
            continue;
        }
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
}

static void send_bytes(const struct curses_term *t, const char *bytes)
{
    fflush(t->out);
    write_all(t->out_fd, bytes, strlen(bytes));
}

/* Signals. */

static void restore_terminal(void)
{
    write_all(emergency.out_fd, emergency.restore, emergency.restore_len);
    if (emergency.has_modes)
        tcsetattr(emergency.out_fd, TCSANOW, &emergency.modes);
}

static void on_crash(int sig)
{
    int saved = errno;
    if (emergency.active) {
        emergency.active = 0;
        restore_terminal();
    }
    for (int i = 0; i < N_CRASH; i++)
        if (crash_signals[i] == sig)
            sigaction(sig, &emergency.old_crash[i], NULL);
    raise(sig); /* taken when this handler returns, by whoever was there before */
    errno = saved;
}

static void on_winch(int sig)
{
    int saved = errno;
    (void)sig;
    ssize_t n = write(emergency.pipe_fd, "w", 1);
    (void)n; /* a full pipe wakes as well as one more byte would */
    errno = saved;
}

/* Append a terminfo string without its padding. */
static void add_capability(struct sx_str *out, const char *name)
{
    char copy[8];
    snprintf(copy, sizeof copy, "%s", name);
    const char *s = tigetstr(copy);
    if (!s || s == (const char *)-1)
        return;
    while (*s) {
        const char *pad = strncmp(s, "$<", 2) == 0 ? strchr(s, '>') : NULL;
        if (pad)
            s = pad + 1;
        else
            sx_str_append_char(out, *s++);
    }
}

static const char mouse_off[] = "\033[?1002l\033[?1006;1000l";
static const char paste_on[] = "\033[?2004h";
static const char paste_off[] = "\033[?2004l";

static void prepare_emergency(const struct curses_term *t)
{
    struct sx_str s = SX_STR_INIT;
    add_capability(&s, "sgr0");
    add_capability(&s, "op");
    if (t->palette)
        add_capability(&s, "oc");
    if (t->xterm_like) {
        sx_str_append(&s, mouse_off);
        sx_str_append(&s, paste_off);
    }
    add_capability(&s, "rmkx");
    add_capability(&s, "cnorm");
    add_capability(&s, "rmcup");
    emergency.restore_len = s.len < sizeof emergency.restore ? s.len : 0;
    memcpy(emergency.restore, s.data, emergency.restore_len);
    sx_str_release(&s);
    emergency.out_fd = t->out_fd;
    emergency.pipe_fd = t->pipe[1];
}

static void install_signals(struct curses_term *t)
{
    struct sigaction crash = {.sa_handler = on_crash};
    struct sigaction winch = {.sa_handler = on_winch, .sa_flags = SA_RESTART};
    sigfillset(&crash.sa_mask);
    sigemptyset(&winch.sa_mask);
    emergency.active = 1;
    for (int i = 0; i < N_CRASH; i++)
        sigaction(crash_signals[i], &crash, &emergency.old_crash[i]);
    sigaction(SIGWINCH, &winch, &emergency.old_winch);
    /* ncurses put its own handlers there when it started; those must not run after us. */
    for (int i = 0; i < N_CRASH; i++)
        if (crash_signals[i] == SIGINT || crash_signals[i] == SIGTERM)
            emergency.old_crash[i].sa_handler = SIG_DFL;
    t->signals = true;
}

static void remove_signals(struct curses_term *t)
{
    emergency.active = 0;
    if (!t->signals)
        return;
    for (int i = 0; i < N_CRASH; i++)
        sigaction(crash_signals[i], &emergency.old_crash[i], NULL);
    signal(SIGWINCH, SIG_DFL);
    t->signals = false;
}

/* Size. */

static void forget(struct curses_term *t)
{
    size_t n = (size_t)t->w * (size_t)t->h;
    for (size_t i = 0; i < n; i++)
        t->sent[i].ch = UINT32_MAX;
}

static void take_size(struct curses_term *t, int w, int h)
{
    t->w = w < 1 ? 1 : w;
    t->h = h < 1 ? 1 : h;
    t->sent = sx_xrealloc(t->sent, (size_t)t->w * (size_t)t->h * sizeof *t->sent);
    t->row = sx_xrealloc(t->row, (size_t)t->w * sizeof *t->row);
    forget(t);
}

static void check_size(struct curses_term *t)
{
    struct winsize ws;
    if (ioctl(t->out_fd, TIOCGWINSZ, &ws) != 0 || !ws.ws_col || !ws.ws_row)
        return;
    if (ws.ws_col == t->w && ws.ws_row == t->h)
        return;
    resizeterm(ws.ws_row, ws.ws_col);
    take_size(t, COLS, LINES);
    clearok(curscr, TRUE);
    t->resized = true;
}

/* Colours. */

static bool rgb_equal(struct sx_rgb a, struct sx_rgb b)
{
    return a.r == b.r && a.g == b.g && a.b == b.b;
}

/* Rounded up: terminfo rounds down on the way back to 0..255. */
static int per_mille(int level)
{
    return (level * 1000 + 254) / 255;
}

/* The palette entry for a colour: one that has it, a new one, or the nearest. */
static int palette_slot(struct curses_term *t, struct sx_rgb rgb)
{
    for (int i = FIRST_SLOT; i < t->n_slots; i++)
        if (rgb_equal(t->slot[i], rgb))
            return i;
    if (t->n_slots < N_SLOTS) {
        int i = t->n_slots++;
        t->slot[i] = rgb;
        init_extended_color(i, per_mille(rgb.r), per_mille(rgb.g), per_mille(rgb.b));
        return i;
    }
    int best = FIRST_SLOT;
    long least = -1;
    for (int i = FIRST_SLOT; i < N_SLOTS; i++) {
        long r = t->slot[i].r - rgb.r;
        long g = t->slot[i].g - rgb.g;
        long b = t->slot[i].b - rgb.b;
        long d = 3 * r * r + 6 * g * g + b * b;
        if (least < 0 || d < least) {
            least = d;
            best = i;
        }
    }
    return best;
}

static int colour_number(struct curses_term *t, struct sx_colour c, bool bg, attr_t *attrs)
{
    if (c.kind == SX_COLOUR_DEFAULT)
        return t->default_colours ? -1 : bg ? COLOR_BLACK : COLOR_WHITE;
    if (c.kind == SX_COLOUR_RGB) {
        if (t->direct)
            return c.rgb.r << 16 | c.rgb.g << 8 | c.rgb.b;
        return palette_slot(t, c.rgb);
    }
    if (c.index >= 8 && COLORS < 16) { /* eight colours: bright ones are bold */
        if (!bg)
            *attrs |= A_BOLD;
        return c.index % 8;
    }
    return c.index;
}

static attr_t attributes(uint8_t attrs)
{
    return (attrs & SX_BOLD ? A_BOLD : 0) | (attrs & SX_FAINT ? A_DIM : 0) |
           (attrs & SX_ITALIC ? A_ITALIC : 0) | (attrs & SX_UNDERLINE ? A_UNDERLINE : 0) |
           (attrs & SX_REVERSE ? A_REVERSE : 0);
}

static void choose_colours(struct curses_term *t, const char *colorterm)
{
    if (t->base.depth == SX_DEPTH_MONO)
        return;
    if (!has_colors() || start_color() == ERR || COLORS < 8) {
        t->base.depth = SX_DEPTH_MONO;
        return;
    }
    t->default_colours = use_default_colors() == OK;
    char rgb[] = "RGB";
    t->direct = COLORS >= 1 << 24 || tigetflag(rgb) > 0 || tigetnum(rgb) > 0;
    bool says_true =
        colorterm && (strcmp(colorterm, "truecolor") == 0 || strcmp(colorterm, "24bit") == 0);
    if (t->base.depth == SX_DEPTH_TRUE && !t->direct) {
        t->palette = says_true && COLORS >= 256 && can_change_color();
        t->n_slots = FIRST_SLOT;
        if (!t->palette)
            t->base.depth = SX_DEPTH_256;
    }
    if (t->base.depth == SX_DEPTH_256 && COLORS < 256)
        t->base.depth = SX_DEPTH_16;
}

/* Output. */

static bool same_colour(struct sx_colour a, struct sx_colour b)
{
    return a.kind == b.kind && a.index == b.index && rgb_equal(a.rgb, b.rgb);
}

static bool same_sent(const struct sent *a, const struct sent *b)
{
    return a->ch == b->ch && a->mark == b->mark && a->look.attrs == b->look.attrs &&
           same_colour(a->look.fg, b->look.fg) && same_colour(a->look.bg, b->look.bg);
}

static void put_sent(struct curses_term *t, int x, int y, const struct sent *s)
{
    wchar_t text[3] = {(wchar_t)s->ch, (wchar_t)s->mark, 0};
    attr_t attrs = attributes(s->look.attrs);
    int pair = 0;
    if (t->base.depth != SX_DEPTH_MONO &&
        (s->look.fg.kind != SX_COLOUR_DEFAULT || s->look.bg.kind != SX_COLOUR_DEFAULT)) {
        int fg = colour_number(t, s->look.fg, false, &attrs);
        int bg = colour_number(t, s->look.bg, true, &attrs);
        pair = alloc_pair(fg, bg);
        if (pair < 0)
            pair = 0;
    }
    cchar_t cell;
    if (setcchar(&cell, text, attrs, 0, &pair) == OK)
        mvadd_wch(y, x, &cell);
}

static bool is_blank(const struct sent *s)
{
    return s->ch == ' ' && !s->mark && !(s->look.attrs & (SX_UNDERLINE | SX_REVERSE));
}

/* What a run of blanks on this background, row[from] to row[end - 1], may look like: as the cell
 * before it, else as the one behind it. */
static struct sx_look blank_look(const struct sent *row, int w, int from, int end)
{
    enum { WIDE_GAP = 12 };
    const struct sx_look plain = {.bg = row[from].look.bg};
    const bool own = plain.bg.kind == SX_COLOUR_DEFAULT;
    const struct sent *beside[2] = {from > 0 ? &row[from - 1] : NULL,
                                    end < w && !own ? &row[end] : NULL};

    if (own && (end == w || end - from > WIDE_GAP))
        return plain;
    for (int i = 0; i < 2; i++)
        if (beside[i] && same_colour(beside[i]->look.bg, plain.bg) &&
            !(beside[i]->look.attrs & (SX_UNDERLINE | SX_REVERSE)))
            return beside[i]->look;
    return plain;
}

/* A blank shows its background only, so it may take the rest of its look from a cell beside it:
 * then the words of a row that differ from each other need no change back and forth around every
 * gap, and a number on a colour none between its blank and its digits. Wide gaps and row ends on
 * the terminal's own background stay plain: those are erased, not written, and should not change
 * along with their neighbour. */
static void smooth_blanks(struct sent *row, int w)
{
    for (int x = 0; x < w;) {
        if (!is_blank(&row[x])) {
            x++;
            continue;
        }
        int end = x + 1;
        while (end < w && is_blank(&row[end]) && same_colour(row[end].look.bg, row[x].look.bg))
            end++;
        const struct sx_look look = blank_look(row, w, x, end);
        for (; x < end; x++)
            row[x].look = look;
    }
}

static void resolve_row(struct curses_term *t, const struct sx_screen *screen,
                        const struct sx_theme *theme, int y)
{
    static const struct sx_cell outside = {.ch = ' ', .width = 1};
    for (int x = 0; x < t->w; x++) {
        bool in = x < screen->w && y < screen->h;
        const struct sx_cell *cell =
            in ? &screen->cells[(size_t)y * (size_t)screen->w + (size_t)x] : &outside;
        if (cell->width == 2 && x + 1 >= t->w)
            cell = &outside;
        t->row[x] = (struct sent){cell->ch, cell->mark, sx_theme_cell(theme, t->base.depth, cell)};
    }
    smooth_blanks(t->row, t->w);
}

/* From the right: blanks behind the last word that changes have another look now, since that
 * follows the word's, but look the same. Those between words go along with them. */
static void send_row(struct curses_term *t, struct sent *old, int y)
{
    bool kept = true; /* the cell at the right */
    for (int x = t->w - 1; x >= 0; x--) {
        const struct sent *now = &t->row[x];
        kept = same_sent(now, &old[x]) || (kept && is_blank(now) && is_blank(&old[x]) &&
                                           same_colour(now->look.bg, old[x].look.bg));
        if (kept)
            continue;
        old[x] = *now;
        if (old[x].ch) /* 0: the right half of a wide character goes with the left */
            put_sent(t, x, y, &old[x]);
    }
}

static void curses_flush(struct sx_term *term, const struct sx_screen *screen,
                         const struct sx_theme *theme)
{
    struct curses_term *t = curses_of(term);
    for (int y = 0; y < t->h; y++) {
        struct sent *old = &t->sent[(size_t)y * (size_t)t->w];
        resolve_row(t, screen, theme, y);
        send_row(t, old, y);
    }
    int cursor = screen->cursor_set ? 1 : 0;
    if (cursor != t->cursor_shown) {
        curs_set(cursor);
        t->cursor_shown = cursor;
    }
    if (screen->cursor_set && screen->cursor_x < t->w && screen->cursor_y < t->h)
        move(screen->cursor_y, screen->cursor_x);
    else
        move(t->h - 1, t->w - 1);
    wnoutrefresh(stdscr);
    doupdate();
}

static void curses_redraw(struct sx_term *term)
{
    forget(curses_of(term));
    clearok(curscr, TRUE);
}

/* Input. */

static void curses_set_mouse(struct sx_term *term, bool on)
{
    struct curses_term *t = curses_of(term);
    if (!t->xterm_like || on == t->mouse)
        return;
    mousemask(on ? BUTTON1_PRESSED | BUTTON1_RELEASED | BUTTON3_PRESSED | BUTTON4_PRESSED |
                       BUTTON5_PRESSED | REPORT_MOUSE_POSITION
                 : 0,
              NULL);
    mouseinterval(0); /* a click is told at once; double clicks are ours to find */
    send_bytes(t, on ? "\033[?1002h" : "\033[?1002l");
    t->mouse = on;
}

static bool read_mouse(struct curses_term *t, struct sx_key *key)
{
    const double double_click_s = 0.35;
    MEVENT event;
    if (getmouse(&event) != OK)
        return false;
    *key = (struct sx_key){.x = event.x, .y = event.y};
    if (event.bstate & BUTTON_SHIFT)
        key->mods |= SX_MOD_SHIFT;
    if (event.bstate & BUTTON_CTRL)
        key->mods |= SX_MOD_CTRL;
    if (event.bstate & BUTTON4_PRESSED) {
        key->code = SX_KEY_WHEEL_UP;
    } else if (event.bstate & BUTTON5_PRESSED) {
        key->code = SX_KEY_WHEEL_DOWN;
    } else if (event.bstate & BUTTON3_PRESSED) {
        key->code = SX_KEY_RIGHT_CLICK;
    } else if (event.bstate & BUTTON1_PRESSED) {
        double now = sx_clock();
        bool twice =
            now - t->click_time < double_click_s && event.x == t->click_x && event.y == t->click_y;
        key->code = twice ? SX_KEY_DOUBLE_CLICK : SX_KEY_CLICK;
        t->click_time = twice ? -1 : now;
        t->click_x = event.x;
        t->click_y = event.y;
        t->button_down = true;
    } else if (event.bstate & BUTTON1_RELEASED) {
        t->button_down = false;
        return false;
    } else if (event.bstate & REPORT_MOUSE_POSITION) {
        if (!t->button_down)
            return false;
        key->code = SX_KEY_DRAG;
    } else {
        return false;
    }
    return true;
}

/* Everything up to the end mark; a terminal that never sends it is waited for 0.2 s a character. */
static void read_paste(struct curses_term *t)
{
    enum { MAX_PASTE = 1 << 20, WAIT_MS = 200 };
    sx_str_clear(&t->paste);
    timeout(WAIT_MS);
    for (;;) {
        wint_t ch;
        int kind = get_wch(&ch);
        if (kind == ERR || (kind == KEY_CODE_YES && ch == CODE_PASTE_END))
            break;
        if (kind == KEY_CODE_YES || t->paste.len >= MAX_PASTE)
            continue;
        char bytes[4];
        uint32_t c = ch == '\r' ? '\n' : (uint32_t)ch;
        sx_str_append_len(&t->paste, bytes, sx_utf8_encode(c, bytes));
    }
    timeout(0);
}

static struct sx_key from_char(uint32_t ch)
{
    if (ch == '\t')
        return (struct sx_key){.code = SX_KEY_TAB};
    if (ch == '\r' || ch == '\n')
        return (struct sx_key){.code = SX_KEY_ENTER};
    if (ch == 0x1B)
        return (struct sx_key){.code = SX_KEY_ESC};
    if (ch == 0x7F || ch == 0x08)
        return (struct sx_key){.code = SX_KEY_BACKSPACE};
    if (ch == 0)
        return (struct sx_key){.code = ' ', .mods = SX_MOD_CTRL};
    if (ch < 0x1B)
        return (struct sx_key){.code = ch + 'a' - 1, .mods = SX_MOD_CTRL};
    if (ch < 0x20)
        return (struct sx_key){.code = ch + '@', .mods = SX_MOD_CTRL};
    return (struct sx_key){.code = ch};
}

static bool from_code(wint_t code, struct sx_key *key)
{
    static const struct {
        wint_t code;
        uint32_t key;
        uint8_t mods;
    } table[] = {
        {KEY_UP, SX_KEY_UP, 0},
        {KEY_DOWN, SX_KEY_DOWN, 0},
        {KEY_LEFT, SX_KEY_LEFT, 0},
        {KEY_RIGHT, SX_KEY_RIGHT, 0},
        {KEY_SR, SX_KEY_UP, SX_MOD_SHIFT},
        {KEY_SF, SX_KEY_DOWN, SX_MOD_SHIFT},
        {KEY_SLEFT, SX_KEY_LEFT, SX_MOD_SHIFT},
        {KEY_SRIGHT, SX_KEY_RIGHT, SX_MOD_SHIFT},
        {KEY_HOME, SX_KEY_HOME, 0},
        {KEY_END, SX_KEY_END, 0},
        {KEY_SHOME, SX_KEY_HOME, SX_MOD_SHIFT},
        {KEY_SEND, SX_KEY_END, SX_MOD_SHIFT},
        {KEY_PPAGE, SX_KEY_PGUP, 0},
        {KEY_NPAGE, SX_KEY_PGDN, 0},
        {KEY_BACKSPACE, SX_KEY_BACKSPACE, 0},
        {KEY_DC, SX_KEY_DELETE, 0},
        {KEY_IC, SX_KEY_INSERT, 0},
        {KEY_ENTER, SX_KEY_ENTER, 0},
        {KEY_BTAB, SX_KEY_TAB, SX_MOD_SHIFT},
    };
    *key = (struct sx_key){0};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].code == code) {
            key->code = table[i].key;
            key->mods = table[i].mods;
            return true;
        }
    }
    if (code >= KEY_F(1) && code <= KEY_F(12)) {
        key->code = SX_KEY_F1 + (uint32_t)(code - KEY_F(1));
        return true;
    }
    size_t n_modified = sizeof modified / sizeof modified[0];
    if (code >= CODE_MODIFIED && code < CODE_MODIFIED + 8 * n_modified) {
        key->code = modified[(code - CODE_MODIFIED) / 8].code;
        key->mods = (uint8_t)((code - CODE_MODIFIED) % 8);
        return true;
    }
    return false;
}

/* xterm numbers modifiers 1 + shift + 2*alt + 4*ctrl. */
static void define_keys(void)
{
    for (size_t i = 0; i < sizeof modified / sizeof modified[0]; i++) {
        for (int m = 1; m < 8; m++) {
            char sequence[24];
            int mods =
                (m & 1 ? SX_MOD_SHIFT : 0) | (m & 2 ? SX_MOD_ALT : 0) | (m & 4 ? SX_MOD_CTRL : 0);
            snprintf(sequence, sizeof sequence, "\033[1;%d%c", m + 1, modified[i].final);
            define_key(sequence, CODE_MODIFIED + 8 * (int)i + mods);
        }
    }
    define_key("\033[200~", CODE_PASTE_BEGIN);
    define_key("\033[201~", CODE_PASTE_END);
}

static bool is_closed(const struct curses_term *t)
{
    struct pollfd p = {.fd = t->in_fd, .events = POLLIN};
    int waiting = 0;
    if (poll(&p, 1, 0) <= 0)
        return false;
    if (p.revents & (POLLERR | POLLNVAL))
        return true;
    return ioctl(t->in_fd, FIONREAD, &waiting) == 0 && waiting == 0;
}

static bool read_resize(struct curses_term *t, struct sx_key *key)
{
    char drain[64];
    bool any = false;
    while (t->pipe[0] >= 0 && read(t->pipe[0], drain, sizeof drain) > 0)
        any = true;
    if (any)
        check_size(t);
    if (!t->resized)
        return false;
    t->resized = false;
    *key = (struct sx_key){.code = SX_KEY_RESIZE, .x = t->w, .y = t->h};
    return true;
}

static bool curses_read(struct sx_term *term, struct sx_key *key)
{
    struct curses_term *t = curses_of(term);
    if (read_resize(t, key))
        return true;
    for (;;) {
        wint_t ch;
        int kind = get_wch(&ch);
        if (kind == ERR) {
            if (t->closed || !is_closed(t))
                return false;
            t->closed = true;
            *key = (struct sx_key){.code = SX_KEY_CLOSED};
            return true;
        }
        if (kind == OK) {
            *key = from_char((uint32_t)ch);
            wint_t next;
            /* Alt sends Esc and the key in one go; Esc alone has nothing behind it. */
            if (key->code == SX_KEY_ESC && get_wch(&next) == OK) {
                *key = from_char((uint32_t)next);
                key->mods |= SX_MOD_ALT;
            }
            return true;
        }
        if (ch == KEY_RESIZE) {
            check_size(t);
            if (read_resize(t, key))
                return true;
        } else if (ch == KEY_MOUSE) {
            if (read_mouse(t, key))
                return true;
        } else if (ch == CODE_PASTE_BEGIN) {
            read_paste(t);
            *key = (struct sx_key){.code = SX_KEY_PASTE};
            return true;
        } else if (from_code(ch, key)) {
            return true;
        }
    }
}

static const char *curses_paste(const struct sx_term *term)
{
    return curses_of_const(term)->paste.data;
}

/* Clipboard. */

static void base64(struct sx_str *out, const char *bytes, size_t len)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (i + k < len ? (unsigned char)bytes[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            sx_str_append_char(out, i + k > len ? '=' : digit[v >> (18 - 6 * k) & 63]);
    }
}

static bool curses_copy(struct sx_term *term, const char *text)
{
    enum { MAX_COPY = 74994 }; /* what terminals are known to take */
    const struct curses_term *t = curses_of(term);
    size_t len = strlen(text);
    if (len > MAX_COPY)
        return false;
    struct sx_str s = SX_STR_INIT;
    sx_str_append(&s, "\033]52;c;");
    base64(&s, text, len);
    sx_str_append(&s, "\a");
    if (getenv("TMUX")) { /* tmux takes one or the other, as its options say */
        struct sx_str wrapped = SX_STR_INIT;
        sx_str_printf(&wrapped, "%s\033Ptmux;\033%s\033\\", s.data, s.data);
        send_bytes(t, wrapped.data);
        sx_str_release(&wrapped);
    } else {
        send_bytes(t, s.data);
    }
    sx_str_release(&s);
    return true;
}

/* Life. */

static void leave(struct curses_term *t)
{
    if (t->mouse)
        send_bytes(t, mouse_off);
    if (t->xterm_like)
        send_bytes(t, paste_off);
    curs_set(1);
    t->cursor_shown = -1;
    endwin();
}

static void curses_suspend(struct sx_term *term)
{
    struct curses_term *t = curses_of(term);
    bool mouse = t->mouse;
    struct sigaction stop = {.sa_handler = SIG_DFL};
    struct sigaction old;
    sigemptyset(&stop.sa_mask);
    def_prog_mode();
    curses_set_mouse(term, false);
    leave(t);
    sigaction(SIGTSTP, &stop, &old);
    kill(0, SIGTSTP);
    sigaction(SIGTSTP, &old, NULL);
    reset_prog_mode();
    clearok(curscr, TRUE);
    doupdate();
    if (t->xterm_like)
        send_bytes(t, paste_on);
    curses_set_mouse(term, mouse);
    check_size(t);
    forget(t);
    t->resized = true; /* draw again in any case */
}

static void curses_close(struct sx_term *term)
{
    struct curses_term *t = curses_of(term);
    if (t->screen) {
        leave(t);
        remove_signals(t);
        delscreen(t->screen);
    }
    if (t->in)
        fclose(t->in);
    if (t->out)
        fclose(t->out);
    for (int i = 0; i < 2; i++)
        if (t->pipe[i] >= 0)
            close(t->pipe[i]);
    sx_str_release(&t->paste);
    sx_free(t->sent);
    sx_free(t->row);
    sx_free(t);
}

static void curses_size(const struct sx_term *term, int *w, int *h)
{
    *w = curses_of_const(term)->w;
    *h = curses_of_const(term)->h;
}

static int curses_fds(const struct sx_term *term, int fds[SX_TERM_FDS])
{
    fds[0] = curses_of_const(term)->in_fd;
    fds[1] = curses_of_const(term)->pipe[0];
    return 2;
}

static const struct sx_term_ops curses_ops = {
    .close = curses_close,
    .size = curses_size,
    .fds = curses_fds,
    .read = curses_read,
    .paste = curses_paste,
    .flush = curses_flush,
    .redraw = curses_redraw,
    .suspend = curses_suspend,
    .copy = curses_copy,
    .set_mouse = curses_set_mouse,
};

static bool open_streams(struct curses_term *t, const struct sx_term_options *options)
{
    int in = dup(options->in_fd >= 0 ? options->in_fd : STDIN_FILENO);
    int out = dup(options->out_fd >= 0 ? options->out_fd : STDOUT_FILENO);
    t->in = in >= 0 ? fdopen(in, "r") : NULL;
    t->out = out >= 0 ? fdopen(out, "w") : NULL;
    t->in_fd = in;
    t->out_fd = out;
    if (t->in && t->out && pipe(t->pipe) == 0) {
        for (int i = 0; i < 2; i++) {
            fcntl(t->pipe[i], F_SETFL, O_NONBLOCK);
            fcntl(t->pipe[i], F_SETFD, FD_CLOEXEC);
        }
        return true;
    }
    return false;
}

static void set_up(struct curses_term *t, const struct sx_term_options *options)
{
    raw(); /* Ctrl-C and Ctrl-Z are keys */
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    meta(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    leaveok(stdscr, FALSE);
    choose_colours(t, getenv("COLORTERM"));
    char kmous[] = "kmous";
    const char *mouse = tigetstr(kmous);
    t->xterm_like = mouse && mouse != (const char *)-1;
    if (t->xterm_like) {
        define_keys();
        send_bytes(t, paste_on);
    }
    take_size(t, COLS, LINES);
    check_size(t);
    t->resized = false;
    prepare_emergency(t);
    curses_set_mouse(&t->base, !options->no_mouse);
    if (!options->no_signals)
        install_signals(t);
}

static bool is_known(const char *name, int fd)
{
    int found;
    if (setupterm(name, fd, &found) != OK)
        return false;
    del_curterm(cur_term);
    return true;
}

enum sx_status sx_term_open_curses(const struct sx_term_options *options, struct sx_term **out,
                                   struct sx_error *err)
{
    enum sx_status status = SX_OK;
    const char *name = options->term_name ? options->term_name : getenv("TERM");
    struct curses_term *t = sx_xcalloc(1, sizeof *t);
    t->base.ops = &curses_ops;
    t->paste = SX_STR_INIT;
    t->pipe[0] = t->pipe[1] = -1;
    t->cursor_shown = -1;
    t->click_time = -1;
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    t->base.charset = options->ascii || !utf8 ? SX_CHARSET_ASCII : SX_CHARSET_UTF8;
    status = sx_depth_choose(options->color, getenv("NO_COLOR"), name, getenv("COLORTERM"), true,
                             &t->base.depth, err);
    if (status != SX_OK)
        goto out;
    if (!name || !*name) {
        status = sx_fail(err, SX_ERR_IO, "no terminal: TERM is not set");
        goto out;
    }
    if (!open_streams(t, options)) {
        status = sx_fail(err, SX_ERR_IO, "no terminal: %s", strerror(errno));
        goto out;
    }
    emergency.has_modes = tcgetattr(t->out_fd, &emergency.modes) == 0;
    set_escdelay(25);
    if (is_known(name, t->out_fd)) /* asked first: a newterm that fails leaks */
        t->screen = newterm(name, t->out, t->in);
    if (!t->screen) {
        status =
            sx_fail(err, SX_ERR_IO, "terminal type \"%s\" is not known or cannot be used", name);
        goto out;
    }
    set_up(t, options);
    *out = &t->base;
    return SX_OK;
out:
    curses_close(&t->base);
    return status;
}
