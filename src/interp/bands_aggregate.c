/* Several bands, heads and sequences together. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/interp/bands.h"

/* --- groups of bands ---------------------------------------------------------------------------
 */

struct sx_band_groups sx_band_groups_default(void)
{
    return (struct sx_band_groups){.edges = {10, 200}, .n_edges = 2};
}

enum sx_status sx_band_groups_parse(const char *text, struct sx_band_groups *out,
                                    struct sx_error *err)
{
    const char *at = text;
    *out = (struct sx_band_groups){0};
    while (*at) {
        char *end;
        const double edge = strtod(at, &end);
        const double before = out->n_edges ? out->edges[out->n_edges - 1] : 0;
        if (end == at || (*end && *end != ',') || (*end == ',' && !end[1]) || !isfinite(edge) ||
            edge <= before)
            return sx_fail(err, SX_ERR_USAGE,
                           "'%.60s': ascending periods in tokens are expected, like 10,200", text);
        if (out->n_edges == SX_BAND_GROUPS - 1)
            return sx_fail(err, SX_ERR_USAGE, "'%.60s': at most %d edges", text,
                           SX_BAND_GROUPS - 1);
        out->edges[out->n_edges++] = edge;
        at = *end ? end + 1 : end;
    }
    return SX_OK;
}

size_t sx_band_group_of(const struct sx_band_groups *groups, double period)
{
    size_t g = 0;
    if (isinf(period))
        return groups->n_edges + 1;
    while (g < groups->n_edges && period > groups->edges[g])
        g++;
    return g;
}

/* --- over sequences ----------------------------------------------------------------------------
 */

/* Of one sequence: sums over the chosen cells. */
struct sums {
    double term[SX_BAND_TERM_COUNT];
    double query_norm, key_norm, direction, content, position; /* of absolute values */
    double interaction, one_at_a_time;
};

static struct sums sum_up(const struct sx_bands_result *r, const bool *chosen)
{
    struct sums s = {{0}, 0, 0, 0, 0, 0, 0, 0};
    for (size_t c = 0; c < r->n_layers * r->n_heads * r->n_bands; c++) {
        if (chosen && !chosen[c])
            continue;
        for (int t = 0; t < SX_BAND_TERM_COUNT; t++)
            s.term[t] += sx_band_value(&r->a[c], r->b ? &r->b[c] : NULL,
                                       r->split ? &r->split[c] : NULL, (enum sx_band_term)t);
        if (!r->split)
            continue;
        const struct sx_band_split *split = &r->split[c];
        s.query_norm += fabs(split->query_norm);
        s.key_norm += fabs(split->key_norm);
        s.direction += fabs(split->direction);
        s.content += fabs(split->content);
        s.position += fabs(split->position);
        s.interaction += fabs(split->interaction);
        s.one_at_a_time +=
            fabs(split->norm_only) + fabs(split->direction_only) + fabs(split->interaction);
    }
    return s;
}

static struct sx_interval share(const double *part, const double *whole, size_t n, uint64_t seed)
{
    return sx_bootstrap_ratio(part, whole, n, seed);
}

void sx_bands_aggregate(const struct sx_bands_result *const *results, size_t n, const bool *chosen,
                        uint64_t seed, struct sx_band_aggregate *out)
{
    enum { QUERY, KEY, DIRECTION, POSITION, INTERACTION, THREE, ANGLES, ONE, COLUMNS };
    double *column[COLUMNS];
    double *term = sx_xcalloc(n * SX_BAND_TERM_COUNT + 1, sizeof *term);
    for (int c = 0; c < COLUMNS; c++)
        column[c] = sx_xcalloc(n + 1, sizeof **column);
    for (size_t i = 0; i < n; i++) {
        const struct sums s = sum_up(results[i], chosen);
        for (size_t t = 0; t < SX_BAND_TERM_COUNT; t++)
            term[t * n + i] = s.term[t];
        column[QUERY][i] = s.query_norm;
        column[KEY][i] = s.key_norm;
        column[DIRECTION][i] = s.direction;
        column[POSITION][i] = s.position;
        column[INTERACTION][i] = s.interaction;
        column[THREE][i] = s.query_norm + s.key_norm + s.direction;
        column[ANGLES][i] = s.content + s.position;
        column[ONE][i] = s.one_at_a_time;
    }
    for (size_t t = 0; t < SX_BAND_TERM_COUNT; t++)
        out->term[t] = sx_bootstrap_mean(term + t * n, n, seed);
    out->term[SX_BAND_COUPLING] = share(column[INTERACTION], column[ONE], n, seed);
    out->norm_share = share(column[QUERY], column[THREE], n, seed);
    out->key_share = share(column[KEY], column[THREE], n, seed);
    out->direction_share = share(column[DIRECTION], column[THREE], n, seed);
    out->position_share = share(column[POSITION], column[ANGLES], n, seed);
    for (int c = 0; c < COLUMNS; c++)
        sx_free(column[c]);
    sx_free(term);
}
