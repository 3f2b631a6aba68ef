/* Inputs made from one another: what becomes of a prediction when the mask moves, when residues are
 * put before it, when the context is shuffled, and when tokens keep their content and change their
 * position. ESM-2's ids: <cls> first, <eos> last, residue i at token i. */
#ifndef SEXTANT_INTERP_EDIT_H
#define SEXTANT_INTERP_EDIT_H

#include "sextant/base/rng.h"
#include "sextant/base/status.h"
#include "sextant/model/hooks.h"

struct sx_edit {
    int32_t *ids;     /* owned [n] */
    float *positions; /* owned [n]; NULL: 0, 1, 2, … */
    size_t n;
    size_t token; /* the mask that is looked at */
};
void sx_edit_release(struct sx_edit *edit);
struct sx_edit sx_edit_copy(const struct sx_edit *edit);

/* <cls> and <eos> are there, at least one residue between them, `residue` (1-based) is one of them:
 * else SX_ERR_USAGE. The residue is masked. */
enum sx_status sx_edit_mask(const int32_t *ids, size_t n, size_t residue, struct sx_edit *out,
                            struct sx_error *err) SX_MUST_CHECK;

/* All of these change an edit in place; the mask moves along. */
void sx_edit_prepend(struct sx_edit *edit, const int32_t *ids, size_t n); /* behind <cls> */
/* The first k residues go; SX_ERR_USAGE when the mask is among them. */
enum sx_status sx_edit_delete_first(struct sx_edit *edit, size_t k,
                                    struct sx_error *err) SX_MUST_CHECK;
/* Cut down to k residues from the first on; SX_ERR_USAGE when the mask is behind them. */
enum sx_status sx_edit_truncate(struct sx_edit *edit, size_t k, struct sx_error *err) SX_MUST_CHECK;
void sx_edit_shuffle(struct sx_edit *edit, uint64_t seed); /* residues but the mask */
void sx_edit_all_x(struct sx_edit *edit);                  /* residues but the mask become X */
/* A fraction of the other residues is masked too, rounded to the nearest number of them. */
void sx_edit_more_masks(struct sx_edit *edit, double fraction, uint64_t seed);
void sx_edit_alone(struct sx_edit *edit); /* <cls> <mask> <eos> */

/* <cls> becomes another token. */
void sx_edit_replace_bos(struct sx_edit *edit, int32_t id);
/* <cls> goes; the others keep their positions, or count from 0. */
void sx_edit_remove_bos(struct sx_edit *edit, bool keep_positions);

/* pos[j] += delta for j >= 1: everything moves away from <cls>. */
void sx_edit_gap(struct sx_edit *edit, double delta);
/* All positions, <cls> too: changes nothing but rounding. */
void sx_edit_shift(struct sx_edit *edit, double delta);
/* positions [n] for an override in which only the masked token stands elsewhere. */
void sx_edit_query_positions(const struct sx_edit *edit, double position, float *positions);

#endif
