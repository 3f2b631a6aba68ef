/* Lists of amino-acid substitutions, "A42G" or "A42G:T50S", residues from 1: one a line, or the
 * column `mutant` of a CSV file (as ProteinGym writes them). Private to run. */
#ifndef SEXTANT_RUN_MUTATIONS_H
#define SEXTANT_RUN_MUTATIONS_H

#include "sextant/model/tokenizer.h"

struct sx_sites { /* tokens to mask together, ascending; borrowed or owned by their list */
    uint32_t *token;
    size_t n;
};

struct sx_variant { /* owned by its list */
    char *text;
    int32_t *from, *to; /* [n] ids, in the order of the sites */
    size_t n;
    size_t sites; /* index of its set of sites */
    double score;
};

struct sx_mutations { /* start with {0}; sx_mutations_release */
    struct sx_variant *variant;
    size_t n, room;
    struct sx_sites *sites; /* each set once */
    size_t n_sites, room_sites;
};

/* Checked against the wild type `ids`: errors name file, line, what is there and what was said. */
enum sx_status sx_mutations_read(const char *path, const struct sx_ids *ids,
                                 struct sx_mutations *mutations,
                                 struct sx_error *err) SX_MUST_CHECK;
/* One variant, e.g. "A42G:T50S"; `where` stands before messages. */
enum sx_status sx_mutations_add(struct sx_mutations *mutations, const char *text,
                                const struct sx_ids *ids, const char *where,
                                struct sx_error *err) SX_MUST_CHECK;
void sx_mutations_release(struct sx_mutations *mutations);

#endif
