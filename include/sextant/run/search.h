/* Searching text, and the filter language of the features table. */
#ifndef SEXTANT_RUN_SEARCH_H
#define SEXTANT_RUN_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/run/session.h"

/* --- text: what `/` looks for in lists ---------------------------------------------------------
 * A Perl-compatible regular expression; lower-case patterns ignore case. Bounded: a pattern that
 * backtracks without end finds nothing. */
struct sx_search;
enum sx_status sx_search_new(const char *pattern, struct sx_search **search,
                             struct sx_error *err) SX_MUST_CHECK;
bool sx_search_matches(const struct sx_search *search, const char *text);
void sx_search_free(struct sx_search *search); /* NULL is fine */

/* --- rows: which latents -----------------------------------------------------------------------
 */

/* What a filter may ask of a latent; numbers not known are NAN (a comparison with them is false).
 */
struct sx_filter_row {
    uint32_t latent;
    double align, enc_norm, dec_norm;
    double sim, sim_enc, margin; /* mean over the other seeds; NAN: not matched */
    int partners; /* other seeds with a partner above tau under both; -1: not matched */
    int category; /* 0 always, 1 sometimes, 2 never, by the counter in use; -1: not matched */
    bool marked, dead, alive; /* alive: alignment above the cut; without a cut: not dead */
};

struct sx_filter;
/* Errors name the position: "filter, column 9: …". An empty text lets all pass. */
enum sx_status sx_filter_new(const char *text, struct sx_filter **filter,
                             struct sx_error *err) SX_MUST_CHECK;
bool sx_filter_holds(const struct sx_filter *filter, const struct sx_filter_row *row);
/* Does it ask for anything that only matching knows? */
bool sx_filter_needs_match(const struct sx_filter *filter);
void sx_filter_free(struct sx_filter *filter); /* NULL is fine */
/* The language in a paragraph, for help. */
const char *sx_filter_help(void);

#endif
