#include "band_table.h"

#include <math.h>
#include <stdio.h>

#include "band_parts.h"
#include "sextant/tui/plot.h"

/* The heads that write most towards the target, as layer * n_heads + head. */
static void find_readers(struct sx_band_table *t)
{
    const struct sx_bands_result *r = t->result;

    t->n_readers = 0;
    for (size_t i = 0; r->readout && i < r->n_layers * r->n_heads; i++) {
        size_t at = t->n_readers < SX_BAND_READERS ? t->n_readers++ : SX_BAND_READERS;
        for (; at > 0 && r->readout[t->reader[at - 1]] < r->readout[i]; at--)
            if (at < SX_BAND_READERS)
                t->reader[at] = t->reader[at - 1];
        if (at < SX_BAND_READERS)
            t->reader[at] = i;
    }
}

bool sx_band_reads(const struct sx_band_table *t, size_t layer, size_t head)
{
    for (size_t i = 0; i < t->n_readers; i++)
        if (t->reader[i] == layer * t->result->n_heads + head)
            return true;
    return false;
}

static bool in_group(const struct sx_band_table *t, size_t layer, size_t head)
{
    if (t->group == SX_GROUP_ONE)
        return head == t->head;
    return t->group == SX_GROUP_ALL || sx_band_reads(t, layer, head);
}

/* --- values -------------------------------------------------------------------------------------
 */

/* Sums over bands and heads; a coupling is a ratio of such sums. */
struct total {
    double sum, parts;
    size_t n;
};

static double split_term(const struct sx_band_split *split, enum sx_band_term term)
{
    switch (term) {
    case SX_BAND_TOTAL:
        return split->total;
    case SX_BAND_QUERY_NORM:
        return split->query_norm;
    case SX_BAND_KEY_NORM:
        return split->key_norm;
    case SX_BAND_DIRECTION:
        return split->direction;
    case SX_BAND_CONTENT:
        return split->content;
    case SX_BAND_POSITION:
        return split->position;
    case SX_BAND_COUPLING:
        return fabs(split->interaction);
    case SX_BAND_SCORE_A:
    case SX_BAND_SCORE_B:
    case SX_BAND_TERM_COUNT:
        break;
    }
    return NAN;
}

static void add_band(struct total *total, const struct sx_bands_result *r, size_t at,
                     enum sx_band_term term)
{
    total->n++;
    if (term == SX_BAND_SCORE_A || term == SX_BAND_SCORE_B) {
        const struct sx_band *band = term == SX_BAND_SCORE_A ? r->a : r->b;
        total->sum += band ? band[at].score : NAN;
        return;
    }
    total->sum += r->split ? split_term(&r->split[at], term) : NAN;
    if (term == SX_BAND_COUPLING && r->split)
        total->parts += fabs(r->split[at].norm_only) + fabs(r->split[at].direction_only) +
                        fabs(r->split[at].interaction);
}

static void add_head(struct total *total, const struct sx_band_table *t, size_t layer, size_t head,
                     int band)
{
    const struct sx_bands_result *r = t->result;
    const size_t at = (layer * r->n_heads + head) * r->n_bands;

    if (band != SX_ALL_BANDS) {
        add_band(total, r, at + (size_t)band, t->term);
        return;
    }
    for (size_t b = 0; b < r->n_bands; b++)
        add_band(total, r, at + b, t->term);
}

static double total_value(const struct sx_band_table *t, const struct total *total)
{
    if (total->n == 0)
        return NAN;
    if (t->term == SX_BAND_COUPLING)
        return total->parts > 0 ? total->sum / total->parts : 0;
    return total->sum;
}

double sx_band_head_value(const struct sx_band_table *t, size_t layer, size_t head, int band)
{
    struct total total = {0};

    add_head(&total, t, layer, head, band);
    return total_value(t, &total);
}

double sx_band_layer_value(const struct sx_band_table *t, size_t layer, int band)
{
    struct total total = {0};

    for (size_t h = 0; h < t->result->n_heads; h++)
        if (in_group(t, layer, h))
            add_head(&total, t, layer, h, band);
    return total_value(t, &total);
}

int sx_band_row_count(const struct sx_band_table *t)
{
    return (int)(t->mode == SX_BANDS_HEADS ? t->result->n_heads : t->result->n_layers);
}

/* Layer or head that stands in this row. */
size_t sx_band_row_at(const struct sx_band_table *t, int row)
{
    return t->ordered ? t->order[row] : (size_t)row;
}

int sx_band_row_of(const struct sx_band_table *t, size_t at)
{
    for (int row = 0; t->ordered && row < sx_band_row_count(t); row++)
        if (t->order[row] == at)
            return row;
    return (int)at;
}

double sx_band_row_value(const struct sx_band_table *t, int row, int band)
{
    const size_t at = sx_band_row_at(t, row);
    return t->mode == SX_BANDS_HEADS ? sx_band_head_value(t, t->layer, at, band)
                                     : sx_band_layer_value(t, at, band);
}

/* By the sum over bands; rows without a head of the group last. */
static void order_rows(struct sx_band_table *t)
{
    double effect[SX_BAND_ROWS];
    const int n = sx_band_row_count(t);

    t->ordered = false;
    if (n > SX_BAND_ROWS)
        return;
    for (int i = 0; i < n; i++) {
        const double value = fabs(sx_band_row_value(t, i, SX_ALL_BANDS));
        int at = i;
        effect[i] = isnan(value) ? -1 : value;
        for (; at > 0 && effect[t->order[at - 1]] < effect[i]; at--)
            t->order[at] = t->order[at - 1];
        t->order[at] = (uint16_t)i;
    }
    t->ordered = true;
}

void sx_band_table_gather(struct sx_band_table *t, bool by_effect, bool head_before)
{
    find_readers(t);
    if (t->group == SX_GROUP_READOUT && t->n_readers == 0)
        t->group = SX_GROUP_ALL;
    t->alone = t->mode == SX_BANDS_HEADS || (t->mode == SX_BANDS_PROFILE && head_before) ||
               isnan(sx_band_layer_value(t, t->layer, SX_ALL_BANDS));
    if (by_effect)
        order_rows(t);
}

/* The head of the group that does most in the selected cell: what is shown in full. */
size_t sx_band_strongest(const struct sx_band_table *t, size_t layer, size_t band)
{
    size_t best = t->head;
    double most = -1;

    if (t->alone)
        return t->head;
    for (size_t h = 0; h < t->result->n_heads; h++) {
        const double value =
            in_group(t, layer, h) ? fabs(sx_band_head_value(t, layer, h, (int)band)) : -1;
        if (value > most) {
            most = value;
            best = h;
        }
    }
    return best;
}

double sx_band_pin_value(const struct sx_band_table *t, int band)
{
    if (t->pin.layer >= t->result->n_layers || t->pin.head >= t->result->n_heads)
        return NAN;
    return t->pin.head_alone ? sx_band_head_value(t, t->pin.layer, t->pin.head, band)
                             : sx_band_layer_value(t, t->pin.layer, band);
}

/* The last row is the sum over bands. */
double sx_band_profile_value(const struct sx_band_table *t, int row, int col)
{
    const struct sx_bands_result *r = t->result;
    const bool all = row == (int)r->n_bands;
    double sum = 0;

    for (size_t h = 0; h < r->n_heads; h++) {
        if (t->alone ? h != t->head : !in_group(t, t->layer, h))
            continue;
        const float *at =
            r->profile + (t->layer * r->n_heads + h) * r->n_bands * r->n_profile + col;
        for (size_t b = all ? 0 : (size_t)row; b < r->n_bands && (all || b == (size_t)row); b++)
            sum += (double)at[b * r->n_profile];
    }
    return sum;
}

/* --- words --------------------------------------------------------------------------------------
 */

const char *sx_band_term_label(enum sx_band_term term)
{
    static const char *const label[SX_BAND_TERM_COUNT] = {"score A",    "score B",  "B - A",
                                                          "query norm", "key norm", "direction",
                                                          "content",    "position", "coupling"};
    return label[term < SX_BAND_TERM_COUNT ? term : SX_BAND_TOTAL];
}

void sx_band_number(const struct sx_band_table *t, double value, int width, char *buf, size_t size)
{
    if (t->term == SX_BAND_COUPLING && !isnan(value))
        sx_fraction(buf, size, value, 2, t->ascii);
    else
        sx_signed_text(buf, size, value, width, t->ascii);
}

void sx_band_group_text(const struct sx_band_table *t, char *buf, size_t size)
{
    if (t->group == SX_GROUP_READOUT)
        snprintf(buf, size, "readout (%zu)", t->n_readers);
    else if (t->group == SX_GROUP_ALL)
        snprintf(buf, size, "all (%zu)", t->result->n_heads);
    else
        snprintf(buf, size, "H%zu", t->head);
}
