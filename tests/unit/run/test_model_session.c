/* Whole ways through the session with a transformer: select, input, masks, infer, lens, attention,
 * contacts, against passes of the model itself. */
#include <criterion/criterion.h>
#include <math.h>
#include <poll.h>

#include "session_stage.h"
#include "sextant/base/log.h"
#include "sextant/base/text.h"
#include "sextant/model/forward.h"
#include "sextant/model/tokenizer.h"
#include "sextant/run/commands.h"

#if defined(__SANITIZE_ADDRESS__)
static const double LIMIT = 1.5; /* everything is that much slower */
#else
static const double LIMIT = 0.3;
#endif

static const struct tiny_shape text_shape = {SX_MODEL_GPT_NEOX, 2, 32, 2, 128, 260, 2};

/* GPT-2's alphabet of bytes, and " t" in one token. */
static void write_tokenizer(const char *folder)
{
    struct sx_str json = SX_STR_INIT;
    int next = 256;
    sx_str_append(&json, "{\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":{\"type\":"
                         "\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"
                         "\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":"
                         "\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (int b = 0; b < 256; b++) {
        const bool shown = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        char utf8[4];
        const size_t len = sx_utf8_encode((uint32_t)(shown ? b : next++), utf8);
        sx_str_printf(&json, "%s\"%s%.*s\":%d", b ? "," : "", b == '"' || b == '\\' ? "\\" : "",
                      (int)len, utf8, b);
    }
    sx_str_append(&json, ",\"\u0120t\":256},\"merges\":[\"\u0120 t\"]}}");
    tiny_write_text(folder, "tokenizer.json", json.data);
    sx_str_release(&json);
}

static struct stage stage_new(struct tiny_shape shape)
{
    struct stage s = stage_start();
    s.model = stage_model(&s, "model", shape, NULL);
    if (shape.vocab == text_shape.vocab)
        write_tokenizer(s.model);
    stage_open(&s);
    return s;
}

static struct sx_runner *runner_of(const struct stage *s)
{
    struct sx_error err = {0};
    struct sx_model *model = NULL;
    cr_assert_eq(sx_model_open(s->model, NULL, &model, &err), SX_OK, "%s", err.message);
    struct sx_runner *runner = sx_runner_new(model, 1);
    sx_model_unref(model);
    return runner;
}

/* All logits of the input as it stands, by a pass of our own. */
static float *logits_of(const struct stage *s)
{
    const struct sx_input *input = &s->session->input;
    struct sx_runner *runner = runner_of(s);
    const size_t V = (size_t)input->info.vocab;
    float *logits = sx_xcalloc(input->n * V, sizeof *logits);
    const struct sx_sequence sequence = {
        .ids = input->ids, .n = input->n, .embed_scale = NAN, .n_rows = input->n};
    const struct sx_pass pass = {.sequences = &sequence, .n_sequences = 1, .logits = logits};
    struct sx_error err = {0};
    cr_assert_eq(sx_run_pass(runner, &pass, NULL, &err), SX_OK, "%s", err.message);
    sx_runner_free(runner);
    return logits;
}

static double probability(const float *row, size_t V, int32_t id)
{
    double sum = 0;
    for (size_t v = 0; v < V; v++)
        sum += exp((double)row[v]);
    return exp((double)row[id]) / sum;
}

/* --- input --------------------------------------------------------------------------------------
 */

Test(model_session, the_only_model_is_selected_and_has_an_example)
{
    struct stage s = stage_new(tiny_esm2_shape);
    const struct sx_input *input = &s.session->input;
    cr_assert_eq(s.session->workspace.n_entries, 1);
    cr_assert_eq(s.session->workspace.entries[0].kind, SX_ENTRY_MODEL);
    cr_assert_eq(s.session->selection.model, 0);
    cr_assert_eq(input->state, SX_STATE_EMPTY);
    say(&s, "input");
    cr_assert_eq(input->state, SX_STATE_PENDING);
    sx_run_wait_idle(s.run);
    cr_assert_eq(input->state, SX_STATE_READY, "%s", s.session->message);
    cr_assert_eq(input->n, 78);
    cr_assert_eq(input->info.n_layers, 2);
    cr_assert_str_eq(input->tokens[0].text, "<cls>");
    cr_assert_str_eq(input->tokens[1].text, "M");
    cr_assert(strstr(input->title, "ubiquitin"));
    cr_assert_eq(s.session->selection.token, 1);
    stage_free(&s);
}

Test(model_session, what_is_typed_is_tokenised)
{
    struct stage s = stage_new(tiny_esm2_shape);
    const struct sx_input *input = &s.session->input;
    do_line(&s, "input mk <mask>1Y");
    cr_assert_eq(input->state, SX_STATE_READY, "%s", s.session->message);
    cr_assert_eq(input->n, 7);
    cr_assert_eq(input->n_unknown, 1);
    cr_assert_eq(input->ids[1], SX_ESM_M);
    cr_assert(input->masked[3] && input->ids[3] == SX_ESM_MASK);
    refuse(&s, "mask --token 3", "typed as a mask");
    const uint64_t serial = input->serial;
    do_line(&s, "input ''");
    cr_assert_eq(input->state, SX_STATE_FAILED);
    cr_assert(strstr(input->error.message, "empty"), "%s", input->error.message);
    cr_assert_gt(input->serial, serial);
    refuse(&s, "infer", "there is no input");
    do_line(&s, "input AAAA");
    cr_assert_eq(input->state, SX_STATE_READY);
    stage_free(&s);
}

Test(model_session, a_record_of_a_fasta_file)
{
    struct stage s = stage_new(tiny_esm2_shape);
    const struct sx_input *input = &s.session->input;
    tiny_write_text(s.folder, "two.fasta", ">one first\nMKT\n>two the second\nACD\nEF\n");
    char *line = sx_xasprintf("input --fasta %s/two.fasta --record 2", s.folder);
    do_line(&s, line);
    cr_assert_eq(input->state, SX_STATE_READY, "%s", s.session->message);
    cr_assert_eq(input->n, 7);
    cr_assert_str_eq(input->text, "ACDEF");
    cr_assert_str_eq(input->title, "two the second");
    sx_free(line);
    line = sx_xasprintf("input --fasta %s/two.fasta --record 3", s.folder);
    do_line(&s, line);
    cr_assert_eq(input->state, SX_STATE_FAILED);
    cr_assert(strstr(input->error.message, "the last one is 2"), "%s", input->error.message);
    sx_free(line);
    do_line(&s, "input --fasta /no/such/file");
    cr_assert_eq(input->state, SX_STATE_FAILED);
    refuse(&s, "input MKT --fasta x", "not both");
    refuse(&s, "input --record 2", "--fasta");
    stage_free(&s);
}

Test(model_session, cursors_stay_inside)
{
    struct stage s = stage_new(tiny_esm2_shape);
    const struct sx_selection *selection = &s.session->selection;
    refuse(&s, "select --token 1", "there is no token");
    do_line(&s, "input");
    do_line(&s, "select --token 70 --key 77 --layer 1 --head 1");
    cr_assert(selection->token == 70 && selection->key == 77);
    refuse(&s, "select --token 78", "the last one is 77");
    refuse(&s, "select --layer 2", "the last one is 1");
    refuse(&s, "select --head 2", "the last one is 1");
    refuse(&s, "select --model 1", "the last one is 0");
    do_line(&s, "input MKT");
    cr_assert(selection->token == 4 && selection->key == 4 && selection->layer == 1);
    do_line(&s, "set --lens-metric rank");
    cr_assert_eq(s.session->settings.lens_metric, SX_LENS_RANK);
    stage_free(&s);
}

/* --- what hangs on it ---------------------------------------------------------------------------
 */

static void check_sequence(const struct stage *s, size_t ahead)
{
    const struct sx_input *input = &s->session->input;
    const struct sx_sequence_data *data = &s->session->sequence;
    const size_t V = (size_t)input->info.vocab;
    float *logits = logits_of(s);
    cr_assert_eq(data->state, SX_STATE_READY, "%s", s->session->message);
    cr_assert(data->n == input->n && data->vocab == V && data->serial == input->serial);
    for (size_t t = ahead; t < data->n; t++) {
        const float *row = logits + (t - ahead) * V;
        const double p = probability(row, V, input->original[t]);
        double entropy = 0;
        int rank = 0;
        for (size_t v = 0; v < V; v++) {
            const double q = probability(row, V, (int32_t)v);
            entropy -= q * log2(q);
            rank += row[v] > row[input->original[t]];
        }
        cr_assert_float_eq(data->surprise[t], -log2(p), 1e-3, "token %zu", t);
        cr_assert_float_eq(data->entropy[t], entropy, 1e-3);
        cr_assert_eq((int)data->rank[t], rank);
        const int32_t *top = data->top + t * SX_TOP_TOKENS;
        cr_assert_float_eq(data->top_p[t * SX_TOP_TOKENS], probability(row, V, top[0]), 1e-5);
        for (size_t i = 1; i < SX_TOP_TOKENS; i++)
            cr_assert_geq(data->top_p[t * SX_TOP_TOKENS + i - 1],
                          data->top_p[t * SX_TOP_TOKENS + i]);
        double sum = 0;
        for (size_t r = 0; data->residues && r < SX_RESIDUES; r++)
            sum += (double)data->residues[t * SX_RESIDUES + r];
        cr_assert(!data->residues || fabs(sum - 1) < 1e-5);
    }
    sx_free(logits);
}

Test(model_session, predictions_and_masks)
{
    struct stage s = stage_new(tiny_esm2_shape);
    const struct sx_session *session = s.session;
    do_line(&s, "input MQIFVKTLTG");
    say(&s, "infer");
    cr_assert_eq(session->sequence.state, SX_STATE_PENDING);
    sx_run_wait_idle(s.run);
    check_sequence(&s, 0);
    cr_assert_str_eq(session->sequence.top_text[0].text[0] ? "some" : "none", "some");
    const float seen = session->sequence.surprise[3];
    const uint64_t serial = session->input.serial;

    do_line(&s, "mask --token 3");
    cr_assert(session->input.masked[3] && session->input.ids[3] == SX_ESM_MASK);
    cr_assert_eq(session->input.original[3], 12);
    cr_assert_gt(session->input.serial, serial);
    cr_assert_eq(session->sequence.state, SX_STATE_EMPTY);
    do_line(&s, "infer");
    check_sequence(&s, 0);
    cr_assert_neq(session->sequence.surprise[3], seen);

    do_line(&s, "mask --token 3");
    do_line(&s, "infer");
    cr_assert_eq(session->sequence.surprise[3], seen);
    refuse(&s, "mask --token 0", "<cls>");
    refuse(&s, "mask --token 12", "the last one is 11");
    do_line(&s, "mask --token 5");
    do_line(&s, "mask --clear");
    cr_assert_not(session->input.masked[5]);
    stage_free(&s);
}

Test(model_session, lens_of_itself_and_of_a_target)
{
    struct stage s = stage_new(tiny_esm2_shape);
    const struct sx_lens_data *lens = &s.session->lens;
    do_line(&s, "input MQIFVK<mask>LTG");
    do_line(&s, "lens");
    cr_assert_eq(lens->state, SX_STATE_READY, "%s", s.session->message);
    cr_assert(lens->rows == 3 && lens->n == 12 && lens->target == -1);
    cr_assert_str_eq(lens->target_text, "self");
    cr_assert(isnan(lens->p[7]), "nothing is below a mask that was typed");
    do_line(&s, "infer");
    for (size_t t = 0; t < lens->n; t++) {
        const size_t at = 2 * lens->n + t;
        cr_assert_eq(lens->top[at], s.session->sequence.top[t * SX_TOP_TOKENS]);
        cr_assert(t == 7 || fabs(-log2((double)lens->p[at]) -
                                 (double)s.session->sequence.surprise[t]) < 1e-3);
    }
    do_line(&s, "lens --target M");
    cr_assert_eq(lens->target, SX_ESM_M);
    cr_assert_str_eq(lens->target_text, "M");
    float *logits = logits_of(&s);
    cr_assert_float_eq(lens->p[2 * lens->n + 7],
                       probability(logits + 7 * SX_ESM_VOCAB, SX_ESM_VOCAB, SX_ESM_M), 1e-5);
    sx_free(logits);
    refuse(&s, "lens --target Methionine", "is no token");
    cr_assert_eq(lens->state, SX_STATE_READY, "a refusal leaves what is there");
    stage_free(&s);
}

Test(model_session, attention_of_a_query_and_of_a_head)
{
    struct stage s = stage_new(tiny_esm2_shape);
    const struct sx_attention_data *attention = &s.session->attention;
    const struct sx_map_data *map = &s.session->map;
    do_line(&s, "input MQIFVKTLTG");
    do_line(&s, "attend --token 4");
    cr_assert_eq(attention->state, SX_STATE_READY, "%s", s.session->message);
    cr_assert(attention->query == 4 && attention->n_layers == 2 && attention->n_heads == 2);
    for (size_t i = 0; i < 4; i++) {
        double sum = 0;
        for (size_t k = 0; k < 12; k++)
            sum += (double)attention->pattern[i * 12 + k];
        cr_assert_float_eq(sum, 1, 1e-5);
    }
    for (size_t layer = 0; layer < 2; layer++)
        for (size_t head = 0; head < 2; head++) {
            char line[64];
            snprintf(line, sizeof line, "attention-map --layer %zu --head %zu", layer, head);
            do_line(&s, line);
            cr_assert_eq(map->state, SX_STATE_READY, "%s", s.session->message);
            cr_assert(map->layer == layer && map->head == head && map->n == 12);
            for (size_t k = 0; k < 12; k++)
                cr_assert_float_eq(map->pattern[4 * 12 + k],
                                   attention->pattern[(layer * 2 + head) * 12 + k], 1e-6);
        }
    refuse(&s, "attend --token 12", "the last one is 11");
    refuse(&s, "attention-map --layer 2", "the last one is 1");
    stage_free(&s);
}

Test(model_session, contacts)
{
    struct stage s = stage_new(tiny_esm2_shape);
    const struct sx_contacts_data *contacts = &s.session->contacts;
    do_line(&s, "input MQIFVKTLTG");
    do_line(&s, "contact-map");
    cr_assert_eq(contacts->state, SX_STATE_READY, "%s", s.session->message);
    cr_assert_eq(contacts->n, 10);
    float own[100];
    struct sx_runner *runner = runner_of(&s);
    cr_assert_eq(sx_model_contacts(runner, s.session->input.ids, 12, own, NULL, NULL), SX_OK);
    sx_runner_free(runner);
    for (size_t i = 0; i < 100; i++)
        cr_assert_float_eq(contacts->p[i], own[i], 1e-6);
    stage_free(&s);
}

Test(model_session, a_prompt)
{
    struct stage s = stage_new(text_shape);
    const struct sx_session *session = s.session;
    do_line(&s, "input 'to the sea'");
    cr_assert_eq(session->input.state, SX_STATE_READY, "%s", session->message);
    cr_assert_eq(session->input.n, 9);
    cr_assert_str_eq(session->input.tokens[2].text, " t");
    do_line(&s, "infer");
    cr_assert(isnan(session->sequence.surprise[0]) && session->sequence.top[0] == -1);
    cr_assert_null(session->sequence.residues);
    check_sequence(&s, 1);
    do_line(&s, "lens");
    cr_assert(isnan(session->lens.p[8]), "nothing follows the last token");
    cr_assert_float_eq(-log2((double)session->lens.p[2 * 9 + 3]), session->sequence.surprise[4],
                       1e-3);
    do_line(&s, "lens --target ' t'");
    cr_assert_eq(session->lens.target, 256);
    refuse(&s, "mask --token 1", "has no mask token");
    do_line(&s, "contact-map");
    cr_assert_eq(session->contacts.state, SX_STATE_FAILED);
    cr_assert(strstr(session->contacts.error.message, "no contact head"));
    do_line(&s, "attend --token 2");
    cr_assert_eq(session->attention.pattern[5], 0, "a causal model does not look ahead");
    stage_free(&s);
}

/* --- late, cancelled, failed --------------------------------------------------------------------
 */

Test(model_session, results_of_an_older_input_are_dropped)
{
    struct stage s = stage_new(tiny_esm2_shape);
    const struct sx_session *session = s.session;
    do_line(&s, "input");
    char message[sizeof session->message];
    memcpy(message, session->message, sizeof message);
    for (int i = 0; i < 20; i++) {
        say(&s, "infer");
        say(&s, "lens");
        say(&s, "attend");
        say(&s, "attention-map");
        say(&s, "contact-map");
        say(&s, "mask --token 2");
        sx_run_wait_idle(s.run);
        cr_assert_eq(session->sequence.state, SX_STATE_EMPTY);
        cr_assert_eq(session->lens.state, SX_STATE_EMPTY);
        cr_assert_eq(session->attention.state, SX_STATE_EMPTY);
        cr_assert_eq(session->map.state, SX_STATE_EMPTY);
        cr_assert_eq(session->contacts.state, SX_STATE_EMPTY);
        cr_assert_str_eq(session->message, message, "what nobody waits for says nothing");
    }
    say(&s, "infer");
    say(&s, "mask --token 2");
    say(&s, "infer");
    sx_run_wait_idle(s.run);
    check_sequence(&s, 0);
    say(&s, "input MKT");
    say(&s, "input MKTAY");
    sx_run_wait_idle(s.run);
    cr_assert_eq(session->input.n, 7);
    stage_free(&s);
}

Test(model_session, another_model_empties_the_input)
{
    struct stage s = stage_new(tiny_esm2_shape);
    char *other = stage_model(&s, "other", tiny_neox_shape, NULL);
    do_line(&s, "input MKT");
    do_line(&s, "infer");
    /* The same folder again: the model is read anew and asked the same. */
    const uint64_t serial = s.session->input.serial;
    do_line(&s, "rescan");
    cr_assert_eq(s.session->workspace.n_entries, 2);
    cr_assert_eq(s.session->input.state, SX_STATE_READY, "%s", s.session->message);
    cr_assert_str_eq(s.session->input.text, "MKT");
    cr_assert_gt(s.session->input.serial, serial);
    cr_assert_eq(s.session->sequence.state, SX_STATE_EMPTY);

    const size_t model = s.session->selection.model;
    say(&s, "input MKTAY");
    do_line(&s, model == 0 ? "select --model 1" : "select --model 0");
    cr_assert_eq(s.session->input.state, SX_STATE_EMPTY);
    do_line(&s, "input hello");
    cr_assert_eq(s.session->input.state, SX_STATE_FAILED);
    cr_assert(strstr(s.session->input.error.message, "no tokenizer"), "%s",
              s.session->input.error.message);
    tiny_remove(other);
    do_line(&s, "input hello");
    cr_assert_eq(s.session->input.state, SX_STATE_FAILED, "it is gone");
    do_line(&s, "rescan");
    cr_assert_eq(s.session->workspace.n_entries, 1);
    cr_assert_eq(s.session->input.state, SX_STATE_EMPTY);
    cr_assert_eq(s.session->selection.model, 0);
    sx_free(other);
    stage_free(&s);
}

Test(model_session, masks_alone_and_no_model)
{
    struct stage s = stage_new(tiny_esm2_shape);
    do_line(&s, "input <mask><mask>");
    do_line(&s, "infer");
    cr_assert_eq(s.session->sequence.state, SX_STATE_READY, "%s", s.session->message);
    tiny_remove(s.model);
    do_line(&s, "rescan");
    refuse(&s, "input MKT", "no model is selected");
    refuse(&s, "mask", "there is no input");
    refuse(&s, "lens", "there is no input");
    refuse(&s, "select --layer 0", "there is no layer");
    stage_free(&s);
}

static double cancelled_after(struct stage *s, const char *line, double work_s)
{
    say(s, line);
    const double start = sx_clock();
    while (sx_clock() - start < work_s && sx_run_busy(s->run)) {
        struct pollfd fd = {.fd = sx_run_wake_fd(s->run), .events = POLLIN};
        poll(&fd, 1, 5);
        sx_run_apply(s->run);
    }
    cr_assert(sx_run_busy(s->run), "%s is over already: %s", line, s->session->message);
    const double asked = sx_clock();
    sx_run_cancel_all(s->run);
    sx_run_wait_idle(s->run);
    return sx_clock() - asked;
}

Test(model_session, a_cancel_is_seen_soon, .timeout = 110)
{
    enum { RESIDUES = 4000, TRIES = 3 };
    static const char *const lines[] = {"infer", "lens", "attend", "attention-map --layer 9",
                                        "contact-map"};
    const struct tiny_shape shape = {SX_MODEL_ESM2, 10, 320, 20, 1280, 33, 8};
    struct stage s = stage_new(shape);
    struct sx_str line = SX_STR_INIT;
    sx_str_append(&line, "input ");
    for (int i = 0; i < RESIDUES; i++)
        sx_str_append_char(&line, "LAGVSERTIDPKQNFYMHWC"[i * 7 % 20]);
    do_line(&s, line.data);
    sx_str_release(&line);
    cr_assert_eq(s.session->input.n, RESIDUES + 2, "%s", s.session->message);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        double best = INFINITY;
        for (int try = 0; try < TRIES && best >= LIMIT; try++)
            best = fmin(best, cancelled_after(&s, lines[i], 0.2));
        cr_assert_lt(best, LIMIT, "%s: %.3f s", lines[i], best);
    }
    cr_assert_eq(s.session->sequence.state, SX_STATE_FAILED);
    cr_assert_eq(s.session->sequence.error.status, SX_CANCELLED);
    cr_assert_eq(s.session->contacts.error.status, SX_CANCELLED);
    stage_free(&s);
}

Test(model_session, long_inputs_say_what_is_too_much)
{
    struct stage s = stage_new(tiny_esm2_shape);
    struct sx_str line = SX_STR_INIT;
    sx_str_append(&line, "input ");
    for (int i = 0; i < 5000; i++)
        sx_str_append_char(&line, 'A');
    do_line(&s, line.data);
    cr_assert_eq(s.session->input.state, SX_STATE_READY);
    do_line(&s, "attention-map");
    cr_assert_eq(s.session->map.state, SX_STATE_FAILED);
    cr_assert(strstr(s.session->map.error.message, "at most 4096"));
    do_line(&s, "contact-map");
    cr_assert_eq(s.session->contacts.state, SX_STATE_FAILED);
    do_line(&s, "attend --token 4999");
    cr_assert_eq(s.session->attention.state, SX_STATE_READY, "%s", s.session->message);
    for (int i = 0; i < 95000; i++)
        sx_str_append_char(&line, 'A');
    do_line(&s, line.data);
    cr_assert_eq(s.session->input.state, SX_STATE_FAILED);
    cr_assert(strstr(s.session->input.error.message, "100002 tokens"), "%s",
              s.session->input.error.message);
    sx_str_release(&line);
    stage_free(&s);
}
