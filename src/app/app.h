/* What the program's parts share. Private to src/app. */
#ifndef SEXTANT_APP_APP_H
#define SEXTANT_APP_APP_H

#include <stdbool.h>

#include "config.h"
#include "output.h"
#include "sextant/base/status.h"
#include "sextant/base/value.h"
#include "sextant/tui/canvas.h"
#include "sextant/tui/style.h"

/* Options that every command has, and those of the explorer. */
struct sx_app_options {
    enum sx_output_form form;
    bool form_given;
    bool verbose, help;
    int threads;       /* -1: not given */
    const char *color; /* borrowed from argv, or NULL */
    const char *theme, *view;
    bool ascii, no_mouse;
};

/* The program; returns its exit status. */
int sx_app_main(int argc, char **argv);

/* The explorer on the real terminal, until the user quits. `paths`: a list of strings. */
enum sx_status sx_app_explore(const struct sx_value *paths, const struct sx_app_options *options,
                              struct sx_config *config, struct sx_error *err) SX_MUST_CHECK;

/* Print a screen: args as the command `view` has them. */
enum sx_status sx_app_view(const struct sx_value *args, const struct sx_app_options *options,
                           struct sx_config *config, struct sx_error *err) SX_MUST_CHECK;

/* Play a session script ("-": standard input). dry: only check it. */
enum sx_status sx_app_play(const char *file, bool dry, const struct sx_config *config,
                           struct sx_error *err) SX_MUST_CHECK;

/* {version, build, …, checks: [{name, ok, value}], ok}. */
struct sx_value *sx_app_doctor(const struct sx_config *config);
void sx_app_doctor_print(const struct sx_value *document, struct sx_str *out);

/* The manual page in roff, and completion for bash. */
void sx_app_manual(struct sx_str *out);
void sx_app_completion(struct sx_str *out);
/* Options of every command and of the explorer, for --help and the manual. */
extern const char sx_app_common_help[];

/* Does the locale speak UTF-8? */
bool sx_app_utf8(void);
/* "open 'a b' c" for a list of paths. */
void sx_app_open_line(const struct sx_value *paths, struct sx_str *out);
/* "120x40"; at most 1000 a side. */
enum sx_status sx_app_parse_size(const char *text, int *w, int *h,
                                 struct sx_error *err) SX_MUST_CHECK;

#endif
