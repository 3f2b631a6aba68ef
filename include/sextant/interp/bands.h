/* Attention scores in rotary bands: the norm-direction decomposition that Jedryszek & Crook name
 * ("Retrieval and competition: how a protein foundation model starts a protein", arXiv 2605.16331);
 * the formulas are our own. Rotation (Su et al. 2021) turns the two dimensions of band b, seen as
 * one complex number, by position * frequency[b]. So a score is exactly a sum over bands:
 *   s_b = r rho cos(alpha + delta) / sqrt(d),  s = Σ_b s_b
 * with r = |query|, rho = |key|, the content angle alpha between them before rotation and the
 * position angle delta = (query position - key position) * frequency. The dimensions that GPT-NeoX
 * does not rotate are one more band at the end: r and rho are norms of the rest, alpha the angle
 * between the two vectors, delta = 0.
 *
 * From condition A to condition B the change of s_b is split in closed form:
 *   - query_norm, key_norm, direction: Shapley values of r, rho and C = cos(alpha + delta):
 *     of x in x y z:  (xB - xA) [ (yA zA + yB zB)/3 + (yA zB + yB zA)/6 ]
 *   - direction = content + position: Owen values, which keep the three above: with G the bracket
 *     of C, content = G/2 [cos(aB+dA) - cos(aA+dA) + cos(aB+dB) - cos(aA+dB)], position the other
 *     way round. Only angles at the two ends occur; nothing is unwrapped.
 *   - one at a time on the query side, key as in A: norm_only, direction_only, interaction.
 * All sums are in double; angles are those that the float32 forward pass turns by. */
#ifndef SEXTANT_INTERP_BANDS_H
#define SEXTANT_INTERP_BANDS_H

#include "sextant/base/task.h"
#include "sextant/core/stats.h"
#include "sextant/interp/types.h"
#include "sextant/model/forward.h"

/* --- one score ----------------------------------------------------------------------------------
 */

/* How a head's d dimensions fall into bands. */
struct sx_band_shape {
    size_t d, n_rotary;     /* pair b is (x[b], x[b + n_rotary]) */
    size_t n;               /* bands: n_rotary, and one more when 2 n_rotary < d */
    const float *frequency; /* [n_rotary], radians a token */
    double scale;           /* 1/sqrt(d) */
};
struct sx_band_shape
sx_band_shape_of(const struct sx_model *model); /* lives as long as the model */
/* Tokens that one turn takes; INFINITY for the un-rotated rest. */
double sx_band_period(const struct sx_band_shape *shape, size_t band);

/* q, k [d] of one head before rotation (SX_POINT_Q, SX_POINT_K); out [n]. A band without length has
 * alpha 0. Positions: token indices where the sequence has none of its own. */
void sx_bands_of(const struct sx_band_shape *shape, const float *q, const float *k,
                 double query_position, double key_position, struct sx_band *out);
void sx_band_split(const struct sx_band *a, const struct sx_band *b, double scale,
                   struct sx_band_split *out);
/* What a term is for one band; b and split may be NULL for SCORE_A alone (others: NAN). */
double sx_band_value(const struct sx_band *a, const struct sx_band *b,
                     const struct sx_band_split *split, enum sx_band_term term);

/* What a part of a vector adds to its norm (radial, the parts' sum is r) and across (tangential,
 * sum 0): Re and Im of part conj(whole) / |whole|. In the rest, across is along what of `other`
 * (the key of a query, the query of a key) is normal to the vector. All [d]; out [n]. */
void sx_band_radial(const struct sx_band_shape *shape, const double *whole, const double *part,
                    const double *other, double *radial, double *tangential);

/* --- competition ---------------------------------------------------------------------------------
 * A head decides between keys by margin = s(key) - log Σ_other exp(s): attention to the key is
 * sigmoid(margin), exactly. */

double sx_margin(const float *scores, size_t n, size_t key); /* scores [n]; -INFINITY: not seen */

/* One query against all keys that it sees, in one head. */
struct sx_band_row {
    const float *q; /* [d], before rotation */
    const float *k; /* [n,d] */
    size_t n, ldk;
    double query_position;
    const float *positions; /* [n] of the keys; NULL: 0, 1, 2, … */
};
/* out [bands]: first-order part of the margin, s_b(key) - Σ_other w_j s_b(j), w the attention
 * renormalised without the key. Returns the margin; Σ out - *entropy is the margin exactly, where
 * *entropy (nats) is that of w. At least two keys. */
double sx_margin_bands(const struct sx_band_shape *shape, const struct sx_band_row *row, size_t key,
                       double *out, double *entropy);
/* The change of the margin from A to B, split as a score is: the key's term exactly, the other
 * keys' with the mean of both conditions' weights. out [bands]; the coupling fields are those of
 * the key's term. Returns the margin's change; *residual = change - Σ out.total. Same n in both. */
double sx_margin_change(const struct sx_band_shape *shape, const struct sx_band_row *a,
                        const struct sx_band_row *b, size_t key, struct sx_band_split *out,
                        double *residual);

/* --- conditions on a model
 * ------------------------------------------------------------------------
 */

struct sx_band_condition {
    const struct sx_sequence *sequence; /* from the embedding on, no cache */
    size_t query, key;                  /* tokens */
};

struct sx_bands_ask {
    struct sx_band_condition a, b; /* b.sequence NULL: A alone */
    int32_t target;                /* readout towards this token; -1: none */
    bool margin; /* also the margin's change by band, which needs every key: A and B with the same
                    key, and as many keys that the query sees in both */
    /* The query of A moved over these tokens, key fixed. NULL: no profile. A masked query is put
     * back to `original` and the mask set elsewhere; original -1: the sequence is not changed, all
     * tokens are queries of one pass. Causal models: tokens from the key on. */
    const uint32_t *profile_at;
    size_t n_profile;
    int32_t original;
};

/* One result an ask, released by the caller (sx_bands_result_release) also after an error. Many
 * conditions share a pass. Tokens out of range, keys that a causal model's query does not see, and
 * a margin asked of conditions that do not match are SX_ERR_USAGE. The readout is the term of the
 * key in direct logit attribution (sx_attribute's by_source). */
enum sx_status sx_bands_measure(struct sx_runner *runner, const struct sx_bands_ask *asks, size_t n,
                                struct sx_bands_result *results, struct sx_task *task,
                                struct sx_error *err) SX_MUST_CHECK;

struct sx_head_ask {
    const struct sx_sequence *sequence;
    size_t layer, head, query;
    uint64_t removed; /* bit b: without band b of this query in this head; the pass is run again */
    int32_t target;   /* -1: none */
};
/* Released by the caller (sx_head_result_release) also after an error. */
enum sx_status sx_head_measure(struct sx_runner *runner, const struct sx_head_ask *ask,
                               struct sx_head_result *result, struct sx_task *task,
                               struct sx_error *err) SX_MUST_CHECK;

/* --- aggregates
 * -----------------------------------------------------------------------------------
 */

/* Bands by period. edges: ascending periods in tokens; group g has periods in (edge g-1, edge g],
 * the last one what is longer. The un-rotated rest is a group of its own behind them. */
enum { SX_BAND_GROUPS = 8 };
struct sx_band_groups {
    double edges[SX_BAND_GROUPS];
    size_t n_edges;
};
struct sx_band_groups sx_band_groups_default(void); /* 10, 200 tokens */
/* "10,200": at most SX_BAND_GROUPS - 1 ascending positive numbers; "" is one group. */
enum sx_status sx_band_groups_parse(const char *text, struct sx_band_groups *out,
                                    struct sx_error *err) SX_MUST_CHECK;
size_t sx_band_group_of(const struct sx_band_groups *groups, double period);

/* Some bands (of some heads) over several sequences, each result a sequence, all of one model and
 * with A and B: the signed mean of every term, and the shares of the absolute terms as ratios of
 * means, with bootstrap intervals over the sequences. */
struct sx_band_aggregate {
    struct sx_interval term[SX_BAND_TERM_COUNT]; /* mean over sequences of the sum over what is
                                                    chosen; COUPLING: Σ|interaction| over Σ of all
                                                    three absolute values */
    struct sx_interval norm_share; /* Σ|query_norm| / Σ(|query_norm|+|key_norm|+|direction|) */
    struct sx_interval key_share, direction_share;
    struct sx_interval position_share; /* Σ|position| / Σ(|content|+|position|) */
};
/* chosen [L,H,B]: which cells; NULL: all. */
void sx_bands_aggregate(const struct sx_bands_result *const *results, size_t n, const bool *chosen,
                        uint64_t seed, struct sx_band_aggregate *out);

/* --- survey: every layer, head and pair
 * ------------------------------------------------------------
 */

enum { SX_SURVEY_ROWS = 8 };
struct sx_band_survey {
    size_t n_layers, n_heads, n_bands, n;
    bool pass_through;
    double *period; /* [B] */
    double *share;  /* [L,H,B] Σ|s_b| over all pairs, of Σ over bands of it */
    double *size;   /* [L,H,B] mean |s_b| */
    /* [L,H,B] mean |s_b - mean over the query's keys of s_b|: softmax does not see that mean. */
    double *centred;
    float *by_offset; /* [L,H,B,2n-1] mean s_b of pairs with key - query = i - (n-1); 0 where
                         there are none */
    /* Largest |Σ bands - score| over the largest |score|, in all layers and heads, over all keys
     * and SX_SURVEY_ROWS queries that stand evenly over the sequence. */
    double residual;
    double seconds; /* in the decomposition, without the pass */
};
/* sequence: from the embedding on, no cache, at least one token. One pass keeps the
 * queries and keys of all layers and the compared scores. Same bits however many threads there are.
 * Released by the caller also after an error. */
enum sx_status sx_band_survey_run(struct sx_runner *runner, const struct sx_sequence *sequence,
                                  int threads, struct sx_band_survey *out, struct sx_task *task,
                                  struct sx_error *err) SX_MUST_CHECK;
void sx_band_survey_release(struct sx_band_survey *survey);
uint64_t sx_band_survey_bytes(const struct sx_model_info *info, size_t n);

#endif
