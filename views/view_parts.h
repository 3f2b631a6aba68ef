/* What the screens share: the state of slots against the selection, panes, cells, small texts. */
#ifndef SEXTANT_VIEW_PARTS_H
#define SEXTANT_VIEW_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/run/session.h"
#include "sextant/tui/canvas.h"
#include "sextant/tui/table.h"
#include "sextant/views/view.h"

/* --- the session, as a view asks it ------------------------------------------------------------
 */

const struct sx_family *sx_selected_family(const struct sx_session *session); /* NULL: none */
/* READY and of the selected family. */
bool sx_family_ready(const struct sx_session *session);
bool sx_match_ready(const struct sx_session *session);
/* The anchor seed's arrays, or NULL while the family is not there. */
const struct sx_seed_latents *sx_anchor_latents(const struct sx_session *session);
bool sx_latent_dead(const struct sx_seed_latents *latents, uint32_t latent);
int64_t sx_seed_of(const struct sx_session *session, size_t member); /* -1: not known */

/* Emit what brings the family, its match (`always`: whatever its size; otherwise only where it
 * takes seconds) and the rows, each only when it is not there and not asked for. True: the family
 * is ready. */
bool sx_need_family(const struct sx_session *session, struct sx_emit *emit);
void sx_need_match(const struct sx_session *session, bool always, struct sx_emit *emit);
void sx_need_rows(const struct sx_session *session, struct sx_emit *emit);

/* Say on row y of an otherwise empty pane how a slot that is not READY stands, and how to fill it.
 * True: drawn, nothing else should be. */
bool sx_slot_notice(struct sx_canvas *cv, enum sx_slot_state state, const struct sx_error *error,
                    const char *pending, const char *empty);

/* --- panes --------------------------------------------------------------------------------------
 */

struct sx_rect sx_body_rect(const struct sx_view *view);
int sx_layout_int(const struct sx_view *view, const char *dotted_path, int fallback);
/* Two panes side by side, or the one with focus alone when the body is narrower than the layout's
 * `fold`. The one not shown has width 0. `share`: percent of the width for the left one. */
void sx_two_panes(const struct sx_view *view, int share, struct sx_rect out[2]);
bool sx_folded(const struct sx_view *view);
/* Which of the panes is at x, y; -1: none. */
int sx_pane_at(const struct sx_rect *pane, int n, int x, int y);
/* The rule between two shown panes side by side. */
void sx_pane_divider(struct sx_canvas *cv, const struct sx_rect pane[2]);

/* --- tables -------------------------------------------------------------------------------------
 */

enum { SX_VIEW_COLUMNS = 32 };

/* Columns a view can show, by the name that its layout uses. */
struct sx_view_column {
    const char *name;
    struct sx_column column;
};

/* The columns that `columns:` of the layout names (all of them without a layout), with the widths
 * given there. out and id have SX_VIEW_COLUMNS places; id is the index in `known`. */
int sx_view_columns(const struct sx_view *view, const char *list,
                    const struct sx_view_column *known, int n_known, struct sx_column *out,
                    int *id);

/* Moves, clicks and the wheel in a table that stands in `pane` below its title. True: it was such a
 * request; the cursor may have moved. */
bool sx_list_request(const struct sx_table *table, struct sx_table_state *state,
                     struct sx_rect pane, const struct sx_view_request *request,
                     struct sx_emit *emit);

/* Cell texts. NAN: not computed. */
void sx_cell_fraction(struct sx_table_cell *cell, double value, int digits, bool ascii);
void sx_cell_text(struct sx_table_cell *cell, enum sx_style style, const char *text);
void sx_cell_pending(struct sx_table_cell *cell);
void sx_cell_printf(struct sx_table_cell *cell, enum sx_style style, const char *fmt, ...)
    SX_PRINTF(3, 4);

/* --- texts --------------------------------------------------------------------------------------
 */

enum { SX_SHORT_TEXT = 32 };

const char *sx_bytes_text(char buf[SX_SHORT_TEXT], uint64_t bytes); /* "1.2 GB" */
/* "64.1" of 0.641, "·" for exact zero, "–" for NAN. */
const char *sx_percent_text(char buf[SX_SHORT_TEXT], double fraction, bool ascii);
/* "0", or "?" for a seed that is not known. */
const char *sx_seed_text(char buf[SX_SHORT_TEXT], int64_t seed);
/* `text` in at most `width` columns: what does not fit goes from the middle, … in its place. */
const char *sx_middle_cut(char *buf, size_t size, const char *text, int width);
/* Digits of the largest latent number below n. */
int sx_latent_digits(uint64_t n);
/* A pane's value with its label at x; returns the column behind it. */
int sx_label_value(struct sx_canvas *cv, int x, int y, const char *label, enum sx_style style,
                   const char *value);

/* --- numbers ------------------------------------------------------------------------------------
 */

/* Counts of `value` in n_bins equal bins over [lo, hi]; what lies outside goes to the end bins, NaN
 * nowhere. */
void sx_bin_floats(const float *value, size_t n, double lo, double hi, double *bin, size_t n_bins);
/* Smallest and largest of the finite values; false: none. */
bool sx_float_range(const float *value, size_t n, double *lo, double *hi);

/* --- documents ----------------------------------------------------------------------------------
 */

/* {rows: []}: the list is returned, the document stored in *document. */
struct sx_value *sx_rows_document(struct sx_value **document);
/* NAN becomes null. */
void sx_row_real(struct sx_value *row, const char *key, double value);

/* --- breadcrumb ---------------------------------------------------------------------------------
 */

/* "T l2 1e-05 784→1568 relu ▸ features", or the view's name alone without a family. */
void sx_title_of_family(const struct sx_view *view, const struct sx_session *session,
                        struct sx_str *out);

#endif
