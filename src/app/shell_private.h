/* The state of the explorer, shared by shell.c, shell_lines.c and shell_draw.c. */
#ifndef SEXTANT_APP_SHELL_PRIVATE_H
#define SEXTANT_APP_SHELL_PRIVATE_H

#include "shell.h"

#include "sextant/tui/keymap.h"
#include "sextant/tui/prompt.h"

enum { MAX_VIEWS = 24, MAX_BACK = 32, COMPLETIONS = 64 };

enum shell_mode { MODE_KEYS, MODE_COMMAND, MODE_SEARCH, MODE_ASK, MODE_COUNT };

struct view_slot {
    struct sx_view view;
    struct sx_view_env env;
    struct sx_value *layout; /* owned or NULL */
    uint64_t seen[SX_SLOT_COUNT];
    bool asked;      /* need was called since the view became visible */
    char found[256]; /* last text for search and filter, to start the prompt with */
};

struct sx_shell {
    const struct sx_config *config; /* borrowed */
    struct sx_term *term;           /* borrowed */
    struct sx_run *run;
    struct sx_screen *screen;
    struct sx_theme theme;
    struct sx_keymap *keymap;
    struct view_slot slots[MAX_VIEWS];
    size_t n_slots, current;
    size_t back[MAX_BACK];
    size_t n_back;

    enum shell_mode mode;
    struct sx_prompt prompt;
    struct sx_history *history[MODE_COUNT];
    char ask[64];                 /* request that the prompt's text is for */
    struct sx_value *completions; /* owned: list of strings */
    const char *completion[COMPLETIONS];
    struct sx_key_state key_state;

    /* The screen as it was drawn when the cursor last rested, and the parts of the body that follow
     * it, with the view and the focus that they belong to. */
    struct sx_screen *rested;
    struct sx_rect follower[SX_FOLLOWERS];
    size_t n_followers, rested_view;
    int rested_focus;
    bool moving;
    bool moved; /* by the key just pressed */

    bool dirty, quit;
    bool quit_asked;         /* q was pressed while work ran: once more means it */
    uint64_t message_hidden; /* revision of the message that a key press put away */
};

struct view_slot *sx_shell_slot(struct sx_shell *shell);
/* Contexts in which keys are looked up; returns how many. */
enum { SHELL_CONTEXTS = 3 };
size_t sx_shell_contexts(const struct sx_shell *shell, const char *contexts[SHELL_CONTEXTS]);
/* Offer a request to the visible view and carry out what it emits. */
bool sx_shell_offer(struct sx_shell *shell, const struct sx_view_request *request);
void sx_shell_go_back(struct sx_shell *shell);
void sx_shell_quit(struct sx_shell *shell);
/* Work that the user waits for: a running or queued job of the compute lane. */
const struct sx_job_info *sx_shell_work(const struct sx_shell *shell);
/* The parts of the body that follow the cursor when it rests; how many. */
size_t sx_shell_followers(struct sx_shell *shell, struct sx_rect out[SX_FOLLOWERS]);
/* Are there any, where they were drawn last, in the same view with the same focus? */
bool sx_shell_followers_in_place(struct sx_shell *shell);
/* Draw the whole frame into shell->screen. */
void sx_shell_compose(struct sx_shell *shell);
/* Is the line for the program? Then *status is how it went. */
bool sx_shell_own_line(struct sx_shell *shell, const char *line, enum sx_status *status,
                       struct sx_error *err);
/* Candidates for the `:` prompt; *from: the byte where the word begins. */
struct sx_value *sx_shell_complete(const char *text, size_t *from);

#endif
