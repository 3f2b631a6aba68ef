/* C7: proteins that do not start with methionine. Natural ones come in presentations that the
 * caller made; besides, every protein of the study is cut in front of its interior residue. */
#include <math.h>

#include "report_private.h"
#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

enum sx_status sx_c7_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err)
{
    const struct sx_site *inside = &sites->inside;
    const size_t n = inside->n - inside->token + 1;
    const uint32_t token = 1;
    float logits[SX_ESM_VOCAB];
    struct sx_reading cut;
    int32_t *ids = sx_xcalloc(n, sizeof *ids);
    ids[0] = SX_ESM_CLS;
    for (size_t t = 1; t < n; t++)
        ids[t] = inside->ids[inside->token + t - 1];
    const struct sx_sequence sequence = {
        .ids = ids, .n = n, .embed_scale = NAN, .rows = &token, .n_rows = 1};
    const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = logits};
    const enum sx_status status = sx_run_pass(study->runner, &pass, study->task, err);
    sx_free(ids);
    SX_TRY(status);
    sx_reading_of(logits, &cut);
    const bool first = cut.top == SX_ESM_M;
    const bool whole = inside->reading.top == SX_ESM_M;
    sx_study_set(study, "cut_says_met", first);
    sx_study_set(study, "cut_inside_says_met", whole);
    sx_study_set(study, "cut_difference", (double)first - (double)whole);
    sx_study_set(study, "cut_p_met", cut.p);
    sx_study_set(study, "cut_inside_p_met", inside->reading.p);
    return SX_OK;
}

/* --- natural N-termini --------------------------------------------------------------------------
 */

struct natural { /* by protein whose true start is not Met; NAN: presentation not made */
    double *says_first, *says_inside, *difference, *p_first, *p_inside, *p_true;
    size_t n, both;
};

static void natural_init(struct natural *natural, size_t n)
{
    double **const arrays[] = {&natural->says_first, &natural->says_inside, &natural->difference,
                               &natural->p_first,    &natural->p_inside,    &natural->p_true};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = sx_xcalloc(n + 1, sizeof **arrays);
        for (size_t r = 0; r < n; r++)
            (*arrays[i])[r] = (double)NAN;
    }
}

static void natural_release(struct natural *natural)
{
    sx_free(natural->says_first);
    sx_free(natural->says_inside);
    sx_free(natural->difference);
    sx_free(natural->p_first);
    sx_free(natural->p_inside);
    sx_free(natural->p_true);
}

static void natural_read(const struct sx_nterm_result *nterm, struct natural *out)
{
    for (size_t r = 0; r < nterm->n_rows; r++) {
        const struct sx_nterm_row *row = &nterm->rows[r];
        const struct sx_nterm_cell *first = &row->cell[SX_MATURE_FIRST];
        const struct sx_nterm_cell *inside = &row->cell[SX_PRECURSOR_INSIDE];
        if (row->first == 'M' || !first->made)
            continue;
        const size_t i = out->n++;
        out->says_first[i] = first->top == 'M';
        out->p_first[i] = (double)first->p_met;
        out->p_true[i] = (double)first->p_true;
        if (!inside->made)
            continue;
        out->both++;
        out->says_inside[i] = inside->top == 'M';
        out->p_inside[i] = (double)inside->p_met;
        out->difference[i] = out->says_first[i] - out->says_inside[i];
    }
}

/* --- what it comes to ---------------------------------------------------------------------------
 */

struct compared {
    struct sx_interval first, inside, difference;
    const char *what;
};

static struct compared conclude_cut(struct sx_study *study, struct sx_report_claim *claim)
{
    const struct compared cut = {sx_study_mean(study, "cut_says_met"),
                                 sx_study_mean(study, "cut_inside_says_met"),
                                 sx_study_mean(study, "cut_difference"), "cut proteins"};
    sx_claim_number(claim, "cut_says_met", "cut in front of it: M most probable", "", cut.first);
    sx_claim_number(claim, "cut_inside_says_met",
                    "whole protein, the same residue: M most probable", "", cut.inside);
    sx_claim_number(claim, "cut_p_met", "cut in front of it: P(M)", "",
                    sx_study_mean(study, "cut_p_met"));
    sx_claim_number(claim, "cut_inside_p_met", "whole protein, the same residue: P(M)", "",
                    sx_study_mean(study, "cut_inside_p_met"));
    sx_claim_number(claim, "cut_difference", "cut minus whole, M most probable", "",
                    cut.difference);
    return cut;
}

static struct compared conclude_natural(struct sx_study *study, struct sx_report_claim *claim,
                                        struct natural *natural)
{
    const uint64_t seed = study->input->seed;
    const size_t n = natural->n;
    const struct compared found = {sx_bootstrap_mean(natural->says_first, n, seed),
                                   sx_bootstrap_mean(natural->says_inside, n, seed),
                                   sx_bootstrap_mean(natural->difference, n, seed),
                                   "natural N-termini"};
    sx_claim_number(claim, "natural_says_met", "natural, (i) mature chain: M most probable", "",
                    found.first);
    sx_claim_number(claim, "natural_inside_says_met",
                    "natural, (iv) inside the precursor: M most probable", "", found.inside);
    sx_claim_number(claim, "natural_p_met", "natural, (i): P(M)", "",
                    sx_bootstrap_mean(natural->p_first, n, seed));
    sx_claim_number(claim, "natural_p_true", "natural, (i): P(true residue)", "",
                    sx_bootstrap_mean(natural->p_true, n, seed));
    sx_claim_number(claim, "natural_inside_p_met", "natural, (iv): P(M)", "",
                    sx_bootstrap_mean(natural->p_inside, n, seed));
    sx_claim_number(claim, "natural_difference", "natural, (i) minus (iv), M most probable", "",
                    found.difference);
    return found;
}

void sx_c7_conclude(struct sx_study *study, struct sx_report_claim *claim)
{
    const struct sx_nterm_result *nterm = study->input->nterm;
    struct natural natural = {0};
    natural_init(&natural, nterm ? nterm->n_rows : 0);
    if (nterm)
        natural_read(nterm, &natural);
    claim->claim = "Where the true N-terminus is not Met the model says M all the same: a prior "
                   "of the position.";
    claim->method =
        "(i) The mature chain of a protein whose true first residue is known and not Met, that "
        "residue masked; (iv) the same residue masked within the precursor. Besides, each protein "
        "of the other claims is cut in front of an interior residue, which is masked in the cut "
        "and in the whole protein. The natural ones decide where there are enough of them.";
    struct compared compared = conclude_cut(study, claim);
    if (natural.n > 0) {
        const struct compared found = conclude_natural(study, claim, &natural);
        if (natural.both >= SX_REPORT_LEAST)
            compared = found;
    }
    sx_claim_condition(claim, "M is most probable at the first residue in more than half",
                       compared.first, true, 0.5);
    sx_claim_condition(claim, "M is most probable at the same residue inside in less than half",
                       compared.inside, false, 0.5);
    sx_claim_condition(claim, "the two differ by more than a quarter of the proteins",
                       compared.difference, true, 0.25);
    claim->sentence = sx_report_text(
        study,
        "%s: M is most probable in %s where the residue stands first and in %s where the "
        "same residue stands inside (%zu pairs%s).",
        compared.what, sx_report_percent(study, &compared.first),
        sx_report_percent(study, &compared.inside), compared.difference.n,
        nterm && natural.both
            ? sx_report_text(study, "; McNemar, natural ones: %zu against %zu, p = %.2g",
                             nterm->summary.first_only, nterm->summary.inside_only,
                             nterm->summary.p_value)
            : "");
    claim->caveat = natural.both >= SX_REPORT_LEAST
                        ? "Mature chains follow a signal or transit peptide that training may "
                          "have seen as part of the same sequence."
                        : "Too few natural N-termini are known here; proteins cut at a random "
                          "residue stand in for them.";
    natural_release(&natural);
}
