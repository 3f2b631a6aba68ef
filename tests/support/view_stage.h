/* A view on the fake session: need, requests, what it emits, how it draws. */
#ifndef SX_TEST_VIEW_STAGE_H
#define SX_TEST_VIEW_STAGE_H

#include <criterion/criterion.h>
#include <stdarg.h>

#include "canvas_expect.h"
#include "fake_session.h"
#include "sextant/base/alloc.h"
#include "sextant/io/yaml.h"
#include "sextant/views/view.h"

/* --- allocations, counted where no sanitizer does it -------------------------------------------
 */

#if !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)
#define COUNTS_ALLOCATIONS 1
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
static size_t allocations;

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    allocations++;
    return __libc_realloc(p, size);
}
#endif

/* --- a view on the fake session -----------------------------------------------------------------
 */

struct stage {
    struct fake fake;
    struct sx_view view;
    struct sx_view_env env;
    struct sx_value *layout;
    struct sx_emit emit;
};

static inline struct stage *stage_new(const char *name, int width, int height)
{
    struct stage *stage = sx_xcalloc(1, sizeof *stage);
    char *path = sx_xasprintf(SX_SOURCE_DIR "/views/%s.yaml", name);
    struct sx_error err;

    fake_init(&stage->fake);
    cr_assert_eq(sx_yaml_parse_file(path, &stage->layout, &err), SX_OK, "%s", err.message);
    sx_free(path);
    stage->env.layout = stage->layout;
    stage->view.ops = sx_view_find(name);
    cr_assert(stage->view.ops);
    stage->view.env = &stage->env;
    stage->view.width = width;
    stage->view.height = height > 3 ? height - 3 : 0;
    stage->view.state =
        sx_xcalloc(1, stage->view.ops->state_size ? stage->view.ops->state_size : 1);
    return stage;
}

static inline void stage_free(struct stage *stage)
{
    if (stage->view.ops->release)
        stage->view.ops->release(&stage->view);
    sx_free(stage->view.state);
    sx_value_free(stage->layout);
    sx_value_free(stage->emit.lines);
    fake_release(&stage->fake);
    sx_free(stage);
}

static inline void stage_need(struct stage *stage)
{
    sx_value_free(stage->emit.lines);
    stage->emit = (struct sx_emit){0};
    stage->view.ops->need(&stage->view, &stage->fake.session, &stage->emit);
}

static inline bool stage_ask(struct stage *stage, const char *name, int count, const char *text)
{
    const struct sx_view_request request = {
        .name = name, .count = count, .text = text, .x = -1, .y = -1};
    sx_value_free(stage->emit.lines);
    stage->emit = (struct sx_emit){0};
    return stage->view.ops->request(&stage->view, &stage->fake.session, &request, &stage->emit);
}

static inline bool stage_click(struct stage *stage, int x, int y)
{
    const struct sx_view_request request = {.name = "click", .x = x, .y = y};
    sx_value_free(stage->emit.lines);
    stage->emit = (struct sx_emit){0};
    return stage->view.ops->request(&stage->view, &stage->fake.session, &request, &stage->emit);
}

/* The lines emitted by the last call, joined by " | ". */
static inline void expect_lines(const struct stage *stage, const char *expected)
{
    struct sx_str s = SX_STR_INIT;

    for (size_t i = 0; i < sx_value_count(stage->emit.lines); i++)
        sx_str_printf(&s, "%s%s", i ? " | " : "",
                      sx_value_string_or(sx_value_item(stage->emit.lines, i), "?"));
    cr_expect_str_eq(s.data, expected);
    sx_str_release(&s);
}

static inline struct sx_screen *stage_draw(struct stage *stage, enum sx_charset charset)
{
    struct sx_screen *screen =
        sx_screen_new(stage->view.width, stage->view.height, charset, SX_DEPTH_MONO);
    struct sx_canvas canvas = sx_canvas_of(screen);

    stage->view.ops->draw(&stage->view, &stage->fake.session, &canvas);
    return screen;
}

/* name-WxH.txt with styles, name-WxH-ascii.txt without. */
static inline void stage_golden(struct stage *stage, const char *name, int width, int height)
{
    stage->view.width = width;
    stage->view.height = height - 3;
    for (int ascii = 0; ascii < 2; ascii++) {
        struct sx_screen *screen = stage_draw(stage, ascii ? SX_CHARSET_ASCII : SX_CHARSET_UTF8);
        char *path = sx_xasprintf(SX_SOURCE_DIR "/tests/views/golden/%s-%dx%d%s.txt", name, width,
                                  height, ascii ? "-ascii" : "");
        canvas_expect(screen, !ascii, path);
        sx_free(path);
        sx_screen_free(screen);
    }
}

static inline void golden_sizes(struct stage *stage, const char *name)
{
    stage_golden(stage, name, 80, 24);
    stage_golden(stage, name, 120, 40);
    stage_golden(stage, name, 20, 5);
}

static inline void golden_sizes_and_wide(struct stage *stage, const char *name)
{
    golden_sizes(stage, name);
    stage_golden(stage, name, 200, 50);
}

#endif
