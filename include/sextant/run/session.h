/* The session: the one state of the program, plain data. Only the UI thread touches it. It changes
 * in exactly one place, sx_run_apply (run.h); views read it and never write. What a slot holds is
 * replaced as a whole and its revision counted up, so a view knows when it is out of date. */
#ifndef SEXTANT_RUN_SESSION_H
#define SEXTANT_RUN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"
#include "sextant/base/value.h"
#include "sextant/interp/types.h"
#include "sextant/model/types.h"
#include "sextant/sae/match_types.h"
#include "sextant/sae/types.h"

/* Slots. A view's depends mask is an OR of (1u << slot). */
enum sx_slot {
    SX_SLOT_WORKSPACE, /* what was found on disk */
    SX_SLOT_SELECTION, /* family, seed, latent, pair under the user's cursor */
    SX_SLOT_SETTINGS,  /* tau, alive cut, counter, … */
    SX_SLOT_FAMILY,    /* per-latent arrays of the selected family */
    SX_SLOT_MATCH,     /* seeds matched, and the fractions at the present tau and cut */
    SX_SLOT_ROWS,      /* order of the features table after sort and filter */
    SX_SLOT_CARD,      /* one latent */
    SX_SLOT_GALLERY,   /* images of latents */
    SX_SLOT_CURVES,    /* training runs */
    SX_SLOT_INPUT,     /* what the selected model is asked: text, ids, masks */
    SX_SLOT_SEQUENCE,  /* what it predicts for every token of the input */
    SX_SLOT_LENS,      /* logit lens of the input */
    SX_SLOT_ATTENTION, /* attention of one query in every layer and head */
    SX_SLOT_MAP,       /* attention of one head */
    SX_SLOT_CONTACTS,
    SX_SLOT_BANDS,       /* scores query → key in rotary bands, A against B */
    SX_SLOT_HEAD,        /* one head in full */
    SX_SLOT_ATTRIBUTION, /* what the logit of the target is made of */
    SX_SLOT_COMPOSITION, /* what the query or key of one head is made of */
    SX_SLOT_PATCHING,    /* grid of patches or ablations, filled in while it is computed */
    SX_SLOT_NTERM,       /* proteins in five presentations */
    SX_SLOT_BAND_MEANS,  /* the bands of every protein of the input's file, and their means */
    SX_SLOT_JOBS,
    SX_SLOT_LOG,
    SX_SLOT_MESSAGE,
    SX_SLOT_COUNT
};

/* The life of a slot is told in commands.h. */
enum sx_slot_state { SX_STATE_EMPTY, SX_STATE_PENDING, SX_STATE_READY, SX_STATE_FAILED };

/* --- workspace ---------------------------------------------------------------------------------
 */

enum sx_entry_kind {
    SX_ENTRY_SAE,
    SX_ENTRY_TRAINING, /* a curve file, finished or growing */
    SX_ENTRY_MATCH,    /* *.match.h5 */
    SX_ENTRY_MODEL,    /* a transformer: folder or fair-esm file */
    SX_ENTRY_RUN,      /* *.run.h5 */
    SX_ENTRY_PROTEINS, /* FASTA or Swiss-Prot file: `nterm-table` takes the selected one by itself,
                          else the first */
    SX_ENTRY_PROBLEM,  /* claims to be one of the above and cannot be read; `problem` says why */
};

struct sx_entry {
    enum sx_entry_kind kind;
    char *path;                 /* owned */
    char *label;                /* owned, sanitised, relative to the workspace */
    struct sx_sae_info info;    /* SAE only */
    struct sx_model_info model; /* MODEL; RUN: what the file says of its model, n_layers 0 when it
                                   holds an answer that no screen shows */
    struct sx_value *run;       /* RUN only, owned: what the file says, as `info` tells it */
    struct sx_error problem;    /* PROBLEM only */
    size_t family;              /* SAE: index of its family; else SIZE_MAX */
};

/* SAEs alike in all but the seed. Families of one group differ in penalty, lambda or k only and
 * stand beside each other. */
struct sx_family {
    char *key;       /* owned */
    char *group;     /* owned: the key without penalty, lambda and k; equal ones are adjacent */
    char *title;     /* owned, sanitised: "T l2 1e-05 784→1568 relu", no two are equal */
    size_t *members; /* owned: entry indices, by seed */
    size_t n_members;
    size_t n_warnings;
};

struct sx_workspace {
    char *root;   /* owned: what the user named, joined by spaces, sanitised */
    char **paths; /* owned: the same, as named, for `rescan` */
    size_t n_paths;
    struct sx_entry *entries;
    size_t n_entries;
    struct sx_family *families;
    size_t n_families;
    size_t n_problems, n_warnings;
    double scan_seconds;
};

/* --- the selected family -----------------------------------------------------------------------
 */

struct sx_sae;

struct sx_seed_latents { /* one SAE of the family; arrays are [F], owned */
    size_t entry;
    int64_t seed;
    struct sx_sae *sae; /* owned reference for later jobs; opaque to views */
    uint64_t *marks;    /* owned bit set of marked latents; NULL: none */
    size_t n_marks;
    struct sx_sae_stats stats;
    float *enc_norm, *dec_norm, *align;
};

struct sx_family_data {
    enum sx_slot_state state;
    struct sx_error error; /* FAILED */
    size_t family;         /* which one it describes */
    uint64_t D, F;
    uint64_t image_width, image_height; /* 0: not image data */
    struct sx_seed_latents *seeds;      /* owned */
    size_t n_seeds;
};

/* Matching of all seeds of the selected family (types in sae/match_types.h); models are the members
 * in their order. */
struct sx_match_data {
    enum sx_slot_state state;
    struct sx_error error;
    size_t family;
    struct sx_match_set *set;         /* owned: pairs with partners, similarities, margins */
    struct sx_match_summary *summary; /* owned: fractions and counters at settings.tau. Its `alive`
                                         says whether they, and rows, are of set->alive */
    struct sx_match_survival *survival; /* owned: the same over tau in [0,1], per pair */
    uint8_t *category;                  /* owned [F], enum sx_category: the anchor's latents, by
                                           settings.counter (paper: those of member 0) */
    /* The alive cut moves by a job of its own (`match-alive`, which `set --alive` starts): until it
     * is READY, summary and survival are of the cut before (set->alive_cut). */
    enum sx_slot_state alive_state;
    struct sx_error alive_error;
    /* A second family, to compare. */
    size_t other;                             /* its index as asked for; SIZE_MAX: none */
    struct sx_match_survival *survival_other; /* owned or NULL: not there yet */
    char *other_title;                        /* owned or NULL */
};

/* --- features table ----------------------------------------------------------------------------
 */

enum sx_sort_key {
    SX_SORT_LATENT,
    SX_SORT_ALIGN,
    SX_SORT_ENC_NORM,
    SX_SORT_DEC_NORM,
    SX_SORT_SIMILARITY, /* mean similarity to the partners in the other seeds */
    SX_SORT_MARGIN,
    SX_SORT_CATEGORY, /* always, sometimes, never */
    SX_SORT_COUNT
};

struct sx_rows {
    enum sx_slot_state state;
    struct sx_error error; /* FAILED: a filter that does not parse */
    enum sx_sort_key sort;
    bool descending;
    char filter[128];
    char search[128]; /* what `jump` looked for last */
    uint32_t *order;  /* owned: latents of the anchor seed, in order */
    size_t n;
};

/* --- one latent --------------------------------------------------------------------------------
 */

enum { SX_CARD_NEIGHBOURS = 8, SX_CARD_SEEDS = 16 };

struct sx_card {
    enum sx_slot_state state;
    struct sx_error error;
    size_t family;
    size_t seed_index; /* which member */
    uint32_t latent;
    bool assigned; /* partners come from the exact assignment; else each is the most similar decoder
                    */
    float enc_norm, dec_norm, align, b_enc;
    uint32_t neighbour[SX_CARD_NEIGHBOURS]; /* same SAE, by |cos| of decoder rows */
    float neighbour_cos[SX_CARD_NEIGHBOURS];
    size_t n_neighbours;
    uint64_t D;
    uint64_t image_width, image_height;
    float *enc_row, *dec_row; /* [D], owned: the anchor's weights */
    struct sx_card_partner {
        size_t seed_index;
        int64_t latent; /* -1: no partner */
        float sim_dec, sim_enc;
        float runner_up; /* similarity of the second best decoder */
        float margin;
        float *dec_row, *enc_row; /* [D], owned; NULL without a partner */
    } partner[SX_CARD_SEEDS];
    size_t n_partners;
};

/* --- gallery -----------------------------------------------------------------------------------
 */

struct sx_gallery_cell {
    int64_t latent; /* -1: empty */
    float sim;      /* to the anchor's latent; 1 in the anchor row; NAN: random control */
};

struct sx_gallery {
    enum sx_slot_state state;
    struct sx_error error;
    size_t family;
    uint64_t D, width, height;
    size_t rows,
        columns; /* one row a seed, the last row is the random control; a column a latent */
    struct sx_gallery_cell *cells; /* owned [rows, columns] */
    float *enc, *dec;              /* owned [rows, columns, D] */
    size_t first;                  /* position in the features order of column 0 */
};

/* --- training ----------------------------------------------------------------------------------
 */

struct sx_curves {
    enum sx_slot_state state;
    struct sx_error error;
    char *path;                  /* owned; NULL while EMPTY */
    struct sx_value *columns;    /* owned: list of strings */
    struct sx_value *attributes; /* owned: effective configuration, seeds, total steps … */
    double *data;                /* owned [rows, n_columns] */
    size_t rows, n_columns;
    bool growing;        /* written to within the last 10 seconds */
    int64_t modified_ns; /* of the file when it was read */
    uint64_t bytes;
};

/* --- transformers -------------------------------------------------------------------------------
 * All that follows is of the model selection.model and of the input with this serial number; a slot
 * whose serial is another is out of date. Tokens are 0-based; ESM-2 has <cls> at 0. */

struct sx_model;

struct sx_token_text {
    char text[16]; /* as a reader wants it, sanitised */
};

struct sx_input {
    enum sx_slot_state
        state; /* EMPTY: no model or nothing typed yet; FAILED: cannot be tokenised */
    struct sx_error error;
    uint64_t serial;           /* counts every change of text, masks or model */
    size_t model;              /* entry */
    struct sx_model *opened;   /* owned reference for later jobs; opaque to views; NULL: a stored
                                  run */
    struct sx_model_info info; /* of the model, owned */
    char *text;                /* owned, as typed */
    char *title;       /* owned: name of the FASTA record, or a start of the text; sanitised */
    char *fasta;       /* owned: the file it was read from, also while PENDING or FAILED; or NULL */
    size_t record;     /* of that file, or of the stored run; from 1 */
    bool last_record;  /* none stands behind it */
    int32_t *ids;      /* owned [n]: with masks set */
    int32_t *original; /* owned [n]: without */
    struct sx_token_text *tokens; /* owned [n]: of the original ids */
    bool *masked;                 /* owned [n] */
    size_t n;
    size_t n_unknown; /* characters without a token */
    /* Of a stored run (selection.model is a RUN entry): SEQUENCE, ATTENTION and MAP come from what
     * the file holds, all else needs weights. ids are as they were run, masks and all. */
    char *run;           /* owned: its path; NULL: the input of an open model */
    char *interventions; /* owned, sanitised, one line; "": none */
    size_t n_records;    /* `record` is one of them */
    /* Of a stored answer, which holds the result of one command and its tokens: the slots that it
     * fills are READY with the input, every other pass is refused. */
    char *line; /* owned, sanitised: the command line that made it; NULL: no stored answer */
};

enum { SX_TOP_TOKENS = 10, SX_RESIDUES = 20 };

/* ESM-2: the distribution at each token, seen (unmasked) or masked as the input has it, over all 33
 * symbols. GPT-NeoX: at token t the distribution of token t as predicted from those before it (row
 * t-1 of the logits; token 0 has none: NAN). */
struct sx_sequence_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    size_t n, vocab;
    float *surprise; /* owned [n]: -log2 P(original token), bits */
    float *entropy;  /* owned [n], bits */
    float *rank;     /* owned [n]: of the original token, 0 is first */
    int32_t *top;    /* owned [n, SX_TOP_TOKENS]: most probable first, -1 past the vocabulary */
    float *top_p;    /* owned [n, SX_TOP_TOKENS] */
    struct sx_token_text *top_text; /* owned [n, SX_TOP_TOKENS] */
    float *residues; /* owned [n, SX_RESIDUES] or NULL: P over the 20 residues (renormalised), in
                        the order of the ids, LAGVSERTIDPKQNFYMHWC; ESM-2 */
    double seconds;  /* the pass took */
};

enum sx_lens_metric {
    SX_LENS_LOGIT, /* logit(target) minus the mean of the 20 residues' (ESM-2), or of all */
    SX_LENS_P,     /* probability of the target */
    SX_LENS_RANK,  /* of the target, 0 is first */
    SX_LENS_COUNT
};

/* Final LayerNorm and head on the residual stream before every layer and after the last: row l is
 * resid.pre of layer l, row n_layers the model's output. */
struct sx_lens_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    int32_t target; /* token id; -1: the original token of each position (GPT-NeoX: the next one) */
    char target_text[16];
    size_t rows, n;
    float *logit, *p, *rank;        /* owned [rows, n] each; NAN where there is no target */
    int32_t *top;                   /* owned [rows, n]: most probable token */
    struct sx_token_text *top_text; /* owned [rows, n] */
};

/* Attention of one query token to every key. */
struct sx_attention_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    size_t query;
    size_t n_layers, n_heads, n;
    float *pattern; /* owned [layers, heads, n] */
};

/* The map of one head. */
struct sx_map_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    size_t layer, head, n;
    float *pattern; /* owned [n, n]: query, key */
};

struct sx_contacts_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    size_t n; /* residues */
    float *p; /* owned [n, n] */
};

/* --- circuits -----------------------------------------------------------------------------------
 * Each keeps what it was asked beside its result; NTERM is of the model alone, the others of the
 * input. `line`: the command line that gives the same result in a shell, owned. */

/* A: the input as it is, read at selection.token. B: the mask moved to settings.against, or another
 * sequence; key selection.key in both. */
struct sx_bands_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    char *line;
    bool profile; /* asked for */
    /* Asked for, beside result.query_a and key_a: B as settings.against; SIZE_MAX with `other`
     * NULL: A alone. */
    size_t against;
    char *other; /* owned: B is this sequence; NULL: it is A's own */
    struct sx_bands_result result;
};

/* The bands of selection.token → selection.key in every sequence of a file, A and B as above; their
 * means with intervals are made of one cell at a time, the one under the cursor. */
struct sx_band_means_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    char *line;  /* without --layer and --head */
    char *fasta; /* owned: the file; PENDING: asked for */
    size_t query, key, against;
    bool masked;                    /* the query is, in A */
    struct sx_bands_result *result; /* owned [n] */
    size_t n, n_left_out;
    struct sx_band_mean { /* as asked for by `band-interval` */
        enum sx_slot_state state;
        struct sx_error error;
        size_t layer, head, band;  /* head SIZE_MAX: the sum over heads */
        struct sx_band_mean_term { /* 95 % interval; NAN: nothing to take a mean of */
            double mean, lo, hi;
        } term[SX_BAND_TERM_COUNT];
    } cell;
};

/* PENDING: result.layer, head, query and removed say what was asked. */
struct sx_head_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    char *line;
    struct sx_head_result result;
    char target_text[16], top_text[16], top_removed_text[16];
};

struct sx_attribution_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    char *line;
    struct sx_attribution_result result;
    char target_text[16], against_text[16];
};

struct sx_composition_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    char *line;
    struct sx_composition_result result;
};

/* PENDING while it is computed: `result` then holds what is there already (n_done), unlike other
 * slots; a cancelled scan keeps it. */
struct sx_patching_data {
    enum sx_slot_state state;
    struct sx_error error;
    uint64_t serial;
    char *line;
    char *corrupt; /* owned: the other sequence as text; NULL: an ablation */
    struct sx_scan_result result;
    char target_text[16];
    char what[40];  /* "mean ablation" */
    double seconds; /* so far */
};

struct sx_nterm_data {
    enum sx_slot_state state;
    struct sx_error error;
    size_t model; /* entry */
    char *line;
    char *path; /* owned: FASTA or Swiss-Prot file; NULL: the built-in examples */
    struct sx_nterm_result result;
    char **precursors; /* owned [n_rows]: sequences, so that a row opens as an input */
};

/* --- jobs --------------------------------------------------------------------------------------
 */

enum sx_lane { SX_LANE_UI, SX_LANE_QUERY, SX_LANE_COMPUTE, SX_LANE_COUNT };
enum sx_job_state { SX_JOB_QUEUED, SX_JOB_RUNNING, SX_JOB_DONE, SX_JOB_FAILED, SX_JOB_CANCELLED };

struct sx_job_info {
    uint64_t id;
    char line[160]; /* the command line that does the same */
    enum sx_lane lane;
    enum sx_job_state state;
    double fraction;       /* -1: not known */
    double eta_s;          /* -1: not known */
    double started, ended; /* sx_clock() */
    struct sx_error error;
};

enum { SX_JOBS_SHOWN = 64 };

/* --- everything --------------------------------------------------------------------------------
 */

struct sx_selection {
    size_t entry;          /* in the workspace view and the inspector; SIZE_MAX: none */
    size_t family;         /* SIZE_MAX: none */
    size_t seed_index;     /* anchor seed: member of the family */
    uint32_t latent;       /* of the anchor seed */
    size_t pair_a, pair_b; /* members shown in the seeds view */
    size_t training;       /* entry index of the training run shown; SIZE_MAX: none */
    size_t model;          /* entry index of the model shown; SIZE_MAX: none */
    size_t token;          /* cursor in the input; also the query of the attention view */
    size_t key;            /* attention: chosen key */
    size_t layer, head;    /* attention, bands, head: chosen head */
    size_t band;           /* bands, head: chosen band */
    size_t protein;        /* nterm: chosen row */
};

struct sx_settings {
    double tau;   /* similarity threshold, strict; default 0.7 */
    double alive; /* alignment cut; -1: all latents; default -1 */
    enum sx_counter counter;
    bool orphans_only;
    bool marked_only;
    enum sx_lens_metric lens_metric;
    size_t against;         /* bands: token the mask moves to in condition B; SIZE_MAX: none */
    int32_t target;         /* circuits: token whose logit is followed; -1: methionine (ESM-2), the
                               next token (GPT-NeoX) */
    uint64_t bands_removed; /* head: bit b: band b of the query is taken out */
};

struct sx_session {
    uint64_t revision[SX_SLOT_COUNT];
    struct sx_workspace workspace;
    enum sx_slot_state workspace_state;
    uint64_t workspace_serial; /* counts workspaces opened: indices are of one of them */
    struct sx_selection selection;
    struct sx_settings settings;
    struct sx_family_data family;
    struct sx_match_data match;
    struct sx_rows rows;
    struct sx_card card;
    struct sx_gallery gallery;
    struct sx_curves curves;
    struct sx_input input;
    struct sx_sequence_data sequence;
    struct sx_lens_data lens;
    struct sx_attention_data attention;
    struct sx_map_data map;
    struct sx_contacts_data contacts;
    struct sx_bands_data bands;
    struct sx_head_data head;
    struct sx_attribution_data attribution;
    struct sx_composition_data composition;
    struct sx_patching_data patching;
    struct sx_nterm_data nterm;
    struct sx_band_means_data band_means;
    struct sx_job_info jobs[SX_JOBS_SHOWN]; /* newest first */
    size_t n_jobs;
    size_t n_marks; /* marked latents of the anchor seed; a change touches SX_SLOT_SELECTION */
    char message[256];
    enum sx_status message_status; /* SX_OK: plain; SX_ERR_*: shown as bad */
};

/* Is `latent` marked? */
bool sx_session_marked(const struct sx_session *session, uint32_t latent);
/* Can the screens of transformers show it: a model, or a stored run? */
bool sx_entry_asked(const struct sx_entry *entry);
/* Entry of member `seed_index` of the selected family, or NULL. */
const struct sx_entry *sx_session_member(const struct sx_session *session, size_t seed_index);

#endif
