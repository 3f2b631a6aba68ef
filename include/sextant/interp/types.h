/* Results of circuit analysis as plain data, so that views may include it. Arrays are row-major and
 * owned by the structure; each has a release function in the header that makes it.
 *
 * Letters: L layers, H heads, T tokens, B rotary bands; GPT-NeoX, whose heads are rotated in part,
 * has one more "band" at the end for the dimensions that are not (period INFINITY, delta 0).
 * Components of a residual stream are the terms that add up to it: scaled embedding, every head's
 * output, every attention output bias, every MLP, and what LayerNorm and head biases add ("const").
 */
#ifndef SEXTANT_INTERP_TYPES_H
#define SEXTANT_INTERP_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- rotary bands -------------------------------------------------------------------------------
 * Jedryszek & Crook name a norm-direction decomposition of attention scores in rotary bands; the
 * formulas are stated in bands.h. */

/* One band of one attention score in polar form: score = r rho cos(alpha + delta) / sqrt(d). */
struct sx_band {
    double r, rho; /* norms of the query's and the key's two dimensions */
    double alpha;  /* content: angle between them before rotation, radians */
    double delta;  /* position: (query position - key position) * frequency, radians */
    double cosine; /* of alpha + delta */
    double score;
};

/* What changes the band's score from condition A to condition B. total = query_norm + key_norm +
 * direction, direction = content + position, exactly. */
struct sx_band_split {
    double total;
    double query_norm, key_norm, direction;        /* Shapley values of r, rho and the cosine */
    double content, position;                      /* Owen values: of alpha and of delta */
    double norm_only, direction_only, interaction; /* query side, one at a time, key as in A */
    double coupling; /* |interaction| / (|norm_only| + |direction_only| + |interaction|) */
};

/* What is shown of a band, or of an aggregate over bands. */
enum sx_band_term {
    SX_BAND_SCORE_A, /* the score in condition A; needs no B */
    SX_BAND_SCORE_B,
    SX_BAND_TOTAL, /* B - A, and what it is made of */
    SX_BAND_QUERY_NORM,
    SX_BAND_KEY_NORM,
    SX_BAND_DIRECTION,
    SX_BAND_CONTENT,
    SX_BAND_POSITION,
    SX_BAND_COUPLING,
    SX_BAND_TERM_COUNT
};

/* Bands of the score query → key in every layer and head, under A and, if asked for, B. */
struct sx_bands_result {
    size_t n_layers, n_heads, n_bands;
    bool pass_through; /* the last band is the un-rotated rest */
    double *period;    /* [B] tokens */
    size_t query_a, key_a, query_b, key_b;
    struct sx_band *a, *b;             /* [L,H,B]; b NULL: A alone */
    struct sx_band_split *split;       /* [L,H,B] or NULL */
    double *attention_a, *attention_b; /* [L,H] query → key; _b NULL */
    double *margin_a, *margin_b;       /* [L,H] score(key) - log Σ exp(scores of the others) */
    /* What changes the margin from A to B, band by band: the key's term exactly, the other keys'
     * to first order; the residual is what that leaves. NULL: not asked for. */
    struct sx_band_split *margin_split; /* [L,H,B]; its one-at-a-time terms are the key's */
    double *margin_residual;            /* [L,H] */
    /* [L,H] attention_a times what the head would write towards the target at full attention to
     * the key, through the frozen head (logits): large ones read the key out. NULL: no target. */
    double *readout;
    /* Scores of each band against the position of the query, key fixed: [L,H,B,n_profile], the
     * masked query of A moved along the sequence; NULL: not asked for. profile_at [n_profile]. */
    size_t n_profile;
    uint32_t *profile_at; /* token */
    float *profile;
    double residual; /* largest |Σ bands - score| over all, relative to the largest |score| */
    double scale;    /* 1/sqrt(d) */
};

/* One head in full at one query: bands of the scores along the keys. */
struct sx_head_result {
    size_t layer, head, query, n, n_bands;
    bool pass_through;
    double *period;           /* [B] */
    float *score;             /* [B,n] */
    float *attention;         /* [n] */
    uint64_t removed;         /* bit b: band b of the query is taken out */
    float *attention_removed; /* [n] the softmax over the remaining bands; == attention when none */
    int32_t target;           /* token id; -1: none */
    double p, p_removed;      /* of the target at the query, whole model run again; NAN without */
    int32_t top, top_removed; /* most probable token at the query; -1 without a head */
    double residual;          /* as above */
};

/* --- attribution and composition ----------------------------------------------------------------
 */

enum sx_component_kind {
    SX_COMPONENT_EMBED,
    SX_COMPONENT_HEAD,      /* layer, head */
    SX_COMPONENT_ATTN_BIAS, /* layer: bias of the attention output */
    SX_COMPONENT_MLP,       /* layer */
    SX_COMPONENT_CONST,     /* biases of LayerNorms and head; in no layer */
};

struct sx_component {
    enum sx_component_kind kind;
    uint32_t layer, head; /* where they mean something, else 0 */
};

/* Direct logit attribution at one token for one target (logits). value = bos + own + context for
 * heads (by the token that the head reads from); the other kinds have it all in `own`. */
struct sx_attribution_term {
    struct sx_component component;
    double value, bos, own, context;
};

/* The terms together. own: heads that read the token itself; bias: of the attention outputs. */
struct sx_attribution_groups {
    double bos, own, context, mlp, bias, embed, constant;
};

struct sx_attribution_result {
    size_t token;
    int32_t target, against; /* against: a second target, its logit is taken off; -1: none,
                                -2: the mean over the reference tokens */
    struct sx_attribution_term *terms; /* in the order of the layers, const last */
    size_t n_terms;
    struct sx_attribution_groups groups;
    bool gradient; /* the true gradient instead of the frozen head: terms do not add up */
    size_t n_layers, n_heads, n;
    float *by_source; /* [L,H,n] the heads' terms by source token; NULL: not asked for */
    /* Full linearised attribution (attention patterns, sigmas and gates frozen in every layer): how
     * much of the logit comes from each token's embedding, and from biases. NULL: not asked for. */
    double *by_embedding; /* [n] */
    double from_biases;
    double total, logit, residual; /* |total - logit| / largest |term| */
    double linearised_residual;    /* NAN: not asked for */
};

enum sx_side_of_score { SX_OF_QUERY, SX_OF_KEY, SX_OF_VALUE };

/* What the components of the residual stream write into one score: its query (or key) is the sum
 * of their parts. */
struct sx_composition_term {
    struct sx_component component;
    double score; /* Σ over bands */
};

struct sx_composition_result {
    size_t layer, head, query, key;
    enum sx_side_of_score side;
    /* OF_VALUE: the score is what the head writes along the frozen head's direction of this target
     * at full attention to the key (logits), and there are no bands. Else -1. */
    int32_t target, against;
    size_t n_terms, n_bands;
    bool pass_through;
    double *period;                    /* [B] */
    struct sx_composition_term *terms; /* const last */
    double *band;                      /* [n_terms,B] contribution to the band's score */
    double *radial, *tangential; /* [n_terms,B] towards the norm of the side's vector; across */
    double *pairs; /* [n_terms,n_terms] query's term × key's term of the score; NULL: not asked */
    double score, residual; /* |Σ terms - score| / largest |term| */
};

/* --- scans --------------------------------------------------------------------------------------
 */

enum sx_metric_kind {
    SX_METRIC_CENTRED, /* logit minus the mean over the reference tokens (the 20 residues) */
    SX_METRIC_LOGIT,
    SX_METRIC_DIFFERENCE, /* logit minus that of `against`, or of the best other token */
    SX_METRIC_P,          /* over the vocabulary */
    SX_METRIC_P20,        /* over the reference tokens */
    SX_METRIC_RANK,
    SX_METRIC_ENTROPY, /* bits */
    SX_METRIC_COUNT
};

enum sx_grid {
    SX_GRID_LAYER_TOKEN, /* rows: layers 0 … L (L: the output of the last), columns: tokens */
    SX_GRID_LAYER_HEAD,  /* rows: layers, columns: heads */
    SX_GRID_QKV,         /* rows: layers, columns: (q, k, v) of each head: 3 h + {0,1,2} */
    SX_GRID_LAYER_BAND,  /* rows: layers, columns: bands */
    SX_GRID_LAYER_BLOCK, /* rows: layers, columns: attention, MLP */
    SX_GRID_COUNT
};

/* Filled in while it is computed. */
struct sx_scan_result {
    enum sx_grid grid;
    enum sx_metric_kind metric;
    int32_t target, against;
    size_t token; /* where the metric is read */
    size_t rows, columns;
    float *value; /* [rows,columns] of the metric; NAN: not yet */
    size_t n_done;
    bool ablation;         /* else patching clean into corrupt */
    double clean, corrupt; /* of the metric; ablation: clean alone */
    /* Patching: effect = (value - corrupt) / (clean - corrupt). Ablation: value - clean. */
    bool normalised; /* false: |clean - corrupt| < 1e-3, differences are shown instead */
};

/* --- proteins that do not start with methionine --------------------------------------------------
 */

/* How a protein is put before the model. M: the mature chain. */
enum sx_presentation {
    SX_MATURE_FIRST,     /* (i)   mature chain, its first residue masked */
    SX_MATURE_INSERTED,  /* (ii)  mask inserted before the mature chain */
    SX_PRECURSOR_FIRST,  /* (iii) precursor, residue 1 masked: the control */
    SX_PRECURSOR_INSIDE, /* (iv)  precursor, the first mature residue masked in its place */
    SX_MATURE_PREPENDED, /* (v)   mature chain with residues put before it, first mature one masked
                          */
    SX_PRESENTATION_COUNT
};

enum sx_nterm_class {
    SX_NTERM_MET,      /* starts with Met: a control */
    SX_NTERM_EXCISION, /* initiator methionine removed */
    SX_NTERM_SIGNAL,
    SX_NTERM_TRANSIT,
    SX_NTERM_PROPEP,
    SX_NTERM_CHAIN, /* a product from within a polyprotein */
    SX_NTERM_FRAGMENT,
    SX_NTERM_SEQUENCE, /* FASTA: starts with something else, nothing known why */
    SX_NTERM_CLASS_COUNT
};

struct sx_nterm_row {
    char id[32]; /* sanitised */
    enum sx_nterm_class kind;
    bool inferred;   /* the start is annotated without an experiment */
    char first;      /* true first residue of the mature chain, upper case */
    uint32_t length; /* of the mature chain */
    uint32_t offset; /* residues before it in the precursor; 0: the precursor is not known */
    struct sx_nterm_cell {
        bool made; /* false: this presentation does not exist for the protein; the rest is NAN */
        float p_met, p_true; /* over the 20 residues */
        float rank_true;     /* 0 is first, among the 20 */
        float gap;           /* logit(M) - logit(true) */
        char top;            /* most probable of the 20 */
    } cell[SX_PRESENTATION_COUNT];
};

/* What several proteins say together. Means and fractions are over those where the presentation
 * exists; NAN where there is none. */
struct sx_nterm_summary {
    size_t n_rows;
    size_t n[SX_PRESENTATION_COUNT], says_met[SX_PRESENTATION_COUNT];
    /* Wilson's 95 % interval of says_met / n. */
    double says_met_lo[SX_PRESENTATION_COUNT], says_met_hi[SX_PRESENTATION_COUNT];
    double mean_p_met[SX_PRESENTATION_COUNT], mean_p_true[SX_PRESENTATION_COUNT];
    double mean_rank_true[SX_PRESENTATION_COUNT], mean_gap[SX_PRESENTATION_COUNT];
    /* McNemar, (i) against (iv): proteins where one says M and the other does not. */
    size_t n_pairs, first_only, inside_only;
    double p_value; /* exact, two-sided */
};

struct sx_nterm_result {
    struct sx_nterm_row *rows;
    size_t n_rows;
    struct sx_nterm_summary summary; /* proteins whose true first residue is not Met */
    struct sx_nterm_summary by_class[SX_NTERM_CLASS_COUNT]; /* the same, class by class; MET: the
                                                               controls. Others: not Met */
};

#endif
