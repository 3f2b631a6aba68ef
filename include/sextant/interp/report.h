/* Retrieval or recognition? The claims of Jedryszek & Crook, "Retrieval and competition: how a
 * protein foundation model starts a protein" (arXiv 2605.16331), measured on an ESM-2 model and a
 * set of proteins. C1 is the prediction itself, C2 the reference at <cls> that it is read from, C3
 * the query, C4 the competition with the context, C5 and C6 the rotary bands, C7 proteins that do
 * not start with methionine, C8 how much each single view misses.
 *
 * Claims are decided by conditions that are fixed here, before any model is looked at: an interval
 * against a bound. Nothing about layers or heads is assumed: the heads that read <cls> out are
 * found on one part of the proteins, and everything is measured on the others. */
#ifndef SEXTANT_INTERP_REPORT_H
#define SEXTANT_INTERP_REPORT_H

#include "sextant/base/arena.h"
#include "sextant/base/task.h"
#include "sextant/core/stats.h"
#include "sextant/interp/types.h"
#include "sextant/model/forward.h"

enum { SX_REPORT_CLAIMS = 8 };

/* What an interval says of a bound, and what conditions together say of a claim. */
enum sx_verdict { SX_UNDECIDED, SX_SUPPORTED, SX_NOT_SUPPORTED };
const char *
sx_verdict_name(enum sx_verdict verdict); /* "supports" "does not support" "undecided" */

/* Fewer sequences than this decide nothing. */
enum { SX_REPORT_LEAST = 8 };

struct sx_report_condition {
    const char *text; /* "P(M) at residue 1 is above 0.5" */
    struct sx_interval x;
    bool above; /* x is to lie above the bound; else below */
    double bound;
    enum sx_verdict outcome;
};
/* Met when the whole interval lies on the side that is named, refuted when it lies wholly on the
 * other one. Without a finite interval, or with fewer than `least` sequences: undecided. */
enum sx_verdict sx_condition_outcome(const struct sx_interval *x, bool above, double bound,
                                     size_t least);
/* Supported when every condition is met, not supported when one is refuted. None: undecided. */
enum sx_verdict sx_conditions_verdict(const struct sx_report_condition *conditions, size_t n);

struct sx_report_number {
    const char *key;   /* "p_met_first": of the document */
    const char *label; /* for people */
    const char *unit;  /* "" for probabilities and shares */
    struct sx_interval x;
    double example; /* of the example protein alone; NAN: not a mean over proteins */
};

struct sx_report_grid { /* means over the sequences; NAN: not measured */
    const char *key, *title, *unit;
    const char *row_title, *column_title;
    const char **row_labels, **column_labels;
    size_t rows, columns;
    double *value; /* [rows,columns], owned */
};

/* Arrays are owned; all text lives in the report's arena. */
struct sx_report_claim {
    const char *id;     /* "C1" */
    const char *claim;  /* what is claimed, in our words */
    const char *method; /* what was done to measure it */
    struct sx_report_condition *conditions;
    size_t n_conditions, conditions_room;
    struct sx_report_number *numbers;
    size_t n_numbers, numbers_room;
    struct sx_report_grid *grids;
    size_t n_grids, grids_room;
    const char **commands; /* that give the same numbers for one protein */
    size_t n_commands, commands_room;
    enum sx_verdict verdict;
    const char *sentence; /* what it comes to */
    const char *caveat;   /* what it does not show, or "" */
};

struct sx_report_head {
    uint32_t layer, head;
    double readout;              /* mean attention to <cls> x what it writes towards M, logits */
    struct sx_interval knockout; /* change of the centred logit without its edge to <cls> */
};

struct sx_report {
    struct sx_arena *arena;
    struct sx_report_claim claims[SX_REPORT_CLAIMS];
    struct sx_report_head *heads; /* the readout heads, strongest first */
    size_t n_heads;
    double covered; /* share of the positive readout of all heads that they carry */
    size_t n_find, n_measure;
    size_t example;          /* the first protein that is measured */
    uint32_t example_inside; /* and the token of its interior site */
};

/* One protein as the model takes it, nothing owned. */
struct sx_report_protein {
    const char *id;     /* sanitised */
    const int32_t *ids; /* [n] BOS, residues, EOS; residue 1 is M, none is masked */
    size_t n;
};

struct sx_report_input {
    const struct sx_report_protein *proteins; /* starting with Met, in random order */
    size_t n_proteins;
    /* Proteins in their presentations, for C7; NULL: not known. */
    const struct sx_nterm_result *nterm;
    uint64_t seed;
};

/* A pass takes one sequence, or so many at most that have no more tokens together. */
enum { SX_REPORT_SEQUENCES = 64, SX_REPORT_TOKENS = 4096 };

/* Fills *out; release it, also after a failure. SX_ERR_UNSUPPORTED: not an ESM-2 model with a head;
 * SX_ERR_USAGE: fewer than 3 proteins, or shorter than 24 residues. Same input, same bits (on the
 * same processor). Memory: residual streams of four passes. */
enum sx_status sx_report_run(struct sx_runner *runner, const struct sx_report_input *input,
                             struct sx_task *task, struct sx_report *out,
                             struct sx_error *err) SX_MUST_CHECK;
void sx_report_release(struct sx_report *report);

#endif
