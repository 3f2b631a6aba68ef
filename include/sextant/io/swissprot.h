/* Entries of UniProtKB/Swiss-Prot flat files (UniProt user manual), plain or gzip: what a protein
 * is called, its sequence, and the features that say where its mature chains begin. Both layouts of
 * the feature table are read: positions in columns (releases before 2019_11) and "from..to" with
 * qualifiers on lines of their own. An entry at a time. */
#ifndef SEXTANT_IO_SWISSPROT_H
#define SEXTANT_IO_SWISSPROT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sextant/base/status.h"

/* The others are passed over. */
enum sx_feature_kind {
    SX_FEATURE_INIT_MET, /* initiator methionine, removed; at 0: not in the sequence (old files) */
    SX_FEATURE_SIGNAL,
    SX_FEATURE_TRANSIT,
    SX_FEATURE_PROPEP,
    SX_FEATURE_CHAIN,
    SX_FEATURE_PEPTIDE,
    SX_FEATURE_NON_TER, /* the sequence does not end here, the molecule goes on */
    SX_FEATURE_KIND_COUNT
};
const char *sx_feature_name(enum sx_feature_kind kind); /* "INIT_MET" */

/* An end of a feature. */
struct sx_feature_end {
    uint32_t at; /* residue, counted from 1; 0: not known */
    char mark;   /* '\0': exact; '<', '>': beyond the sequence; '?': unsure */
};

struct sx_feature {
    enum sx_feature_kind kind;
    struct sx_feature_end from, to; /* within the sequence: 0 <= at <= length */
    bool inferred; /* "Potential", "Probable", "By similarity", or evidence codes none of which is
                      an experiment or a statement of the literature */
};

/* Borrowed from the reader until the next call. */
struct sx_swissprot_entry {
    const char *name;                  /* of the ID line, sanitised: "INS_HUMAN" */
    const char *accession;             /* the primary one, or "" */
    bool fragment;                     /* DE: Flags: Fragment(s), or "(Fragment)" in old files */
    const struct sx_feature *features; /* in the order of the file */
    size_t n_features;
    const char *sequence; /* [length] and a NUL, upper case letters */
    size_t length;
};

struct sx_swissprot; /* an open file */

/* path: "-" is standard input. */
enum sx_status sx_swissprot_open(const char *path, struct sx_swissprot **out,
                                 struct sx_error *err) SX_MUST_CHECK;
/* The bytes are borrowed until close. */
enum sx_status sx_swissprot_open_memory(const char *label, const void *bytes, size_t size,
                                        struct sx_swissprot **out,
                                        struct sx_error *err) SX_MUST_CHECK;
void sx_swissprot_close(struct sx_swissprot *file); /* NULL is fine */

/* The next entry; *more is false at the end. Errors name file, line, what was expected and what
 * stands there: no ID line first, an entry without the closing "//" or without a sequence, a
 * length that is not that of the SQ line, positions outside the sequence or that are no numbers,
 * more than 65,536 features, or 16 MiB of sequence. Features on another isoform's sequence are
 * passed over. */
enum sx_status sx_swissprot_next(struct sx_swissprot *file, struct sx_swissprot_entry *entry,
                                 bool *more, struct sx_error *err) SX_MUST_CHECK;

/* What a file of proteins is, by its first line that says anything. */
enum sx_protein_format { SX_PROTEINS_UNKNOWN, SX_PROTEINS_FASTA, SX_PROTEINS_SWISSPROT };
enum sx_status sx_protein_format_of(const char *path, enum sx_protein_format *format,
                                    struct sx_error *err) SX_MUST_CHECK;

#endif
