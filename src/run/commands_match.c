/* match: SAEs named on the command line against each other. */
#include "commands_private.h"

#include <math.h>

#include "document.h"
#include "match_file.h"
#include "sextant/base/alloc.h"
#include "sextant/run/workspace.h"
#include "sextant/sae/match.h"
#include "sextant/sae/sae.h"

/* --- which SAEs ---------------------------------------------------------------------------------
 */

struct saes {
    struct sx_sae **sae; /* owned references */
    char **path;         /* owned */
    size_t n, capacity;
};

static void saes_release(struct saes *saes)
{
    for (size_t i = 0; i < saes->n; i++) {
        sx_sae_unref(saes->sae[i]);
        sx_free(saes->path[i]);
    }
    sx_free(saes->sae);
    sx_free(saes->path);
}

static enum sx_status add_sae(struct saes *saes, const char *path, struct sx_error *err)
{
    struct sx_sae *sae = NULL;
    SX_TRY(sx_sae_load(path, &sae, err));
    if (saes->n == saes->capacity) {
        saes->capacity = saes->capacity ? saes->capacity * 2 : 8;
        saes->sae = sx_xrealloc(saes->sae, saes->capacity * sizeof *saes->sae);
        saes->path = sx_xrealloc(saes->path, saes->capacity * sizeof *saes->path);
    }
    saes->sae[saes->n] = sae;
    saes->path[saes->n++] = sx_xstrdup(path);
    return SX_OK;
}

/* A file or SAE folder stands for itself, a folder of several for all of them, family by family. */
static enum sx_status add_path(struct saes *saes, const char *path, struct sx_task *task,
                               struct sx_error *err)
{
    struct sx_workspace workspace;
    SX_TRY(sx_workspace_scan(&path, 1, task, &workspace, err));
    enum sx_status status = SX_OK;
    size_t found = 0;
    for (size_t i = 0; i < workspace.n_families && status == SX_OK; i++) {
        const struct sx_family *family = &workspace.families[i];
        for (size_t m = 0; m < family->n_members && status == SX_OK; m++, found++) {
            status = sx_task_step(task, saes->n, 0);
            if (status == SX_OK)
                status = add_sae(saes, workspace.entries[family->members[m]].path, err);
        }
    }
    if (status == SX_OK && !found) {
        const struct sx_error *why = NULL;
        for (size_t i = 0; i < workspace.n_entries && !why; i++)
            if (workspace.entries[i].kind == SX_ENTRY_PROBLEM)
                why = &workspace.entries[i].problem;
        status = why ? sx_fail(err, why->status, "%s", why->message)
                     : sx_fail(err, SX_ERR_NOTFOUND, "%s: no SAE here", path);
    }
    sx_workspace_release(&workspace);
    return status;
}

static enum sx_status collect(const struct sx_job *job, struct saes *saes, struct sx_task *task,
                              struct sx_error *err)
{
    const struct sx_value *paths = sx_value_get(job->args, "sae");
    for (size_t i = 0; i < sx_value_count(paths); i++)
        SX_TRY(add_path(saes, sx_value_string_or(sx_value_item(paths, i), ""), task, err));
    if (saes->n < 2)
        return sx_fail(err, SX_ERR_USAGE, "match: %zu SAE found; two are needed", saes->n);
    return SX_OK;
}

/* --- the document -------------------------------------------------------------------------------
 */

static const char nothing_compared[] = "no latents were compared";

static struct sx_value *describe_alignment(const struct sx_align_stats *stats)
{
    struct sx_value *map = sx_value_map();
    static const char why[] = "no latents";
    sx_document_real(map, "mean", stats->mean, why);
    sx_document_real(map, "median", stats->median, why);
    sx_document_real(map, "over_05", stats->over_05, why);
    sx_document_real(map, "over_07", stats->over_07, why);
    sx_document_real(map, "over_09", stats->over_09, why);
    sx_document_int(map, "over_095", (int64_t)stats->over_095);
    return map;
}

static struct sx_value *describe_orthogonality(const struct sx_orthogonality *o)
{
    static const char why[] = "fewer than two rows";
    struct sx_value *map = sx_value_map();
    sx_document_int(map, "rows", (int64_t)o->rows);
    sx_document_real(map, "abs_mean", o->abs_mean, why);
    sx_document_real(map, "abs_max", o->abs_max, why);
    sx_document_real(map, "abs_median", o->abs_median, why);
    sx_document_real(map, "abs_p90", o->abs_p90, why);
    sx_document_real(map, "abs_p99", o->abs_p99, why);
    sx_document_real(map, "signed_mean", o->signed_mean, why);
    sx_document_real(map, "signed_std", o->signed_std, why);
    sx_document_real(map, "frobenius", o->frobenius, why);
    return map;
}

static struct sx_value *describe_model(const struct sx_match_model *model, const char *path,
                                       const char *name)
{
    struct sx_value *map = sx_value_map();
    sx_document_text(map, "path", path);
    sx_document_text(map, "name", name);
    sx_document_int(map, "activation_dim", (int64_t)model->D);
    sx_document_int(map, "dict_size", (int64_t)model->F);
    sx_document_int(map, "alive", (int64_t)model->n_alive);
    sx_document_int(map, "dead_exact", (int64_t)model->dead.either_exact);
    sx_document_int(map, "dead_tiny", (int64_t)model->dead.either_tiny);
    sx_value_set(map, "alignment", describe_alignment(&model->alignment));
    sx_value_set(map, "orthogonality", describe_orthogonality(&model->orthogonality));
    if (model->orthogonality_alive.rows)
        sx_value_set(map, "orthogonality_alive",
                     describe_orthogonality(&model->orthogonality_alive));
    return map;
}

static void put_fractions(struct sx_value *map, const struct sx_match_fractions *f)
{
    sx_document_real(map, "mmcs", f->mmcs, nothing_compared);
    sx_document_real(map, "mmcs_enc", f->mmcs_enc, nothing_compared);
    sx_document_real(map, "mmcs_dec", f->mmcs_dec, nothing_compared);
    sx_document_real(map, "paired", f->paired, nothing_compared);
    sx_document_real(map, "shared", f->shared, nothing_compared);
    sx_document_real(map, "shared_enc", f->shared_enc, nothing_compared);
    sx_document_real(map, "shared_dec", f->shared_dec, nothing_compared);
    sx_document_real(map, "shared_compat", f->shared_compat, nothing_compared);
    sx_document_int(map, "n_shared", (int64_t)f->n_shared);
    sx_document_int(map, "alive_a", (int64_t)f->n_a);
    sx_document_int(map, "alive_b", (int64_t)f->n_b);
}

static struct sx_value *describe_pair(const struct sx_match_pair *pair,
                                      const struct sx_match_fractions *fractions,
                                      const struct saes *saes)
{
    struct sx_value *map = sx_value_map();
    sx_document_text(map, "a", saes->path[pair->a]);
    sx_document_text(map, "b", saes->path[pair->b]);
    sx_document_int(map, "a_index", (int64_t)pair->a);
    sx_document_int(map, "b_index", (int64_t)pair->b);
    put_fractions(map, fractions);
    struct sx_value *certificate = sx_value_set(map, "certificate", sx_value_map());
    sx_document_real(certificate, "gap", fmax(pair->proof_enc.gap, pair->proof_dec.gap),
                     nothing_compared);
    sx_document_real(certificate, "gap_enc", pair->proof_enc.gap, nothing_compared);
    sx_document_real(certificate, "gap_dec", pair->proof_dec.gap, nothing_compared);
    sx_document_real(certificate, "max_violation",
                     fmax(pair->proof_enc.max_violation, pair->proof_dec.max_violation),
                     nothing_compared);
    return map;
}

static void put_counts(struct sx_value *map, const struct sx_match_counts *counts)
{
    sx_document_int(map, "always", (int64_t)counts->always);
    sx_document_int(map, "sometimes", (int64_t)counts->sometimes);
    sx_document_int(map, "never", (int64_t)counts->never);
}

static struct sx_value *describe_categories(const struct sx_match_summary *summary)
{
    static const char *const counters[SX_N_COUNTERS] = {"anchored", "clique", "paper_compat"};
    static const char *const bases[SX_N_BASES] = {NULL, "enc", "dec"};
    struct sx_value *categories = sx_value_map();
    for (int c = 0; c < SX_N_COUNTERS; c++) {
        struct sx_value *map = sx_value_set(categories, counters[c], sx_value_map());
        put_counts(map, &summary->counts[c][SX_BASIS_BOTH]);
        for (int b = SX_BASIS_ENC; b < SX_N_BASES; b++)
            put_counts(sx_value_set(map, bases[b], sx_value_map()), &summary->counts[c][b]);
    }
    return categories;
}

static struct sx_value *real_list(const double *x, size_t n)
{
    struct sx_value *list = sx_value_list();
    for (size_t i = 0; i < n; i++)
        sx_value_append(list, sx_value_real(x[i]));
    return list;
}

static struct sx_value *describe_survival(const struct sx_match_set *set, bool alive)
{
    enum { POINTS = 101 };
    struct sx_match_survival *survival = sx_match_survival_new(set, alive, POINTS);
    const size_t mean = survival->n_pairs * survival->n_tau;
    struct sx_value *map = sx_value_map();
    sx_value_set(map, "tau", real_list(survival->tau, survival->n_tau));
    sx_value_set(map, "paired", real_list(survival->paired + mean, survival->n_tau));
    sx_value_set(map, "shared", real_list(survival->shared + mean, survival->n_tau));
    sx_value_set(map, "shared_enc", real_list(survival->shared_enc + mean, survival->n_tau));
    sx_value_set(map, "shared_dec", real_list(survival->shared_dec + mean, survival->n_tau));
    sx_match_survival_free(survival);
    return map;
}

/* One flat line a pair, for --csv. */
static struct sx_value *flat_row(const struct sx_value *pair)
{
    struct sx_value *row = sx_value_map();
    for (size_t i = 0; i < sx_value_count(pair); i++)
        if (sx_value_kind(sx_value_item(pair, i)) != SX_VALUE_MAP)
            sx_value_set(row, sx_value_key(pair, i), sx_value_dup(sx_value_item(pair, i)));
    sx_value_set(row, "gap", sx_value_dup(sx_value_at(pair, "certificate.gap")));
    return row;
}

static struct sx_value *describe(const struct sx_match_set *set,
                                 const struct sx_match_summary *summary, const struct saes *saes)
{
    struct sx_value *document = sx_document_new();
    const struct sx_match_pair *pairs = summary->alive ? set->alive : set->pairs;
    SX_ASSERT(pairs || set->n_pairs == 0);
    sx_document_real(document, "tau", summary->tau, "");
    sx_document_real(document, "alive", summary->alive ? set->alive_cut : (double)NAN,
                     "all latents");
    struct sx_value *models = sx_value_set(document, "saes", sx_value_list());
    for (size_t i = 0; i < set->n_models; i++)
        sx_value_append(models,
                        describe_model(&set->models[i], saes->path[i], saes->sae[i]->info.name));
    struct sx_value *list = sx_value_set(document, "pairs", sx_value_list());
    struct sx_value *rows = sx_value_list();
    for (size_t i = 0; i < set->n_pairs; i++) {
        struct sx_value *pair =
            sx_value_append(list, describe_pair(&pairs[i], &summary->pairs[i], saes));
        sx_value_append(rows, flat_row(pair));
    }
    struct sx_value *mean = sx_value_set(document, "mean", sx_value_map());
    put_fractions(mean, &summary->mean);
    sx_document_real(document, "mmcs_std", summary->mmcs_std, nothing_compared);
    sx_value_set(document, "categories", describe_categories(summary));
    sx_value_set(document, "survival", describe_survival(set, summary->alive));
    sx_value_set(document, "rows", rows);
    return document;
}

/* --- run and print ------------------------------------------------------------------------------
 */

static enum sx_status match_all(struct sx_job *job, const struct saes *saes,
                                struct sx_match_set **set, struct sx_error *err)
{
    const double alive = sx_value_real_or(sx_value_get(job->args, "alive"), -1);
    struct sx_match_input *models = sx_xcalloc(saes->n, sizeof *models);
    for (size_t i = 0; i < saes->n; i++)
        models[i] = (struct sx_match_input){.W_enc = saes->sae[i]->W_enc,
                                            .W_dec = saes->sae[i]->W_dec,
                                            .F = (size_t)saes->sae[i]->info.dict_size,
                                            .D = (size_t)saes->sae[i]->info.activation_dim,
                                            .name = saes->path[i]};
    const struct sx_match_options options = {.alive_cut = alive > -1 ? alive : (double)NAN,
                                             .orthogonality = true};
    enum sx_status status = sx_match_new(models, saes->n, &options, &job->task, set, err);
    sx_free(models);
    return status;
}

SX_RUN(match)
{
    const char *out = sx_arg_text(job->args, "out");
    struct saes saes = {0};
    struct sx_match_set *set = NULL;
    enum sx_status status = collect(job, &saes, &job->task, err);
    if (status == SX_OK)
        status = match_all(job, &saes, &set, err);
    if (status == SX_OK) {
        const double tau = sx_value_real_or(sx_value_get(job->args, "tau"), 0.7);
        struct sx_match_summary *summary = sx_match_summary_new(set, tau, set->alive != NULL);
        if (out)
            status = sx_match_write(out, set, tau, summary->alive, err);
        if (status == SX_OK)
            job->document = describe(set, summary, &saes);
        sx_match_summary_free(summary);
    }
    sx_match_set_free(set);
    saes_release(&saes);
    return status;
}

static const char *name_of(const struct sx_value *document, const struct sx_value *pair,
                           const char *which)
{
    const int64_t index = sx_value_int_or(sx_value_get(pair, which), 0);
    const struct sx_value *sae = sx_value_item(sx_value_get(document, "saes"), (size_t)index);
    return sx_value_string_or(sx_value_get(sae, "name"), "");
}

static void print_row(const char *a, const char *b, const struct sx_value *row, struct sx_str *out)
{
    static const char *const keys[] = {"mmcs", "mmcs_enc", "mmcs_dec", "paired", "shared"};
    sx_str_printf(out, "%-24.24s %-24.24s", a, b);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        sx_print_number(out, sx_value_get(row, keys[i]), 9, 4);
    sx_print_number(out, sx_value_get(row, "alive_a"), 7, 0);
    sx_print_number(out, sx_value_get(row, "alive_b"), 7, 0);
    const double gap = sx_value_real_or(sx_value_at(row, "certificate.gap"), NAN);
    if (!isnan(gap))
        sx_str_printf(out, "  %.1e", gap);
    sx_str_append_char(out, '\n');
}

SX_PRINT(match)
{
    const struct sx_value *pairs = sx_value_get(document, "pairs");
    const struct sx_value *categories = sx_value_get(document, "categories");
    const struct sx_value *alive = sx_value_get(document, "alive");
    sx_str_printf(out, "tau %g, ", sx_value_real_or(sx_value_get(document, "tau"), NAN));
    if (sx_value_kind(alive) == SX_VALUE_NULL)
        sx_str_append(out, "all latents\n\n");
    else
        sx_str_printf(out, "latents with alignment above %g\n\n", sx_value_real_or(alive, NAN));
    sx_str_printf(out, "%-24s %-24s%9s%9s%9s%9s%9s%7s%7s  %s\n", "a", "b", "MMCS", "enc", "dec",
                  "paired", "shared", "n a", "n b", "gap");
    for (size_t i = 0; i < sx_value_count(pairs); i++) {
        const struct sx_value *pair = sx_value_item(pairs, i);
        print_row(name_of(document, pair, "a_index"), name_of(document, pair, "b_index"), pair,
                  out);
    }
    if (sx_value_count(pairs) > 1)
        print_row("mean", "", sx_value_get(document, "mean"), out);
    sx_str_printf(out, "\n%-14s%10s%11s%8s\n", "counter", "always", "sometimes", "never");
    for (size_t i = 0; i < sx_value_count(categories); i++) {
        const struct sx_value *counts = sx_value_item(categories, i);
        sx_str_printf(out, "%-14s", sx_value_key(categories, i));
        sx_print_number(out, sx_value_get(counts, "always"), 10, 0);
        sx_print_number(out, sx_value_get(counts, "sometimes"), 11, 0);
        sx_print_number(out, sx_value_get(counts, "never"), 8, 0);
        sx_str_append_char(out, '\n');
    }
}
