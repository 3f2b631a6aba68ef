/* Proteins whose true first residue is known, put before a masked language model in five ways: does
 * it say methionine because it stands first, whatever the protein (Jedryszek & Crook 2026)? ESM-2
 * only. */
#ifndef SEXTANT_INTERP_PRESENTATION_H
#define SEXTANT_INTERP_PRESENTATION_H

#include "sextant/base/task.h"
#include "sextant/interp/types.h"
#include "sextant/io/fasta.h"
#include "sextant/io/swissprot.h"
#include "sextant/model/forward.h"

/* --- proteins -----------------------------------------------------------------------------------
 */

struct sx_protein {
    char id[32]; /* sanitised */
    enum sx_nterm_class kind;
    bool inferred;   /* the start is annotated without an experiment */
    char *precursor; /* owned [length] and a NUL: all that is known, upper case */
    size_t length;
    size_t offset; /* residues before the mature chain; 0: nothing, or nothing is known */
    size_t mature; /* residues of the mature chain, >= 1 */
};

struct sx_proteins {
    struct sx_protein *items; /* owned [n] */
    size_t n;
    size_t n_read;    /* entries or records looked at */
    size_t n_unknown; /* of these, without a known start */
    size_t n_short;   /* mature chains below min_length, left out */
    size_t n_odd;     /* chains whose first residue is none of the 20, left out */
};
void sx_proteins_release(struct sx_proteins *proteins);

struct sx_proteins_options {
    size_t limit;      /* stop at this many proteins; 0: all */
    size_t min_length; /* of the mature chain */
};
struct sx_proteins_options sx_proteins_defaults(void); /* all, 10 residues */

/* Every CHAIN and PEPTIDE of an entry with an exact start is a protein, one for each start; without
 * any, what INIT_MET, SIGNAL, TRANSIT and PROPEP leave. The class is what ends before the start; a
 * start in the middle of nothing known is CHAIN. From residue 1 on: MET, FRAGMENT (NON_TER at 1, or
 * a fragment that does not say which end), or SEQUENCE. The first start has the entry's name,
 * others NAME/25. An initiator methionine that the file left out of the sequence is put back. */
void sx_proteins_add_entry(struct sx_proteins *proteins, const struct sx_swissprot_entry *entry,
                           const struct sx_proteins_options *options);
/* Starts at its first residue: MET or SEQUENCE. */
void sx_proteins_add_record(struct sx_proteins *proteins, const struct sx_fasta_record *record,
                            const struct sx_proteins_options *options);
/* Both chains of human insulin and hen lysozyme with their precursors (UniProt P01308, P00698);
 * BPTI, melittin, glucagon and HIV-1 protease without; ubiquitin as the control that starts with
 * Met. */
void sx_proteins_add_builtin(struct sx_proteins *proteins,
                             const struct sx_proteins_options *options);

/* A Swiss-Prot flat file, or FASTA; SX_PROTEINS_UNKNOWN: which one is seen from the content, and
 * path may not be "-". truth (FASTA only, or NULL): tab-separated lines "id, first residue, class,
 * offset": the class as sx_nterm_class_name writes it, offset the residues before the mature chain
 * in that record. Records that it does not name start at their first residue. A head line that
 * begins with "id" is passed over; a first residue that does not stand there and an id that no
 * record has are errors. All is added to *proteins, which the caller releases, after a failure too.
 * SX_ERR_NOTFOUND: no protein with a known start. */
enum sx_status sx_proteins_read(const char *path, enum sx_protein_format format, const char *truth,
                                const struct sx_proteins_options *options, struct sx_task *task,
                                struct sx_proteins *proteins, struct sx_error *err) SX_MUST_CHECK;

/* --- presentations ------------------------------------------------------------------------------
 */

struct sx_nterm_options {
    size_t prepend;      /* residues before the mature chain in (v) */
    bool prepend_random; /* drawn from the 20 with equal chance, else all alanine */
    uint64_t seed;       /* of the draw; each protein has a stream of its own */
    size_t crop; /* longest input in residues: the end is cut off; where the mask stands in the
                    second half of what is left, the start goes so that it stands in the middle */
};
struct sx_nterm_options sx_nterm_defaults(void); /* 10 alanines, 1022 residues */

struct sx_presented { /* release with sx_presented_release */
    bool made;        /* false: this presentation does not exist for the protein */
    int32_t *ids;     /* owned [n]: with <cls> and <eos> */
    size_t n;
    size_t mask; /* index of the masked token */
};
/* protein i of a set (its stream of random residues). (iii) and (iv) exist when something is known
 * before the mature chain, (iii) only when that starts with Met. */
void sx_present(const struct sx_protein *protein, size_t i, enum sx_presentation presentation,
                const struct sx_nterm_options *options, struct sx_presented *out);
void sx_presented_release(struct sx_presented *presented);

/* All proteins in all presentations, several to a pass. *result is the caller's to release (also
 * after a failure). SX_ERR_UNSUPPORTED: not ESM-2, or without a head. */
enum sx_status sx_nterm_run(struct sx_runner *runner, const struct sx_proteins *proteins,
                            const struct sx_nterm_options *options, struct sx_nterm_result *result,
                            struct sx_task *task, struct sx_error *err) SX_MUST_CHECK;
/* What the rows say together; sx_nterm_run does it. */
void sx_nterm_summarise(struct sx_nterm_result *result);

#endif
