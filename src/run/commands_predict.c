/* predict: what stands behind each mask. contacts: which residues touch. */
#include "commands_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "model_input.h"
#include "run_file.h"
#include "sextant/base/alloc.h"
#include "sextant/io/tensor_write.h"
#include "sextant/model/forward.h"

enum { PASS_TOKENS = 4096, N_RESIDUES = SX_ESM_LAST_RESIDUE - SX_ESM_FIRST_RESIDUE + 1 };

struct predict {
    struct sx_job *job;
    struct sx_model *model;
    struct sx_runner *runner;
    struct sx_model_inputs inputs;
    struct sx_value *masks;
};

/* --- predict ---------------------------------------------------------------------------------- */

static size_t masks_of(const struct sx_ids *ids, uint32_t *rows)
{
    size_t n = 0;
    for (size_t i = 0; i < ids->n; i++)
        if (ids->ids[i] == SX_ESM_MASK) {
            if (rows)
                rows[n] = (uint32_t)i;
            n++;
        }
    return n;
}

static double entropy(const double *p, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum -= p[i] > 0 ? p[i] * log(p[i]) : 0;
    return sum;
}

static struct sx_value *distribution(const struct sx_model *model, const double *p, size_t first,
                                     size_t n)
{
    struct sx_value *map = sx_value_map();
    for (size_t i = 0; i < n; i++) {
        char name[32];
        sx_token_text(model, (int32_t)(first + i), name, sizeof name);
        sx_value_set(map, name, sx_value_real(p[i]));
    }
    return map;
}

/* residue: 1-based, counted behind a <cls>. */
static struct sx_value *describe_mask(const struct predict *predict, const struct sx_ids *ids,
                                      size_t token, const float *logits)
{
    struct sx_value *out = sx_value_map();
    double p33[SX_ESM_VOCAB], p20[N_RESIDUES];
    char name[32];
    size_t best = 0;
    sx_softmax_row(logits, 0, SX_ESM_VOCAB, p33, NULL);
    sx_softmax_row(logits, SX_ESM_FIRST_RESIDUE, N_RESIDUES, p20, NULL);
    for (size_t i = 1; i < SX_ESM_VOCAB; i++)
        if (logits[i] > logits[best])
            best = i;
    sx_token_text(predict->model, (int32_t)best, name, sizeof name);
    sx_document_int(out, "pos", (int64_t)token);
    sx_document_int(out, "residue", (int64_t)token + (ids->ids[0] != SX_ESM_CLS));
    sx_document_text(out, "argmax", name);
    sx_value_set(out, "entropy", sx_value_real(entropy(p33, SX_ESM_VOCAB)));
    sx_value_set(out, "entropy20", sx_value_real(entropy(p20, N_RESIDUES)));
    sx_value_set(out, "p20", distribution(predict->model, p20, SX_ESM_FIRST_RESIDUE, N_RESIDUES));
    sx_value_set(out, "p33", distribution(predict->model, p33, 0, SX_ESM_VOCAB));
    return out;
}

static void describe_sequence(struct predict *predict, size_t index, const uint32_t *rows, size_t n,
                              const float *logits)
{
    const struct sx_model_input *input = &predict->inputs.item[index];
    for (size_t i = 0; i < n; i++) {
        struct sx_value *mask =
            sx_value_append(predict->masks, describe_mask(predict, &input->ids, rows[i],
                                                          logits + i * SX_ESM_VOCAB));
        if (predict->inputs.n > 1)
            sx_document_int(mask, "sequence", (int64_t)index);
        if (input->name)
            sx_document_text(mask, "name", input->name);
    }
}

/* One pass over the sequences [first, first+n). */
static enum sx_status predict_batch(struct predict *predict, size_t first, size_t n,
                                    struct sx_error *err)
{
    struct sx_sequence *sequences = sx_xcalloc(n, sizeof *sequences);
    size_t *lengths = sx_xcalloc(n, sizeof *lengths);
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        const struct sx_ids *ids = &predict->inputs.item[first + i].ids;
        const size_t masks = masks_of(ids, NULL);
        uint32_t *rows = sx_xcalloc(masks + 1, sizeof *rows);
        masks_of(ids, rows);
        sequences[i] = (struct sx_sequence){
            .ids = ids->ids, .n = ids->n, .embed_scale = NAN, .rows = rows, .n_rows = masks};
        lengths[i] = ids->n;
        total += masks;
    }
    float *logits = sx_alloc_big(total * SX_ESM_VOCAB + 1, sizeof *logits);
    const struct sx_pass pass = {.sequences = sequences, .n_sequences = n, .logits = logits};
    enum sx_status status =
        logits ? sx_model_must_fit(predict->job->args, predict->model, lengths, n, 0,
                                   "give a shorter sequence, or raise --max-memory", err)
               : sx_fail(err, SX_ERR_NOMEM, "no memory for %zu rows of logits", total);
    if (status == SX_OK)
        status = sx_run_pass(predict->runner, &pass, &predict->job->task, err);
    const float *row = logits;
    for (size_t i = 0; i < n; i++) {
        if (status == SX_OK)
            describe_sequence(predict, first + i, sequences[i].rows, sequences[i].n_rows, row);
        row += sequences[i].n_rows * SX_ESM_VOCAB;
        sx_free((void *)(uintptr_t)sequences[i].rows);
    }
    sx_free(logits);
    sx_free(lengths);
    sx_free(sequences);
    return status;
}

static enum sx_status check_masks(struct predict *predict, struct sx_error *err)
{
    size_t with = 0;
    for (size_t i = 0; i < predict->inputs.n; i++) {
        const struct sx_model_input *input = &predict->inputs.item[i];
        if (masks_of(&input->ids, NULL) > 0)
            with++;
        else if (predict->inputs.n > 1)
            sx_model_inputs_warn(&predict->inputs, "%s%s no <mask>",
                                 input->name ? input->name : "a sequence", input->name ? ":" : "");
    }
    if (with > 0)
        return SX_OK;
    return sx_fail(err, SX_ERR_USAGE,
                   "predict: no <mask> in the sequence; write it in place of a residue, as in "
                   "--seq '<mask>KTVRQERLK'");
}

static enum sx_status predict_all(struct predict *predict, struct sx_error *err)
{
    const struct sx_value *args = predict->job->args;
    SX_TRY(sx_model_use(args, &predict->model, &predict->runner, err));
    SX_TRY(sx_model_must_be(predict->model, SX_MODEL_ESM2, "predict", err));
    SX_TRY(sx_model_must_predict(predict->model, "predict", err));
    SX_TRY(sx_model_inputs_read("predict", args, predict->model, &predict->inputs, err));
    SX_TRY(check_masks(predict, err));
    const size_t n = predict->inputs.n;
    for (size_t first = 0; first < n;) {
        size_t last = first, tokens = 0;
        while (last < n &&
               (last == first || tokens + predict->inputs.item[last].ids.n <= PASS_TOKENS))
            tokens += predict->inputs.item[last++].ids.n;
        SX_TRY(sx_task_step_to(&predict->job->task, first, n, last));
        SX_TRY(predict_batch(predict, first, last - first, err));
        first = last;
    }
    return SX_OK;
}

SX_RUN(predict)
{
    struct predict predict = {.job = job, .masks = sx_value_list()};
    const enum sx_status status = predict_all(&predict, err);
    if (status == SX_OK) {
        job->document = sx_document_new();
        sx_document_text(job->document, "model", sx_model_info(predict.model)->name);
        sx_value_set(job->document, "masks", predict.masks);
        predict.masks = NULL;
        sx_model_inputs_tell(&predict.inputs, job->document);
    }
    sx_value_free(predict.masks);
    sx_model_inputs_release(&predict.inputs);
    sx_runner_free(predict.runner);
    sx_model_unref(predict.model);
    return status;
}

static void print_best(const struct sx_value *p20, struct sx_str *out)
{
    enum { TOP = 5 };
    bool used[N_RESIDUES] = {false};
    const size_t n = sx_value_count(p20) < N_RESIDUES ? sx_value_count(p20) : N_RESIDUES;
    for (size_t k = 0; k < TOP && k < n; k++) {
        size_t best = n;
        for (size_t i = 0; i < n; i++)
            if (!used[i] && (best == n || sx_value_real_or(sx_value_item(p20, i), 0) >
                                              sx_value_real_or(sx_value_item(p20, best), 0)))
                best = i;
        used[best] = true;
        sx_str_printf(out, "  %s %.4f", sx_value_key(p20, best),
                      sx_value_real_or(sx_value_item(p20, best), 0));
    }
}

SX_PRINT(predict)
{
    const struct sx_value *masks = sx_value_get(document, "masks");
    const char *last = NULL;
    sx_print_warnings(document, out);
    sx_str_append(out, "residue  among the 20                                      entropy\n");
    for (size_t i = 0; i < sx_value_count(masks); i++) {
        const struct sx_value *mask = sx_value_item(masks, i);
        const char *name = sx_value_string_or(sx_value_get(mask, "name"), NULL);
        if (name && (!last || strcmp(last, name) != 0))
            sx_str_printf(out, "%s\n", name);
        last = name;
        sx_str_printf(out, "%7lld", (long long)sx_value_int_or(sx_value_get(mask, "residue"), 0));
        print_best(sx_value_get(mask, "p20"), out);
        sx_str_printf(out, "  %.3f\n", sx_value_real_or(sx_value_get(mask, "entropy20"), 0));
    }
}

/* --- contacts --------------------------------------------------------------------------------- */

static struct sx_value *matrix_of(const float *p, size_t n)
{
    struct sx_value *rows = sx_value_list();
    for (size_t i = 0; i < n; i++) {
        struct sx_value *row = sx_value_append(rows, sx_value_list());
        for (size_t j = 0; j < n; j++)
            sx_value_append(row, sx_value_real((double)p[i * n + j]));
    }
    return rows;
}

struct pair {
    size_t i, j; /* residues, 1-based */
    double p;
};

static int by_p(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;
    if (x->p != y->p)
        return x->p < y->p ? 1 : -1;
    return x->i != y->i ? (x->i > y->i) - (x->i < y->i) : (x->j > y->j) - (x->j < y->j);
}

/* The strongest pairs at least six residues apart: nearer ones touch in any chain. */
static struct sx_value *strongest(const float *p, size_t n)
{
    enum { APART = 6, MOST = 20 };
    struct sx_value *list = sx_value_list();
    struct pair *pairs = NULL;
    size_t count = 0, room = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + APART; j < n; j++) {
            SX_GROW(pairs, room, count + 1);
            pairs[count++] = (struct pair){i + 1, j + 1, (double)p[i * n + j]};
        }
    if (count > 0)
        qsort(pairs, count, sizeof *pairs, by_p);
    for (size_t k = 0; k < count && k < MOST; k++) {
        struct sx_value *one = sx_value_append(list, sx_value_map());
        sx_document_int(one, "residue_i", (int64_t)pairs[k].i);
        sx_document_int(one, "residue_j", (int64_t)pairs[k].j);
        sx_value_set(one, "p", sx_value_real(pairs[k].p));
    }
    sx_free(pairs);
    return list;
}

static enum sx_status contacts_of(struct predict *c, float **out, size_t *n, struct sx_error *err)
{
    const struct sx_value *args = c->job->args;
    SX_TRY(sx_model_use(args, &c->model, &c->runner, err));
    SX_TRY(sx_model_must_be(c->model, SX_MODEL_ESM2, "contacts", err));
    if (!sx_model_info(c->model)->has_contact_head)
        return sx_fail(err, SX_ERR_UNSUPPORTED,
                       "contacts: %s has no contact head (of fair-esm's models it is in "
                       "NAME-contact-regression.pt, which must lie beside NAME.pt)",
                       sx_model_info(c->model)->path);
    SX_TRY(sx_model_inputs_read("contacts", args, c->model, &c->inputs, err));
    if (c->inputs.n != 1)
        return sx_fail(err, SX_ERR_USAGE, "contacts: %zu sequences; give one at a time",
                       c->inputs.n);
    const struct sx_ids *ids = &c->inputs.item[0].ids;
    if (ids->n < 3)
        return sx_fail(err, SX_ERR_USAGE,
                       "contacts: %zu tokens; <cls>, at least one residue and <eos> are needed",
                       ids->n);
    *n = ids->n - 2;
    const uint64_t bytes = (uint64_t)*n * *n * sizeof(float);
    SX_TRY(sx_model_must_fit(args, c->model, &ids->n, 1, 3 * bytes,
                             "give a shorter sequence, or raise --max-memory", err));
    *out = sx_alloc_big(*n * *n, sizeof **out);
    if (!*out)
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %zu x %zu contacts", *n, *n);
    SX_TRY(sx_task_step_to(&c->job->task, 0, 1, 1));
    return sx_model_contacts(c->runner, ids->ids, ids->n, *out, &c->job->task, err);
}

static enum sx_status check_out(const struct sx_value *args, struct sx_error *err)
{
    const char *path = sx_arg_text(args, "out");
    const size_t len = path ? strlen(path) : 0;
    if (!path)
        return SX_OK;
    if (len < 4 || strcmp(path + len - 4, ".npz") != 0)
        return sx_fail(err, SX_ERR_USAGE, "contacts: --out must end in .npz, not '%s'", path);
    return sx_may_write(path, sx_value_bool_or(sx_value_get(args, "force"), false), err);
}

static enum sx_status write_contacts(const char *path, const float *p, size_t n,
                                     struct sx_error *err)
{
    const struct sx_tensor_out tensor = {"contacts", SX_DTYPE_F32, 2, {n, n}, p};
    return sx_npz_write(path, &tensor, 1, err);
}

SX_RUN(contacts)
{
    struct predict contacts = {.job = job};
    float *p = NULL;
    size_t n = 0;
    enum sx_status status = check_out(job->args, err);
    if (status == SX_OK)
        status = contacts_of(&contacts, &p, &n, err);
    if (status == SX_OK && sx_arg_text(job->args, "out"))
        status = write_contacts(sx_arg_text(job->args, "out"), p, n, err);
    if (status == SX_OK) {
        job->document = sx_document_new();
        sx_document_text(job->document, "model", sx_model_info(contacts.model)->name);
        sx_document_int(job->document, "length", (int64_t)n);
        sx_document_text(job->document, "out", sx_arg_text(job->args, "out"));
        sx_value_set(job->document, "contacts", matrix_of(p, n));
        sx_value_set(job->document, "rows", strongest(p, n));
        sx_model_inputs_tell(&contacts.inputs, job->document);
    }
    sx_free(p);
    sx_model_inputs_release(&contacts.inputs);
    sx_runner_free(contacts.runner);
    sx_model_unref(contacts.model);
    return status;
}

SX_PRINT(contacts)
{
    const struct sx_value *rows = sx_value_get(document, "rows");
    sx_print_warnings(document, out);
    sx_str_append(out, "residue  residue   p\n");
    for (size_t i = 0; i < sx_value_count(rows); i++) {
        const struct sx_value *row = sx_value_item(rows, i);
        sx_str_printf(out, "%7lld  %7lld   %.4f\n",
                      (long long)sx_value_int_or(sx_value_get(row, "residue_i"), 0),
                      (long long)sx_value_int_or(sx_value_get(row, "residue_j"), 0),
                      sx_value_real_or(sx_value_get(row, "p"), 0));
    }
    if (sx_value_count(rows) == 0)
        sx_str_append(out, "no pairs at least six residues apart\n");
}
