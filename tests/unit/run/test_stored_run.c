/* Stored runs in place of a model: what the screens read of a file against what the same screens
 * measured of the model, and files that are not what they claim. */
#include <criterion/criterion.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session_stage.h"
#include "sextant/base/str.h"
#include "sextant/io/h5.h"

static const struct tiny_shape protein_shape = {SX_MODEL_ESM2, 2, 32, 2, 128, 33, 0};

static void do_with(struct stage *s, const char *format, const char *path)
{
    const char *at = strchr(format, '%');
    char *line = sx_xasprintf("%.*s%s%s", (int)(at - format), format, path, at + 1);
    do_line(s, line);
    sx_free(line);
}

static struct stage stage_new(void)
{
    struct stage s = stage_start();
    s.model = stage_model(&s, "model", protein_shape, NULL);
    s.file = sx_xasprintf("%s/f.run.h5", s.folder);
    return s;
}

static void keep_run(struct stage *s, const char *options)
{
    char *line = sx_xasprintf("run %s %s --out %s --force", s->model, options, s->file);
    do_line(s, line);
    sx_free(line);
    cr_assert_neq(s->session->jobs[0].state, SX_JOB_FAILED, "%s",
                  s->session->jobs[0].error.message);
}

static void open_file(struct stage *s)
{
    do_with(s, "open %", s->file);
    cr_assert_eq(s->session->workspace_state, SX_STATE_READY);
    cr_assert_eq(s->session->workspace.n_entries, 1);
}

/* --- what is read ------------------------------------------------------------------------------
 */

struct seen { /* of one session; owned */
    size_t n, layers, heads;
    float *surprise, *entropy, *rank, *top_p, *residues, *attention, *map;
    int32_t *top;
    struct sx_token_text *top_text;
};

static void *copy(const void *from, size_t bytes)
{
    void *out = sx_xmalloc(bytes);
    memcpy(out, from, bytes);
    return out;
}

static struct seen look(struct stage *s)
{
    const struct sx_session *session = s->session;
    const struct sx_sequence_data *data = &session->sequence;
    do_line(s, "infer");
    do_line(s, "attend --token 3");
    do_line(s, "attention-map --layer 1 --head 1");
    cr_assert_eq(data->state, SX_STATE_READY, "%s", data->error.message);
    cr_assert_eq(session->attention.state, SX_STATE_READY, "%s", session->attention.error.message);
    cr_assert_eq(session->map.state, SX_STATE_READY, "%s", session->map.error.message);
    const size_t n = session->input.n, L = session->attention.n_layers;
    const size_t H = session->attention.n_heads;
    return (struct seen){
        .n = n,
        .layers = L,
        .heads = H,
        .surprise = copy(data->surprise, n * sizeof(float)),
        .entropy = copy(data->entropy, n * sizeof(float)),
        .rank = copy(data->rank, n * sizeof(float)),
        .top = copy(data->top, n * SX_TOP_TOKENS * sizeof(int32_t)),
        .top_p = copy(data->top_p, n * SX_TOP_TOKENS * sizeof(float)),
        .top_text = copy(data->top_text, n * SX_TOP_TOKENS * sizeof *data->top_text),
        .residues = copy(data->residues, n * SX_RESIDUES * sizeof(float)),
        .attention = copy(session->attention.pattern, L * H * n * sizeof(float)),
        .map = copy(session->map.pattern, n * n * sizeof(float)),
    };
}

static void seen_free(struct seen *seen)
{
    sx_free(seen->surprise);
    sx_free(seen->entropy);
    sx_free(seen->rank);
    sx_free(seen->top);
    sx_free(seen->top_p);
    sx_free(seen->top_text);
    sx_free(seen->residues);
    sx_free(seen->attention);
    sx_free(seen->map);
}

/* A typed mask has no surprise: NAN in both. */
static void same(const char *what, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cr_assert((isnan(a[i]) && isnan(b[i])) || fabs((double)(a[i] - b[i])) < 1e-6,
                  "%s[%zu]: %.9g of the model, %.9g of the file", what, i, (double)a[i],
                  (double)b[i]);
}

Test(stored_run, gives_what_the_model_gave)
{
    struct stage s = stage_new();
    do_with(&s, "open %", s.model);
    do_line(&s, "input MKT<mask>VRQ");
    struct seen live = look(&s);
    keep_run(&s, "--seq MKT<mask>VRQ --capture attn,logits");
    tiny_remove(s.model); /* no model is needed */
    open_file(&s);
    do_line(&s, "input");
    const struct sx_input *input = &s.session->input;
    cr_assert_eq(input->state, SX_STATE_READY, "%s", input->error.message);
    cr_assert_null(input->opened);
    cr_assert_str_eq(input->run, s.file);
    cr_assert_str_eq(input->tokens[1].text, "M");
    cr_assert(input->masked[4] && !input->masked[3]);
    cr_assert_str_eq(input->title, "MKT<mask>VRQ · stored run");
    struct seen stored = look(&s);
    cr_assert_eq(stored.n, live.n);
    cr_assert_eq(stored.layers, live.layers);
    cr_assert_eq(stored.heads, live.heads);
    same("surprise", live.surprise, stored.surprise, live.n);
    same("entropy", live.entropy, stored.entropy, live.n);
    same("rank", live.rank, stored.rank, live.n);
    same("top_p", live.top_p, stored.top_p, live.n * SX_TOP_TOKENS);
    same("residues", live.residues, stored.residues, live.n * SX_RESIDUES);
    same("attention", live.attention, stored.attention, live.layers * live.heads * live.n);
    same("map", live.map, stored.map, live.n * live.n);
    cr_assert_arr_eq(live.top, stored.top, live.n * SX_TOP_TOKENS * sizeof *live.top);
    for (size_t i = 0; i < live.n * SX_TOP_TOKENS; i++)
        cr_assert_str_eq(live.top_text[i].text, stored.top_text[i].text);
    seen_free(&live);
    seen_free(&stored);
    stage_free(&s);
}

Test(stored_run, needs_a_model_for_the_rest)
{
    static const char *const words[] = {
        "lens",        "lens --target M", "contact-map",   "band-table",
        "head-bands",  "attribution",     "composition",   "patch-grid --ablate zero",
        "nterm-table", "mask --token 2",  "set --target A"};
    struct stage s = stage_new();
    keep_run(&s, "--seq MKTV --capture attn --intervene ctx@layers=1,heads=0=zero");
    open_file(&s);
    do_line(&s, "input");
    cr_assert_str_eq(s.session->input.interventions, "ctx@layers=1,heads=0=zero");
    cr_assert(strstr(s.session->input.title, "ctx@layers=1,heads=0=zero"));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        refuse(&s, words[i], "f.run.h5 holds no weights; open the model model");
    refuse(&s, "input MKT", "open the model");
    do_line(&s, "infer");
    cr_assert_eq(s.session->sequence.state, SX_STATE_FAILED);
    cr_assert(strstr(s.session->sequence.error.message, "run again with --capture logits"), "%s",
              s.session->sequence.error.message);
    stage_free(&s);
}

Test(stored_run, parts_stand_where_they_are_of)
{
    struct stage s = stage_new();
    do_with(&s, "open %", s.model);
    do_line(&s, "input MKTVR");
    do_line(&s, "attend --token 3");
    const struct sx_attention_data *data = &s.session->attention;
    const size_t n = data->n, H = data->n_heads;
    float *whole = copy(data->pattern, data->n_layers * H * n * sizeof *whole);
    keep_run(&s, "--seq MKTVR --capture attn,logits --layers 1 --heads 1 --tokens 1,3 --keys 0,4");
    open_file(&s);
    do_line(&s, "input");
    do_line(&s, "attend --token 3");
    cr_assert_eq(data->state, SX_STATE_READY, "%s", data->error.message);
    for (size_t i = 0; i < data->n_layers * H * n; i++) {
        const bool kept = i / n == H + 1 && (i % n == 0 || i % n == 4);
        cr_assert_eq(kept, !isnan(data->pattern[i]), "%zu", i);
        if (kept)
            cr_assert_float_eq((double)data->pattern[i], (double)whole[i], 1e-6);
    }
    do_line(&s, "attend --token 2");
    cr_assert_eq(data->state, SX_STATE_FAILED);
    cr_assert(strstr(data->error.message, "no attn of token 2"), "%s", data->error.message);
    do_line(&s, "attention-map --layer 0 --head 1");
    cr_assert_eq(s.session->map.state, SX_STATE_FAILED);
    do_line(&s, "infer");
    cr_assert_eq(s.session->sequence.state, SX_STATE_READY);
    cr_assert(isnan(s.session->sequence.surprise[2]));
    cr_assert_not(isnan(s.session->sequence.surprise[3]));
    sx_free(whole);
    stage_free(&s);
}

Test(stored_run, chooses_among_several_sequences)
{
    struct stage s = stage_new();
    char *fasta = sx_xasprintf("%s/two.fasta", s.folder);
    FILE *out = fopen(fasta, "w");
    fputs(">one\nMKT\n>two\nACDEF\n", out);
    fclose(out);
    char *options = sx_xasprintf("--fasta %s --capture attn,logits", fasta);
    keep_run(&s, options);
    open_file(&s);
    do_line(&s, "input --record 2");
    const struct sx_input *input = &s.session->input;
    cr_assert_eq(input->state, SX_STATE_READY, "%s", input->error.message);
    cr_assert_eq(input->n, 7);
    cr_assert_eq(input->n_records, 2);
    cr_assert(input->last_record);
    cr_assert_str_eq(input->title, "two · stored run 2 of 2");
    do_line(&s, "attend --token 6");
    cr_assert_eq(s.session->attention.state, SX_STATE_READY);
    do_line(&s, "rescan");
    cr_assert_eq(input->record, 2);
    do_line(&s, "input --record 3");
    cr_assert_eq(input->state, SX_STATE_FAILED);
    cr_assert(strstr(input->error.message, "the last one is 2"), "%s", input->error.message);
    sx_free(options);
    sx_free(fasta);
    stage_free(&s);
}

/* --- files of strangers ------------------------------------------------------------------------
 */

struct forged {
    int64_t layers, vocab;
    int32_t id;
    uint64_t attn_keys, logits_rows;
    uint32_t token; /* of `tokens`; UINT32_MAX: no such dataset */
};

static const struct forged honest = {2, 33, 5, 3, 3, UINT32_MAX};

static void write_f32(struct sx_h5 *h5, const char *name, int rank, const uint64_t *shape)
{
    static const float zero[4096];
    struct sx_error err = {0};
    cr_assert_eq(sx_h5_write(h5, name, SX_DTYPE_F32, rank, shape, zero, 0, &err), SX_OK, "%s",
                 err.message);
}

static void forge(const struct stage *s, const struct forged *f)
{
    struct sx_error err = {0};
    struct sx_h5 *h5 = NULL;
    struct sx_value *about = sx_value_map();
    const int32_t ids[] = {0, f->id, 2};
    const uint64_t three = 3, one = 1;
    cr_assert_eq(sx_h5_create(s->file, &h5, &err), SX_OK, "%s", err.message);
    sx_value_set(about, "tool", sx_value_string("sextant"));
    sx_value_set(about, "kind", sx_value_string("run"));
    sx_value_set(about, "family", sx_value_string("ESM-2"));
    sx_value_set(about, "model", sx_value_string("tiny\033[31m"));
    sx_value_set(about, "interventions", sx_value_string("ctx=zero\n\033[2Jattn=zero"));
    sx_value_set(about, "layers", sx_value_int(f->layers));
    sx_value_set(about, "heads", sx_value_int(2));
    sx_value_set(about, "d_model", sx_value_int(32));
    sx_value_set(about, "vocab", sx_value_int(f->vocab));
    sx_value_set(about, "sequences", sx_value_int(1));
    cr_assert_eq(sx_h5_write_attributes(h5, "/", about, &err), SX_OK, "%s", err.message);
    sx_value_free(about);
    cr_assert_eq(sx_h5_write(h5, "ids", SX_DTYPE_I32, 1, &three, ids, 0, &err), SX_OK);
    write_f32(h5, "attn", 4,
              (const uint64_t[]){2, 2, f->token == UINT32_MAX ? 3 : 1, f->attn_keys});
    write_f32(h5, "logits", 2, (const uint64_t[]){f->logits_rows, 33});
    if (f->token != UINT32_MAX)
        cr_assert_eq(sx_h5_write(h5, "tokens", SX_DTYPE_U32, 1, &one, &f->token, 0, &err), SX_OK);
    cr_assert_eq(sx_h5_commit(h5, &err), SX_OK, "%s", err.message);
}

static void fails_with(const struct sx_error *error, enum sx_slot_state state, const char *part)
{
    cr_assert_eq(state, SX_STATE_FAILED, "%s", part);
    cr_assert(strstr(error->message, part) && strstr(error->message, "f.run.h5"), "%s: %s", part,
              error->message);
}

Test(stored_run, an_honest_file_of_a_stranger_is_read)
{
    struct stage s = stage_new();
    forge(&s, &honest);
    open_file(&s);
    do_line(&s, "input");
    const struct sx_input *input = &s.session->input;
    cr_assert_eq(input->state, SX_STATE_READY, "%s", input->error.message);
    cr_assert_str_eq(input->tokens[1].text, "#5"); /* no texts were stored */
    cr_assert_null(strchr(input->title, '\033'));
    cr_assert_null(strchr(input->interventions, '\033'));
    cr_assert_null(strchr(input->info.name, '\033'));
    cr_assert(strncmp(input->interventions, "ctx=zero; ", 10) == 0, "%s", input->interventions);
    do_line(&s, "infer");
    cr_assert_eq(s.session->sequence.state, SX_STATE_READY);
    cr_assert_float_eq((double)s.session->sequence.entropy[1], log2(33), 1e-5);
    stage_free(&s);
}

Test(stored_run, what_does_not_fit_together_is_refused)
{
    struct stage s = stage_new();
    struct forged f = honest;
    f.id = 33;
    forge(&s, &f);
    open_file(&s);
    do_line(&s, "input");
    fails_with(&s.session->input.error, s.session->input.state, "/ids: token 1: id 33");
    f = honest;
    f.attn_keys = 4;
    forge(&s, &f);
    do_line(&s, "input");
    do_line(&s, "attend --token 1");
    fails_with(&s.session->attention.error, s.session->attention.state,
               "/attn: expected numbers [2, 2, 3, 3], found [2, 2, 3, 4]");
    do_line(&s, "attention-map --layer 0 --head 0");
    fails_with(&s.session->map.error, s.session->map.state, "/attn");
    f = honest;
    f.logits_rows = 2;
    forge(&s, &f);
    do_line(&s, "input");
    do_line(&s, "infer");
    fails_with(&s.session->sequence.error, s.session->sequence.state, "/logits: expected");
    f = honest;
    f.token = 7;
    forge(&s, &f);
    do_line(&s, "input");
    do_line(&s, "attend --token 1");
    fails_with(&s.session->attention.error, s.session->attention.state, "/tokens: index 7");
    stage_free(&s);
}

static void is_problem(struct stage *s, const char *part)
{
    open_file(s);
    const struct sx_entry *entry = &s->session->workspace.entries[0];
    cr_assert_eq(entry->kind, SX_ENTRY_PROBLEM, "%s", part);
    cr_assert(strstr(entry->problem.message, part), "%s", entry->problem.message);
}

Test(stored_run, impossible_sizes_and_cut_files_are_problems)
{
    struct stage s = stage_new();
    struct forged f = honest;
    f.layers = (int64_t)1 << 40;
    forge(&s, &f);
    is_problem(&s, "attribute `layers`: expected 1 to 4096");
    f = honest;
    f.vocab = -1;
    forge(&s, &f);
    is_problem(&s, "attribute `vocab`");
    forge(&s, &honest);
    cr_assert_eq(truncate(s.file, 700), 0);
    is_problem(&s, "f.run.h5");
    stage_free(&s);
}
