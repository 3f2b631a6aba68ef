#include "model_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/text.h"
#include "sextant/model/names.h"
#include "sextant/run/command.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "view_parts.h"

/* --- the session, as a view asks it ------------------------------------------------------------
 */

const struct sx_entry *sx_selected_model(const struct sx_session *session)
{
    const size_t at = session->selection.model;

    if (at >= session->workspace.n_entries || !sx_entry_asked(&session->workspace.entries[at]))
        return NULL;
    return &session->workspace.entries[at];
}

bool sx_input_ready(const struct sx_session *session)
{
    const struct sx_input *input = &session->input;

    return sx_selected_model(session) && input->state == SX_STATE_READY &&
           input->model == session->selection.model && input->n > 0;
}

bool sx_is_protein(const struct sx_session *session)
{
    return session->input.info.family == SX_MODEL_ESM2;
}

static size_t inside(const struct sx_session *session, size_t token)
{
    const size_t n = session->input.n;
    return token < n ? token : n > 0 ? n - 1 : 0;
}

size_t sx_selected_token(const struct sx_session *session)
{
    return inside(session, session->selection.token);
}

size_t sx_selected_key(const struct sx_session *session)
{
    return inside(session, session->selection.key);
}

/* The first model, else the first stored run; n_entries: there is neither. */
static size_t first_asked(const struct sx_workspace *workspace)
{
    const size_t n = workspace->n_entries;
    size_t run = n;

    for (size_t i = 0; workspace->entries && i < n; i++) {
        const struct sx_entry *entry = &workspace->entries[i];
        if (entry->kind == SX_ENTRY_MODEL)
            return i;
        if (run == n && sx_entry_asked(entry))
            run = i;
    }
    return run;
}

bool sx_need_input(const struct sx_session *session, struct sx_emit *emit)
{
    const struct sx_workspace *workspace = &session->workspace;

    if (!sx_selected_model(session)) {
        const size_t found = first_asked(workspace);
        if (found < workspace->n_entries)
            sx_emit_line(emit, "select --model %zu", found);
        return false;
    }
    if (session->input.state == SX_STATE_EMPTY || session->input.model != session->selection.model)
        sx_emit_line(emit, "input");
    return sx_input_ready(session);
}

bool sx_need_weights(const struct sx_session *session, struct sx_emit *emit)
{
    return sx_need_input(session, emit) && !session->input.run;
}

bool sx_is_answer(const struct sx_session *session)
{
    return session->input.line != NULL;
}

bool sx_slot_wanted(const struct sx_session *session, enum sx_slot_state state, uint64_t serial)
{
    return sx_input_ready(session) && (state == SX_STATE_EMPTY || serial != session->input.serial);
}

bool sx_slot_current(const struct sx_session *session, enum sx_slot_state state, uint64_t serial)
{
    return sx_input_ready(session) && state == SX_STATE_READY && serial == session->input.serial;
}

/* The job that made what is shown; of a stored run or answer the file, which tells its line. */
static void go_to_run(const struct sx_session *session, struct sx_emit *emit)
{
    if (session->input.run) {
        sx_emit_line(emit, "select --entry %zu", session->input.model);
        sx_emit_line(emit, "view workspace");
    } else {
        sx_emit_line(emit, "view jobs");
    }
}

bool sx_input_request(const struct sx_session *session, const struct sx_view_request *request,
                      struct sx_emit *emit)
{
    struct sx_str line = SX_STR_INIT;
    const bool fasta = strcmp(request->name, "ask-fasta") == 0;

    if (strcmp(request->name, "again") == 0 && sx_selected_model(session) &&
        !sx_input_ready(session)) {
        sx_emit_line(emit, "input");
        return true;
    }
    if (strcmp(request->name, "made") == 0) {
        go_to_run(session, emit);
        return true;
    }
    if (!fasta && strcmp(request->name, "ask-input") != 0)
        return false;
    if (!sx_selected_model(session)) {
        sx_emit_line(emit, "message no model is selected; open one in the workspace (1)");
        return true;
    }
    if (!request->text || !*request->text)
        return true;
    sx_str_append(&line, fasta ? "input --fasta " : "input ");
    sx_command_quote(request->text, &line);
    sx_emit_line(emit, "%s", line.data);
    sx_str_release(&line);
    return true;
}

/* --- notices ------------------------------------------------------------------------------------
 */

bool sx_input_notice(struct sx_canvas *cv, const struct sx_session *session, const char *title)
{
    if (sx_input_ready(session))
        return false;
    struct sx_canvas body = sx_frame(cv, title, NULL, true);
    if (!sx_selected_model(session)) {
        sx_slot_notice(&body, SX_STATE_EMPTY, NULL, "",
                       "No model is selected. Press 1 and Enter for the workspace and open one "
                       "there; :open PATH looks elsewhere for ESM-2 and GPT-NeoX.");
        return true;
    }
    if (session->input.state == SX_STATE_FAILED && session->input.error.status != SX_CANCELLED) {
        char text[sizeof session->input.error.message + 64];
        snprintf(text, sizeof text, "%s\n\ni types another input, r takes the built-in example.",
                 session->input.error.message);
        struct sx_canvas inner =
            sx_canvas_sub(&body, (struct sx_rect){2, 1, body.w - 4, body.h - 1});
        sx_paragraph(&inner, 0, SX_STYLE_BAD, text);
        return true;
    }
    sx_slot_notice(&body,
                   session->input.state == SX_STATE_READY ? SX_STATE_EMPTY : session->input.state,
                   &session->input.error, "opening the model …",
                   "Nothing to look at yet: i types "
                   "an input.");
    return true;
}

/* An answer of the model alone has no tokens. */
static bool answer_selected(const struct sx_session *session)
{
    return sx_selected_model(session) && sx_is_answer(session) &&
           session->input.state == SX_STATE_READY &&
           session->input.model == session->selection.model;
}

static void answer_notice(struct sx_canvas *body, const struct sx_session *session)
{
    char text[1024];

    snprintf(text, sizeof text,
             "%s holds the answer of this command alone:\n\n%.600s\n\nTo ask something else, open "
             "the model %s.",
             sx_selected_model(session)->label, session->input.line, session->input.info.name);
    struct sx_canvas inner = sx_canvas_sub(body, (struct sx_rect){2, 1, body->w - 4, body->h - 1});
    sx_paragraph(&inner, 0, SX_STYLE_TEXT, text);
}

bool sx_weights_notice(struct sx_canvas *cv, const struct sx_session *session, const char *title,
                       bool kept)
{
    const struct sx_entry *entry = sx_selected_model(session);
    char text[512];

    if (kept && session->input.run)
        return false;
    if (answer_selected(session)) {
        struct sx_canvas body = sx_frame(cv, title, NULL, true);
        answer_notice(&body, session);
        return true;
    }
    if (sx_input_notice(cv, session, title))
        return true;
    if (!session->input.run)
        return false;
    struct sx_canvas body = sx_frame(cv, title, NULL, true);
    snprintf(text, sizeof text,
             "%s holds no weights; open the model %s. Of a stored run, sequence (s) and attention "
             "(a) show what it kept.",
             entry->label, session->input.info.name);
    sx_slot_notice(&body, SX_STATE_EMPTY, NULL, "", text);
    return true;
}

bool sx_result_notice(struct sx_canvas *cv, const struct sx_session *session,
                      enum sx_slot_state state, uint64_t serial, const struct sx_error *error,
                      const char *pending)
{
    if (sx_slot_current(session, state, serial))
        return false;
    if (sx_is_answer(session)) {
        answer_notice(cv, session);
        return true;
    }
    if (serial != session->input.serial || state == SX_STATE_EMPTY)
        state = SX_STATE_PENDING;
    return sx_slot_notice(cv, state, error, pending, "");
}

/* --- moving -------------------------------------------------------------------------------------
 */

void sx_select_token(const struct sx_session *session, size_t token, struct sx_emit *emit)
{
    if (token != session->selection.token && token < session->input.n)
        sx_emit_line(emit, "select --token %zu", token);
}

void sx_select_key(const struct sx_session *session, size_t key, struct sx_emit *emit)
{
    if (key != session->selection.key && key < session->input.n)
        sx_emit_line(emit, "select --key %zu", key);
}

bool sx_token_of_text(const struct sx_session *session, const char *text, size_t *token,
                      struct sx_emit *emit)
{
    char *end;
    const unsigned long long at = strtoull(text, &end, 10);

    if (end != text && *end == '\0' && text[strspn(text, " ")] != '-' && at < session->input.n) {
        *token = (size_t)at;
        return true;
    }
    sx_emit_line(emit, "message there are tokens 0 to %zu", session->input.n - 1);
    return false;
}

/* --- words --------------------------------------------------------------------------------------
 */

const char *sx_quoted_token(char buf[SX_POSITION_TEXT], const struct sx_session *session,
                            const char *text)
{
    snprintf(buf, SX_POSITION_TEXT, sx_is_protein(session) ? "%s" : "\"%s\"", text);
    return buf;
}

const char *sx_position_text(char buf[SX_POSITION_TEXT], const struct sx_session *session,
                             size_t token)
{
    const struct sx_input *input = &session->input;

    if (token >= input->n)
        snprintf(buf, SX_POSITION_TEXT, "–");
    else if (!sx_is_protein(session))
        snprintf(buf, SX_POSITION_TEXT, "%zu \"%s\"", token, input->tokens[token].text);
    else if (strcmp(input->tokens[token].text, "<mask>") == 0)
        snprintf(buf, SX_POSITION_TEXT, "<mask>%zu", token);
    else if (input->tokens[token].text[0] == '<')
        snprintf(buf, SX_POSITION_TEXT, "%s", input->tokens[token].text);
    else
        snprintf(buf, SX_POSITION_TEXT, "%s%zu", input->tokens[token].text, token);
    return buf;
}

const char *sx_probability_text(char *buf, size_t size, double p, bool ascii)
{
    if (isnan(p))
        snprintf(buf, size, "–");
    else if (p >= 0.0005 || p <= 0)
        sx_fraction(buf, size, p, 3, ascii);
    else
        snprintf(buf, size, "%.0e", p);
    return buf;
}

void sx_title_of_input(const struct sx_view *view, const struct sx_session *session,
                       struct sx_str *out)
{
    const struct sx_entry *entry = sx_selected_model(session);

    /* A file that was opened alone stands before it already. */
    if (entry && entry->kind == SX_ENTRY_RUN && session->workspace.n_entries > 1)
        sx_str_printf(out, "%s ▸ ", entry->label);
    else if (entry)
        sx_str_printf(out, "%s ▸ ", entry->model.name ? entry->model.name : entry->label);
    if (sx_input_ready(session) && session->input.title)
        sx_str_printf(out, "%s ▸ ", session->input.title);
    sx_str_append(out, view->ops->name);
}

void sx_row_token(struct sx_value *row, const struct sx_session *session, size_t token)
{
    const struct sx_input *input = &session->input;
    const bool residue = sx_is_protein(session) && input->tokens[token].text[0] != '<';

    sx_value_set(row, "position", sx_value_int((int64_t)token));
    sx_value_set(row, "residue", residue ? sx_value_int((int64_t)token) : sx_value_null());
    sx_value_set(row, "token", sx_value_string(input->tokens[token].text));
}

/* --- the facts of a model -----------------------------------------------------------------------
 */

const char *sx_model_shape_text(char *buf, size_t size, const struct sx_model_info *info)
{
    snprintf(buf, size, "%lluL %llud %lluh", (unsigned long long)info->n_layers,
             (unsigned long long)info->d_model, (unsigned long long)info->n_heads);
    return buf;
}

const char *sx_count_text(char *buf, size_t size, uint64_t n)
{
    static const char *const unit[] = {"", " k", " M", " G"};
    double value = (double)n;
    size_t u = 0;

    while (value >= 1000 && u + 1 < sizeof unit / sizeof *unit) {
        value /= 1000;
        u++;
    }
    snprintf(buf, size, u > 0 && value < 100 ? "%.1f%s" : "%.0f%s", value, unit[u]);
    return buf;
}

enum { FACT_LABEL = 15 };

static int fact(struct sx_canvas *cv, int y, const char *label, enum sx_style style,
                const char *value)
{
    if (y >= cv->h)
        return y;
    sx_put(cv, 2, y, SX_STYLE_LABEL, label);
    sx_put_cut(cv, 2 + FACT_LABEL, y, cv->w - FACT_LABEL - 3, style, value);
    return y + 1;
}

/* Tokens that one turn of a rotary band takes. */
static double band_period(const struct sx_model_info *info, uint64_t band)
{
    const double theta = info->rope_theta > 0 ? info->rope_theta : 10000;
    return 2 * 3.14159265358979323846 *
           pow(theta, (double)band / (double)(info->n_bands > 0 ? info->n_bands : 1));
}

static int draw_bands(struct sx_canvas *cv, int y, const struct sx_model_info *info)
{
    char text[256] = "", one[16];
    size_t used = 0;

    if (info->n_bands == 0)
        return y;
    snprintf(text, sizeof text, "%llu of %s", (unsigned long long)info->n_bands,
             info->stored_frequencies ? "stored frequencies" : "computed frequencies");
    y = fact(cv, y, "rotary bands", SX_STYLE_TEXT, text);
    text[0] = '\0';
    for (uint64_t b = 0; b < info->n_bands && used + 16 < sizeof text; b++) {
        const double period = band_period(info, b);
        if (period < 999.5)
            snprintf(one, sizeof one, "%.3g", period);
        else if (period < 9950)
            snprintf(one, sizeof one, "%.0f", 10 * round(period / 10));
        else
            snprintf(one, sizeof one, "%.0fk", period / 1000);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", b ? " " : "", one);
    }
    if (y < cv->h) {
        struct sx_canvas rest = sx_canvas_sub(
            cv, (struct sx_rect){2 + FACT_LABEL, y, cv->w - FACT_LABEL - 3, cv->h - y});
        sx_put(cv, 2, y, SX_STYLE_LABEL, "periods");
        strncat(text, " tokens", sizeof text - strlen(text) - 1);
        y += sx_paragraph(&rest, 0, SX_STYLE_NUMBER, text);
    }
    return y;
}

static int draw_heads(struct sx_canvas *cv, int y, const struct sx_model_info *info)
{
    const char *tokenizer = info->family == SX_MODEL_ESM2 ? "built in" : "tokenizer.json";

    y = fact(cv, y, "tokenizer", info->has_tokenizer ? SX_STYLE_TEXT : SX_STYLE_WARN,
             info->has_tokenizer ? tokenizer : "none: tokenizer.json is missing");
    if (!info->has_lm_head)
        y = fact(cv, y, "head", SX_STYLE_WARN, "none: no logits");
    if (info->family == SX_MODEL_ESM2)
        y = fact(cv, y, "contact head", SX_STYLE_TEXT, info->has_contact_head ? "yes" : "no");
    return y;
}

int sx_draw_model_facts(struct sx_canvas *cv, int y, const struct sx_model_info *info)
{
    char text[160], a[32], b[SX_SHORT_TEXT];

    snprintf(text, sizeof text, "%s, as %s writes it", sx_model_family_name(info->family),
             sx_model_format_name(info->format));
    y = fact(cv, y, "family", SX_STYLE_TEXT, text);
    snprintf(text, sizeof text, "%llu layers, %llu heads of %llu",
             (unsigned long long)info->n_layers, (unsigned long long)info->n_heads,
             (unsigned long long)info->d_head);
    y = fact(cv, y, "attention", SX_STYLE_TEXT, text);
    snprintf(text, sizeof text, "%llu wide, MLP %llu, vocabulary %llu",
             (unsigned long long)info->d_model, (unsigned long long)info->d_mlp,
             (unsigned long long)info->vocab);
    y = fact(cv, y, "residual", SX_STYLE_TEXT, text);
    snprintf(text, sizeof text, "%s in %s, %s", sx_count_text(a, sizeof a, info->parameters),
             info->dtype, sx_bytes_text(b, info->bytes));
    y = fact(cv, y, "parameters", SX_STYLE_NUMBER, text);
    if (info->max_positions > 0) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)info->max_positions);
        y = fact(cv, y, "positions", SX_STYLE_NUMBER, text);
    }
    if (info->family == SX_MODEL_ESM2)
        y = fact(cv, y, "token dropout", SX_STYLE_TEXT, info->token_dropout ? "yes" : "no");
    else
        y = fact(cv, y, "residual form", SX_STYLE_TEXT,
                 info->parallel_residual ? "parallel: attention and MLP read the same"
                                         : "one after the other");
    y = draw_bands(cv, y, info);
    y = draw_heads(cv, y, info);
    for (size_t i = 0; i < info->n_warnings && y + 1 < cv->h; i++) {
        struct sx_canvas line =
            sx_canvas_sub(cv, (struct sx_rect){4, y + 1, cv->w - 5, cv->h - y - 1});
        sx_put(cv, 2, y + 1, SX_STYLE_WARN, "!");
        y += sx_paragraph(&line, 0, SX_STYLE_WARN, info->warnings[i]) + (i + 1 == info->n_warnings);
    }
    return y;
}

/* --- stored runs --------------------------------------------------------------------------------
 */

const char *sx_clean_value(char *buf, size_t size, const struct sx_value *text)
{
    const char *from = sx_value_string_or(text, "");
    sx_text_clean(buf, size, from, strlen(from));
    return buf;
}

/* "attn            F32 2×2×6×6" */
static int draw_tensor(struct sx_canvas *cv, int y, const struct sx_value *tensor)
{
    const struct sx_value *shape = sx_value_get(tensor, "shape");
    char sides[64] = "", name[64];
    size_t used = 0;

    for (size_t i = 0; i < sx_value_count(shape) && used + 24 < sizeof sides; i++)
        used += (size_t)snprintf(sides + used, sizeof sides - used, "%s%lld", i ? "×" : "",
                                 (long long)sx_value_int_or(sx_value_item(shape, i), 0));
    sx_put_cut(cv, 0, y, 16, SX_STYLE_TEXT,
               sx_clean_value(name, sizeof name, sx_value_get(tensor, "name")));
    sx_putf(cv, 18, y, SX_STYLE_NUMBER, "%s %s",
            sx_value_string_or(sx_value_get(tensor, "dtype"), ""), sides);
    return 1;
}

void sx_draw_run(struct sx_canvas *cv, const struct sx_value *run)
{
    static const char *const keys[] = {"line", "model", "fingerprint", "interventions", "tool"};
    const struct sx_value *tensors = sx_value_get(run, "tensors");
    int y = 0;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char text[512];
        if (!*sx_clean_value(text, sizeof text, sx_value_get(run, keys[i])))
            continue;
        sx_put(cv, 0, y, SX_STYLE_LABEL, keys[i]);
        struct sx_canvas part = sx_canvas_sub(cv, (struct sx_rect){14, y, cv->w - 14, cv->h - y});
        const int rows = sx_paragraph(&part, 0, SX_STYLE_TEXT, text);
        y += rows > 0 ? rows : 1;
    }
    y++;
    for (size_t i = 0; i < sx_value_count(tensors) && y < cv->h; i++)
        y += draw_tensor(cv, y, sx_value_item(tensors, i));
}
