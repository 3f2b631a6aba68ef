/* The files of the `report` command. Private to run. */
#ifndef SEXTANT_RUN_REPORT_PRIVATE_H
#define SEXTANT_RUN_REPORT_PRIVATE_H

#include "sextant/base/str.h"
#include "sextant/base/value.h"
#include "sextant/interp/presentation.h"
#include "sextant/interp/report.h"

struct sx_report_options {
    size_t limit;      /* proteins for C1 to C6 and C8, and as many natural N-termini for C7 */
    size_t max_length; /* residues: longer proteins are cut to their first */
    uint64_t seed;
    bool add_met; /* put M in front of proteins that start with something else (not for C7) */
};

/* What is taken of a file of proteins. Start with {0}; release it. */
struct sx_report_data {
    struct sx_report_protein *proteins; /* starting with Met; ids owned, names borrowed */
    size_t n;
    struct sx_proteins natural; /* starting with something else; owns nothing but the array */
    size_t n_read, n_starts, n_other_start, n_given_met, n_short, n_repeated, n_odd, n_cut,
        n_beyond_limit;
};
/* Proteins that share their first 30 residues count once: their errors are not independent. Drawn
 * in random order by the seed. The proteins must stay as they are. */
enum sx_status sx_report_select(const struct sx_proteins *proteins,
                                const struct sx_report_options *options,
                                struct sx_report_data *data, struct sx_error *err) SX_MUST_CHECK;
void sx_report_data_release(struct sx_report_data *data);

/* All that the two files say. */
struct sx_report_about {
    const struct sx_model_info *info;
    const char *fingerprint;
    const char *path, *format; /* of the data: "Swiss-Prot" or "FASTA" */
    const char *model_path;
    /* The example protein: as it is, and with residue 1 or the interior one masked. */
    char *protein, *first, *inside;
    const struct sx_report_options *options;
    const struct sx_report_data *data;
    const struct sx_report *report;
    const struct sx_nterm_result *nterm;
};
struct sx_value *sx_report_document(const struct sx_report_about *about); /* the caller frees */
/* How to get the same numbers for the example protein; text in the report's arena. */
void sx_report_add_commands(struct sx_report *report, const struct sx_model *model,
                            const struct sx_report_about *about);
void sx_report_markdown(const struct sx_report_about *about, struct sx_str *out);

/* A grid as text, for a block of fixed width: bars for a single row, else a map of eight levels
 * with signs. */
void sx_report_heatmap(const struct sx_report_grid *grid, struct sx_str *out);

#endif
