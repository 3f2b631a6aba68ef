/* The line editor of `:` and `/`: Emacs and readline keys, history, completion. */
#ifndef SEXTANT_TUI_PROMPT_H
#define SEXTANT_TUI_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "sextant/tui/canvas.h"
#include "sextant/tui/key.h"

struct sx_history; /* opaque; lines of one kind of prompt, newest last, no duplicates in a row */
struct sx_history *sx_history_new(void);
void sx_history_free(struct sx_history *history);                  /* NULL is fine */
void sx_history_add(struct sx_history *history, const char *line); /* empty lines are ignored */
size_t sx_history_count(const struct sx_history *history);
const char *sx_history_line(const struct sx_history *history, size_t i); /* 0: oldest */

enum { SX_PROMPT_MAX = 1024 };

struct sx_prompt {
    char lead[16];              /* ":" or "/" or "save as: " */
    char text[SX_PROMPT_MAX];   /* UTF-8 */
    size_t len, cursor;         /* bytes; the cursor is between characters */
    char kill[SX_PROMPT_MAX];   /* the last text killed, for C-y */
    struct sx_history *history; /* borrowed; NULL: none */
    size_t history_at;          /* index shown; count: the line being typed */
    char draft[SX_PROMPT_MAX];  /* the line being typed while the history is shown */
    /* Completion: the caller's list for the word that starts at byte complete_from. */
    const char *const *candidate; /* borrowed until the next key; NULL: no list */
    size_t n_candidates;
    size_t chosen; /* n_candidates: none yet */
    size_t complete_from;
};

enum sx_prompt_result {
    SX_PROMPT_IGNORED,  /* not a key for a prompt */
    SX_PROMPT_MOVED,    /* cursor or list moved */
    SX_PROMPT_EDITED,   /* the text changed: search as you type */
    SX_PROMPT_COMPLETE, /* Tab: call sx_prompt_set_candidates */
    SX_PROMPT_ACCEPT,   /* Enter: the text is the answer, and is in the history */
    SX_PROMPT_CANCEL,   /* Esc, C-c, C-g, or Backspace on an empty line */
};

void sx_prompt_open(struct sx_prompt *prompt, const char *lead, const char *text,
                    struct sx_history *history);
enum sx_prompt_result sx_prompt_key(struct sx_prompt *prompt, struct sx_key key);
/* Pasted text: cleaned, line ends become blanks. */
void sx_prompt_insert(struct sx_prompt *prompt, const char *text);
/* Answer SX_PROMPT_COMPLETE: candidates replace the text from byte `from` to the cursor. The part
 * that all share is put in at once; further Tabs go through the list. The list is borrowed until
 * the prompt is closed or gets another. */
void sx_prompt_set_candidates(struct sx_prompt *prompt, size_t from, const char *const *candidate,
                              size_t n);
/* On row y; the list, if any, on the rows above it (at most 8). Sets the visible cursor. */
void sx_prompt_draw(struct sx_canvas *cv, int y, const struct sx_prompt *prompt);

#endif
