/* Walks over a view for what must hold at any size, in any state, after any requests. */
#ifndef SX_TEST_VIEW_WALKS_H
#define SX_TEST_VIEW_WALKS_H

#include "view_stage.h"

static inline void walk_draw(struct stage *stage, struct sx_screen *screen)
{
    const struct sx_view *view = &stage->view;
    const struct sx_session *session = &stage->fake.session;
    struct sx_canvas whole = sx_canvas_of(screen);
    struct sx_canvas canvas =
        sx_canvas_sub(&whole, (struct sx_rect){0, 0, view->width, view->height});
    struct sx_rect part[SX_FOLLOWERS];
#ifdef COUNTS_ALLOCATIONS
    const size_t before = allocations;
#endif
    view->ops->draw(view, session, &canvas);
#ifdef COUNTS_ALLOCATIONS
    cr_expect_eq(allocations, before, "%s allocates in draw at %dx%d", view->ops->name, view->width,
                 view->height);
#endif
    if (view->ops->followers)
        cr_expect_leq(view->ops->followers(view, session, part), (size_t)SX_FOLLOWERS);
}

/* Every pane at sizes from nothing to more than a screen, in colour and without. */
static inline void walk_sizes(struct stage *stage)
{
    enum { WIDEST = 220, HIGHEST = 60 };
    struct sx_screen *screens[] = {
        sx_screen_new(WIDEST, HIGHEST, SX_CHARSET_UTF8, SX_DEPTH_TRUE),
        sx_screen_new(WIDEST, HIGHEST, SX_CHARSET_ASCII, SX_DEPTH_MONO),
    };
    struct sx_view *view = &stage->view;
    for (int s = 0; s < 2; s++)
        for (view->width = 1; view->width <= WIDEST; view->width += view->width < 30 ? 1 : 17)
            for (view->height = 0; view->height <= HIGHEST;
                 view->height += view->height < 24 ? 1 : 9) {
                sx_screen_clear(screens[s]);
                view->focus = 0;
                do
                    walk_draw(stage, screens[s]);
                while (++view->focus < view->ops->n_panes);
            }
    view->focus = 0;
    sx_screen_free(screens[0]);
    sx_screen_free(screens[1]);
}

/* Nothing at all is there: no view of these may trip over it, or ask for anything. */
static inline void walk_empty(const char *const *names, size_t n_names, const char *const *requests,
                              size_t n_requests)
{
    for (size_t i = 0; i < n_names; i++) {
        struct stage *stage = stage_new(names[i], 120, 40);
        struct sx_session *session = &stage->fake.session;
        const struct sx_session full = *session;
        *session = (struct sx_session){
            .selection = {
                .entry = SIZE_MAX, .family = SIZE_MAX, .training = SIZE_MAX, .model = SIZE_MAX}};
        stage_need(stage);
        expect_lines(stage, "");
        sx_screen_free(stage_draw(stage, SX_CHARSET_UTF8));
        for (size_t r = 0; r < n_requests; r++)
            stage_ask(stage, requests[r], 0, "x");
        struct sx_value *data = stage->view.ops->data(&stage->view, session);
        cr_expect_eq(sx_value_count(sx_value_get(data, "rows")), 0, "%s", names[i]);
        sx_value_free(data);
        *session = full;
        stage_free(stage);
    }
}

struct walk {
    const char *const *requests;
    size_t n_requests;
    const char *text; /* what is typed where a request takes text */
    /* Changes the session as commands would, and as they should not: `random` is another one each
     * time. */
    void (*change)(struct stage *stage, uint32_t random, int round);
};

/* Any request in any order at any size, while the session changes before it or behind it. */
static inline void walk_requests(struct stage *stage, const struct walk *walk, uint32_t seed)
{
    enum { ROUNDS = 2000 };
    struct sx_view *view = &stage->view;
    for (int round = 0; round < ROUNDS; round++) {
        seed = seed * 1664525U + 1013904223U;
        const struct sx_view_request request = {.name =
                                                    walk->requests[(seed >> 8) % walk->n_requests],
                                                .count = (seed >> 20) % 7,
                                                .text = walk->text,
                                                .x = (int)(seed >> 9) % 130,
                                                .y = (int)(seed >> 13) % 45};
        if (round % 2)
            walk->change(stage, seed, round);
        stage_need(stage);
        view->ops->request(view, &stage->fake.session, &request, &stage->emit);
        if (round % 2 == 0)
            walk->change(stage, seed, round);
        if (view->ops->n_panes > 0)
            view->focus = (int)(seed >> 23) % view->ops->n_panes;
        if (round % 5 == 0) {
            view->width = 1 + (int)(seed >> 7) % 210;
            view->height = 1 + (int)(seed >> 11) % 60;
        }
        sx_screen_free(stage_draw(stage, round % 3 ? SX_CHARSET_UTF8 : SX_CHARSET_ASCII));
    }
}

#endif
