/* What the table of the bands screen says: values of layers, heads and bands, summed over a group
 * of heads, and the order of the rows. */
#ifndef SEXTANT_BAND_TABLE_H
#define SEXTANT_BAND_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/interp/types.h"

enum sx_band_mode { SX_BANDS_LAYERS, SX_BANDS_HEADS, SX_BANDS_PROFILE };

/* Heads whose values are summed: those that write most towards the target, all, or one of each
 * layer. */
enum sx_band_group { SX_GROUP_READOUT, SX_GROUP_ALL, SX_GROUP_ONE, SX_GROUP_COUNT };

enum { SX_ALL_BANDS = -1, SX_BAND_READERS = 3, SX_BAND_ROWS = 512 };

/* A cell kept to compare: of a head, or of a layer's group. */
struct sx_band_pin {
    bool set, head_alone;
    size_t layer, head, band;
};

struct sx_band_table {
    const struct sx_bands_result *result;
    enum sx_band_mode mode;
    enum sx_band_group group;
    enum sx_band_term term;
    size_t layer, head; /* the selected ones */
    struct sx_band_pin pin;
    bool ascii;
    int cell; /* columns */
    /* Made by sx_band_table_gather: */
    size_t reader[SX_BAND_READERS], n_readers; /* layer * n_heads + head */
    uint16_t order[SX_BAND_ROWS];              /* rows as shown */
    bool ordered;
    bool alone; /* cell and profile are of the selected head, not of the group */
};

/* A model without readout has the group ALL instead. head_before: the profile was opened from the
 * heads of a layer. */
void sx_band_table_gather(struct sx_band_table *t, bool by_effect, bool head_before);

bool sx_band_reads(const struct sx_band_table *t, size_t layer, size_t head);
/* Sums over bands with SX_ALL_BANDS; couplings are ratios of sums. NAN: not there. */
double sx_band_head_value(const struct sx_band_table *t, size_t layer, size_t head, int band);
double sx_band_layer_value(const struct sx_band_table *t, size_t layer, int band);
/* Row n_bands is the sum over bands. */
double sx_band_profile_value(const struct sx_band_table *t, int row, int col);
double sx_band_pin_value(const struct sx_band_table *t, int band);

int sx_band_row_count(const struct sx_band_table *t);
size_t sx_band_row_at(const struct sx_band_table *t, int row); /* layer or head of a row */
int sx_band_row_of(const struct sx_band_table *t, size_t at);
double sx_band_row_value(const struct sx_band_table *t, int row, int band);
/* The head of the group that does most in a cell: what is shown in full. */
size_t sx_band_strongest(const struct sx_band_table *t, size_t layer, size_t band);

const char *sx_band_term_label(enum sx_band_term term); /* "query norm" */
void sx_band_number(const struct sx_band_table *t, double value, int width, char *buf, size_t size);
void sx_band_group_text(const struct sx_band_table *t, char *buf, size_t size); /* "readout (3)" */

#endif
