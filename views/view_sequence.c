/* sequence: the input as it reads, coloured by how much the model is surprised, with what it
 * predicts under the cursor. Masks are set and removed here. */
#include "all_views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model_parts.h"
#include "sextant/run/command.h"
#include "sextant/tui/layout.h"
#include "sextant/tui/plot.h"
#include "sextant/tui/widgets.h"
#include "token_strip.h"
#include "view_parts.h"

struct sequence_state {
    struct sx_strip_state strip;
    char find[64];
};

/* Ends of the colour scale and where surprise begins, in bits: 20 residues take 4.3, a vocabulary
 * of words more. */
static const double RESIDUE_SCALE = 6, WORD_SCALE = 14, RESIDUE_SURPRISE = 4, WORD_SURPRISE = 8;
_Static_assert(SX_TOP_TOKENS <= 20, "draw_prediction has room for 20 guesses");
static const char RESIDUES[] = "LAGVSERTIDPKQNFYMHWC";
enum { N_RESIDUES = 20, FOOT = 3 };

static bool result_current(const struct sx_session *session)
{
    return sx_slot_current(session, session->sequence.state, session->sequence.serial);
}

static double surprising(const struct sx_session *session)
{
    return sx_is_protein(session) ? RESIDUE_SURPRISE : WORD_SURPRISE;
}

/* --- panes --------------------------------------------------------------------------------------
 */

static void panes_of(const struct sx_view *view, struct sx_rect pane[2])
{
    const struct sx_rect body = sx_body_rect(view);
    const int w = sx_layout_int(view, "pane", 40), h = sx_layout_int(view, "rows", 9);

    pane[0] = pane[1] = body;
    if (!sx_folded(view)) {
        pane[0].w = body.w - w - 1;
        pane[1].x = body.w - w;
        pane[1].w = w;
    } else {
        pane[1].h = body.h >= h + 6 ? h : 0;
        pane[0].h = body.h - pane[1].h;
        pane[1].y = pane[0].h;
        pane[1].w = pane[1].h > 0 ? body.w : 0;
    }
}

static struct sx_strip strip_of(const struct sx_session *session)
{
    return (struct sx_strip){
        .input = &session->input,
        .value = result_current(session) ? session->sequence.surprise : NULL,
        .hi = sx_is_protein(session) ? RESIDUE_SCALE : WORD_SCALE,
        .cursor = sx_selected_token(session),
        .other = SIZE_MAX,
        .focus = true,
    };
}

/* --- the tokens ---------------------------------------------------------------------------------
 */

struct sums {
    double all, masked; /* mean surprise, bits; NAN: none */
    size_t n_masked;
};

static bool counted(const struct sx_session *session, size_t t)
{
    return !isnan(session->sequence.surprise[t]) &&
           !(sx_is_protein(session) && session->input.tokens[t].text[0] == '<');
}

static struct sums sums_of(const struct sx_session *session)
{
    struct sums s = {0};
    size_t n = 0, of_masked = 0;

    for (size_t t = 0; t < session->input.n; t++) {
        s.n_masked += session->input.masked[t];
        if (!result_current(session) || !counted(session, t))
            continue;
        s.all += (double)session->sequence.surprise[t];
        n++;
        if (session->input.masked[t]) {
            s.masked += (double)session->sequence.surprise[t];
            of_masked++;
        }
    }
    s.all = n > 0 ? s.all / (double)n : NAN;
    s.masked = of_masked > 0 ? s.masked / (double)of_masked : NAN;
    return s;
}

static void draw_summary(struct sx_canvas *cv, int y, const struct sx_session *session)
{
    const struct sums s = sums_of(session);
    const bool protein = sx_is_protein(session);
    char text[SX_SHORT_TEXT];
    int x = 1;

    if (!isnan(s.all)) {
        snprintf(text, sizeof text, "%.2f bits", s.all);
        x = sx_label_value(cv, x, y, "mean", SX_STYLE_NUMBER, text);
        snprintf(text, sizeof text, protein ? "%.2f, one pass" : "%.2f", exp2(s.all));
        sx_label_value(cv, x, y, protein ? "pseudo-perplexity" : "perplexity", SX_STYLE_NUMBER,
                       text);
    }
}

/* Masks, where it was read from, and what the tokenizer did not know. */
static void draw_remarks(struct sx_canvas *cv, int y, const struct sx_session *session)
{
    const struct sums s = sums_of(session);
    char text[SX_SHORT_TEXT];
    int x = 1;

    if (s.n_masked > 0) {
        snprintf(text, sizeof text, isnan(s.masked) ? "%zu" : "%zu, mean %.2f bits", s.n_masked,
                 s.masked);
        x = sx_label_value(cv, x, y, "masked", SX_STYLE_STRONG, text);
    }
    if (session->input.fasta) {
        const char *name = strrchr(session->input.fasta, '/');
        snprintf(text, sizeof text, "%zu, ", session->input.record);
        x += sx_put(cv, x, y, SX_STYLE_LABEL, "record ");
        x += sx_put(cv, x, y, SX_STYLE_NUMBER, text);
        x += sx_put(cv, x, y, SX_STYLE_TEXT, name ? name + 1 : session->input.fasta) + 2;
    }
    if (session->input.n_unknown > 0)
        sx_putf(cv, x, y, SX_STYLE_WARN, "! %zu characters without a token",
                session->input.n_unknown);
}

static void draw_scale(struct sx_canvas *cv, int y, const struct sx_session *session)
{
    char seconds[SX_SHORT_TEXT];
    int x = 1 + sx_put(cv, 1, y, SX_STYLE_LABEL, "surprise ");

    sx_heat_scale(cv, x, y, 36, 0, strip_of(session).hi, false, "bits");
    if (!result_current(session) || session->input.run) /* no pass was run */
        return;
    snprintf(seconds, sizeof seconds, "%.3g ms", 1e3 * session->sequence.seconds);
    if (cv->w > 60)
        sx_put_right(cv, cv->w - 12, y, 11, SX_STYLE_DIM, seconds);
}

static void draw_tokens(struct sx_canvas *cv, const struct sx_view *view,
                        const struct sx_session *session)
{
    struct sequence_state *state = view->state;
    const struct sx_input *input = &session->input;
    const struct sx_strip strip = strip_of(session);
    char info[96], here[SX_POSITION_TEXT];

    if (result_current(session))
        snprintf(info, sizeof info, "%s of %zu", sx_position_text(here, session, strip.cursor),
                 sx_is_protein(session) && input->n >= 2 ? input->n - 2 : input->n);
    else
        snprintf(info, sizeof info, "%s",
                 session->sequence.state == SX_STATE_FAILED &&
                         session->sequence.serial == input->serial
                     ? session->sequence.error.status == SX_CANCELLED ? "cancelled: r asks again"
                                                                      : "failed"
                     : "predicting …");
    struct sx_canvas body = sx_frame(cv, input->title ? input->title : "input", info, true);
    const int foot = body.h > FOOT + 2 ? FOOT : 0;
    struct sx_canvas tokens = sx_canvas_sub(&body, (struct sx_rect){0, 0, body.w, body.h - foot});
    sx_strip_draw(&tokens, &strip, &state->strip);
    if (foot == 0)
        return;
    const int used = sx_strip_height(&strip, tokens.w);
    const int y = used < tokens.h ? used : tokens.h;
    draw_summary(&body, y, session);
    draw_scale(&body, y + 1, session);
    draw_remarks(&body, y + 2, session);
}

/* --- the prediction -----------------------------------------------------------------------------
 */

struct guess {
    const char *text;
    double p;
    bool original;
};

/* The 20 residues, most probable first. */
static int residue_guesses(const struct sx_session *session, size_t t, char (*letter)[2],
                           struct guess out[N_RESIDUES])
{
    const float *p = session->sequence.residues + t * N_RESIDUES;

    for (int i = 0; i < N_RESIDUES; i++) {
        int at = i;
        for (; at > 0 && out[at - 1].p < (double)p[i]; at--)
            out[at] = out[at - 1];
        letter[i][0] = RESIDUES[i];
        letter[i][1] = '\0';
        out[at] = (struct guess){letter[i], (double)p[i],
                                 session->input.tokens[t].text[0] == RESIDUES[i]};
    }
    return N_RESIDUES;
}

static int token_guesses(const struct sx_session *session, size_t t,
                         struct guess out[SX_TOP_TOKENS])
{
    const struct sx_sequence_data *data = &session->sequence;
    int n = 0;

    for (size_t k = t * SX_TOP_TOKENS; k < (t + 1) * SX_TOP_TOKENS && data->top[k] >= 0; k++)
        out[n++] = (struct guess){data->top_text[k].text, (double)data->top_p[k],
                                  data->top[k] == session->input.original[t]};
    return n;
}

/* A row: the token, its probability, a bar. The original has a mark behind its name. */
static void draw_guess(struct sx_canvas *cv, int x, int y, int width, int name_width,
                       const struct sx_session *session, const struct guess *guess)
{
    char name[SX_POSITION_TEXT], p[16];
    const enum sx_style style = guess->original ? SX_STYLE_STRONG : SX_STYLE_TEXT;
    const int bar = width - name_width - 9;

    sx_put_cut(cv, x, y, name_width, style, sx_quoted_token(name, session, guess->text));
    if (guess->original)
        sx_put_char(cv, x + name_width, y, SX_STYLE_HANDLE, sx_glyph(cv, SX_GLYPH_POINT_LEFT));
    sx_put_right(cv, x + name_width + 1, y, 6, SX_STYLE_NUMBER,
                 sx_probability_text(p, sizeof p, guess->p, sx_canvas_ascii(cv)));
    const int cells = bar > 0 ? (int)lround(guess->p * bar) : 0;
    sx_fill(cv, (struct sx_rect){x + name_width + 8, y, cells, 1}, SX_STYLE_BAR,
            sx_glyph_block(cv, 7));
}

/* In as many columns as are needed to show all. */
static void draw_guesses(struct sx_canvas *cv, int y, const struct sx_session *session,
                         const struct guess *guess, int n)
{
    const int rows = cv->h - y;

    if (rows <= 0 || n <= 0)
        return;
    int name = 2;
    for (int i = 0; i < n && !sx_is_protein(session); i++) {
        const int w = (int)strlen(guess[i].text) + 3;
        name = w > name ? w : name;
    }
    name = name > 18 ? 18 : name;
    const int least = name + 12;
    int columns = (n + rows - 1) / rows;
    columns = columns * least > cv->w - 1 ? (cv->w - 1) / least : columns;
    columns = columns < 1 ? 1 : columns;
    const int width = (cv->w - 1) / columns;
    for (int i = 0; i < n && i < rows * columns; i++)
        draw_guess(cv, 1 + i / rows * width, y + i % rows, width, name, session, &guess[i]);
}

static int draw_facts(struct sx_canvas *cv, const struct sx_session *session, size_t t)
{
    const struct sx_sequence_data *data = &session->sequence;
    const bool ascii = sx_canvas_ascii(cv);
    char text[64], name[SX_POSITION_TEXT];
    int x = 1;

    if (session->input.run && data->top[t * SX_TOP_TOKENS] < 0 && (t > 0 || sx_is_protein(session)))
        return sx_put(cv, 1, 0, SX_STYLE_DIM, "the run kept no logits of this token") > 0;
    if (sx_is_protein(session) && isnan(data->surprise[t])) {
        sx_put(cv, 1, 0, SX_STYLE_DIM, "typed as a mask: no residue is known here");
        snprintf(text, sizeof text, "%.2f bits", (double)data->entropy[t]);
        sx_label_value(cv, 1, 1, "entropy", SX_STYLE_NUMBER, text);
        return 2;
    }
    if (!sx_is_protein(session) && isnan(data->surprise[t])) {
        struct sx_canvas inner = sx_canvas_sub(cv, (struct sx_rect){1, 0, cv->w - 2, cv->h});
        return sx_paragraph(
            &inner, 0, SX_STYLE_DIM,
            "Nothing stands before the first token: the model does not predict it.");
    }
    sx_probability_text(text, sizeof text, exp2(-(double)data->surprise[t]), ascii);
    x += sx_putf(cv, x, 0, SX_STYLE_LABEL, "P(%s) ",
                 sx_quoted_token(name, session, session->input.tokens[t].text));
    x += sx_put(cv, x, 0, SX_STYLE_STRONG, text) + 2;
    snprintf(text, sizeof text, "%.2f bits", (double)data->surprise[t]);
    sx_put(cv, x, 0,
           (double)data->surprise[t] > surprising(session) ? SX_STYLE_WARN : SX_STYLE_NUMBER, text);
    x = 1;
    snprintf(text, sizeof text, "%.0f of %zu", (double)data->rank[t] + 1, data->vocab);
    x = sx_label_value(cv, x, 1, "rank", SX_STYLE_NUMBER, text);
    snprintf(text, sizeof text, "%.2f bits", (double)data->entropy[t]);
    sx_label_value(cv, x, 1, "entropy", SX_STYLE_NUMBER, text);
    return 2;
}

static void draw_prediction(struct sx_canvas *cv, const struct sx_session *session)
{
    const size_t t = sx_selected_token(session);
    const bool masked = session->input.masked[t];
    char title[96], here[SX_POSITION_TEXT], letter[N_RESIDUES][2];
    struct guess guess[N_RESIDUES]; /* enough for SX_TOP_TOKENS */

    snprintf(title, sizeof title, "prediction · %s", sx_position_text(here, session, t));
    struct sx_canvas body = sx_frame(cv, title,
                                     !sx_is_protein(session) ? NULL
                                     : masked                ? "masked"
                                                             : "seen",
                                     false);
    if (sx_result_notice(&body, session, session->sequence.state, session->sequence.serial,
                         &session->sequence.error, "predicting …"))
        return;
    const int y = draw_facts(&body, session, t);
    const bool residues = session->sequence.residues && session->input.tokens[t].text[0] != '<';
    const int n = session->sequence.top[t * SX_TOP_TOKENS] < 0 ? 0
                  : residues ? residue_guesses(session, t, letter, guess)
                             : token_guesses(session, t, guess);
    const int above = y + (body.h - y > 12);
    draw_guesses(&body, above, session, guess, n);
    if (residues && body.h > above + n)
        sx_put_cut(&body, 1, above + n, body.w - 2, SX_STYLE_DIM, "P over the 20 residues");
}

/* --- the screen ---------------------------------------------------------------------------------
 */

static void sequence_draw(const struct sx_view *view, const struct sx_session *session,
                          struct sx_canvas *canvas)
{
    struct sx_rect pane[2];

    if (sx_too_small(canvas, 24, 6) || sx_input_notice(canvas, session, "sequence"))
        return;
    panes_of(view, pane);
    struct sx_canvas left = sx_canvas_sub(canvas, pane[0]);
    draw_tokens(&left, view, session);
    if (pane[1].w > 0) {
        struct sx_canvas right = sx_canvas_sub(canvas, pane[1]);
        draw_prediction(&right, session);
    }
    sx_pane_divider(canvas, pane);
}

static size_t sequence_followers(const struct sx_view *view, const struct sx_session *session,
                                 struct sx_rect out[SX_FOLLOWERS])
{
    struct sx_rect pane[2];

    panes_of(view, pane);
    out[0] = pane[1];
    return sx_input_ready(session) && pane[1].w > 0;
}

static void sequence_need(struct sx_view *view, const struct sx_session *session,
                          struct sx_emit *emit)
{
    (void)view;
    if (sx_need_input(session, emit) &&
        sx_slot_wanted(session, session->sequence.state, session->sequence.serial))
        sx_emit_line(emit, "infer");
}

/* --- requests -----------------------------------------------------------------------------------
 */

static bool matches(const struct sx_input *input, size_t t, const char *find)
{
    const char *text = input->tokens[t].text;

    text += text[0] == ' ' && find[0] != ' ';
    while (*find) {
        if (*text == '\0') {
            if (++t >= input->n)
                return false;
            text = input->tokens[t].text;
            if (*text == '\0')
                return false;
        }
        if ((*text | 0x20) != (*find | 0x20))
            return false;
        text++;
        find++;
    }
    return true;
}

/* The next hit of the search or, without one, the next surprising token. */
static void find_next(const struct sequence_state *state, const struct sx_session *session,
                      int step, struct sx_emit *emit)
{
    const size_t n = session->input.n, from = sx_selected_token(session);
    const bool searching = *state->find != '\0';

    for (size_t tried = 1; tried <= n; tried++) {
        const size_t t = (from + (step > 0 ? tried : n - tried)) % n;
        const bool hit = searching
                             ? matches(&session->input, t, state->find)
                             : result_current(session) && counted(session, t) &&
                                   (double)session->sequence.surprise[t] > surprising(session);
        if (!hit)
            continue;
        sx_select_token(session, t, emit);
        return;
    }
    if (searching)
        sx_emit_line(emit, "message not found: %s", state->find);
    else
        sx_emit_line(emit, "message no token surprises by more than %g bits", surprising(session));
}

static bool search_request(struct sequence_state *state, const struct sx_session *session,
                           const struct sx_view_request *request, struct sx_emit *emit)
{
    if (strcmp(request->name, "search") == 0) {
        snprintf(state->find, sizeof state->find, "%s", request->text ? request->text : "");
        if (*state->find)
            find_next(state, session, 1, emit);
    } else if (strcmp(request->name, "search-next") == 0) {
        find_next(state, session, 1, emit);
    } else if (strcmp(request->name, "search-previous") == 0) {
        find_next(state, session, -1, emit);
    } else {
        return false;
    }
    return true;
}

/* The record behind or before this one of the same file. */
static bool record_request(const struct sx_session *session, const char *name, struct sx_emit *emit)
{
    const struct sx_input *input = &session->input;
    const bool next = strcmp(name, "record-next") == 0;
    struct sx_str path = SX_STR_INIT;

    if (!next && strcmp(name, "record-previous") != 0)
        return false;
    if (!input->fasta && input->n_records < 2) {
        sx_emit_line(emit, "message the input is no record of a FASTA file; f opens one");
        return true;
    }
    if (input->fasta) {
        sx_str_append(&path, " --fasta ");
        sx_command_quote(input->fasta, &path);
    }
    if (next && input->state == SX_STATE_READY && input->last_record)
        sx_emit_line(emit, "message record %zu is the last one", input->record);
    else if (!next && input->record <= 1)
        sx_emit_line(emit, "message this is the first record");
    else
        sx_emit_line(emit, "input%s --record %zu", path.data ? path.data : "",
                     next ? input->record + 1 : input->record - 1);
    sx_str_release(&path);
    return true;
}

/* Masks and contacts are ESM-2's. */
static bool sequence_offers(const struct sx_view *view, const struct sx_session *session,
                            const char *request)
{
    const bool of_proteins = strcmp(request, "mark") == 0 || strcmp(request, "mask-clear") == 0 ||
                             strcmp(request, ":view contacts") == 0;

    (void)view;
    if (strcmp(request, "record-next") == 0)
        return session->input.fasta != NULL || session->input.n_records > 1;
    return !of_proteins || !sx_input_ready(session) || sx_is_protein(session);
}

static void mask_request(const struct sx_session *session, bool clear, struct sx_emit *emit)
{
    if (!sx_is_protein(session))
        sx_emit_line(emit, "message masks are ESM-2's; GPT-NeoX predicts from what stands before");
    else if (!clear)
        sx_emit_line(emit, "mask --token %zu", sx_selected_token(session));
    else if (sums_of(session).n_masked > 0)
        sx_emit_line(emit, "mask --clear");
    else
        sx_emit_line(emit, "message nothing is masked; Space masks the residue under the cursor");
}

static bool click_request(struct sx_view *view, const struct sx_session *session,
                          const struct sx_view_request *request, struct sx_emit *emit)
{
    struct sequence_state *state = view->state;
    const struct sx_strip strip = strip_of(session);
    struct sx_rect pane[2];

    panes_of(view, pane);
    if (sx_pane_at(pane, 1, request->x, request->y) != 0)
        return true;
    const size_t t = sx_strip_at(&strip, &state->strip, pane[0].w, request->x - pane[0].x,
                                 request->y - pane[0].y - 1);
    if (t != SIZE_MAX)
        sx_select_token(session, t, emit);
    return true;
}

static bool sequence_request(struct sx_view *view, const struct sx_session *session,
                             const struct sx_view_request *request, struct sx_emit *emit)
{
    struct sequence_state *state = view->state;
    const char *name = request->name;
    struct sx_rect pane[2];

    if (sx_input_request(session, request, emit) || record_request(session, name, emit))
        return true;
    if (!sx_input_ready(session))
        return false;
    if (search_request(state, session, request, emit))
        return true;
    if (strcmp(name, "mark") == 0 || strcmp(name, "mask-clear") == 0) {
        mask_request(session, name[4] == '-', emit);
    } else if (strcmp(name, "again") == 0) {
        sx_emit_line(emit, "infer");
    } else if (strcmp(name, "open") == 0) {
        sx_emit_line(emit, "view attention");
    } else if (strcmp(name, "click") == 0) {
        return click_request(view, session, request, emit);
    } else {
        const struct sx_strip strip = strip_of(session);
        size_t token = strip.cursor;
        panes_of(view, pane);
        if (!sx_strip_request(&strip, &state->strip, pane[0].w, name, request->count, &token))
            return false;
        sx_select_token(session, token, emit);
    }
    emit->dirty = true;
    return true;
}

/* --- as data ------------------------------------------------------------------------------------
 */

static void add_distribution(struct sx_value *row, const struct sx_session *session, size_t t)
{
    const struct sx_sequence_data *data = &session->sequence;
    struct sx_value *top = sx_value_set(row, "top", sx_value_list());

    for (size_t k = t * SX_TOP_TOKENS; k < (t + 1) * SX_TOP_TOKENS && data->top[k] >= 0; k++) {
        struct sx_value *one = sx_value_append(top, sx_value_map());
        sx_value_set(one, "token", sx_value_string(data->top_text[k].text));
        sx_row_real(one, "p", (double)data->top_p[k]);
    }
    if (!data->residues)
        return;
    struct sx_value *p20 = sx_value_set(row, "p20", sx_value_map());
    for (size_t i = 0; i < N_RESIDUES; i++) {
        const char letter[2] = {RESIDUES[i], '\0'};
        sx_row_real(p20, letter, (double)data->residues[t * N_RESIDUES + i]);
    }
}

static struct sx_value *sequence_data(const struct sx_view *view, const struct sx_session *session)
{
    struct sx_value *document;
    struct sx_value *rows = sx_rows_document(&document);

    (void)view;
    if (!result_current(session))
        return document;
    const struct sums s = sums_of(session);
    sx_row_real(document, "mean_surprise_bits", s.all);
    sx_value_set(document, "masked", sx_value_int((int64_t)s.n_masked));
    for (size_t t = 0; t < session->input.n; t++) {
        struct sx_value *row = sx_value_append(rows, sx_value_map());
        sx_row_token(row, session, t);
        sx_value_set(row, "masked", sx_value_bool(session->input.masked[t]));
        sx_row_real(row, "surprise_bits", (double)session->sequence.surprise[t]);
        sx_row_real(row, "entropy_bits", (double)session->sequence.entropy[t]);
        sx_row_real(row, "rank", (double)session->sequence.rank[t] + 1);
        add_distribution(row, session, t);
    }
    return document;
}

static const struct sx_key_binding keys[] = {
    {"sequence", "Space", "mark", "mask", "Mask the residue, or show it again.", "Sequence"},
    {"sequence", "m", "mark", NULL, "Mask the residue, or show it again.", "Sequence"},
    {"sequence", "M", "mask-clear", "unmask all", "Remove all masks.", "Sequence"},
    {"sequence", "n", "search-next", "surprise",
     "The next surprise (4 bits; words: 8), or the next hit.", "Sequence"},
    {"sequence", "N", "search-previous", NULL, "The one before.", "Sequence"},
    {"sequence", "i", "ask-input", "input", "Type another sequence or prompt.", "Sequence"},
    {"sequence", "e", "ask-input", NULL, "Type another sequence or prompt.", "Sequence"},
    {"sequence", "f", "ask-fasta", "FASTA", "The first sequence of a FASTA file.", "Sequence"},
    {"sequence", ")", "record-next", "record", "The next record of the FASTA file.", "Sequence"},
    {"sequence", "(", "record-previous", NULL, "The record before.", "Sequence"},
    {"sequence", "L", ":view lens", "lens", "Layer by layer: the logit lens.", "Sequence"},
    {"sequence", "Enter", "open", "attention", "Where the heads look from this token.", "Sequence"},
    {"sequence", "a", ":view attention", NULL, "Where the heads look from this token.", "Sequence"},
    {"sequence", "c", ":view contacts", "contacts", "The contact map.", "Sequence"},
    {"sequence", "b", ":view bands", "bands", "The scores of this query in rotary bands.",
     "Sequence"},
    {"sequence", "d", ":view circuit", "circuit", "What this token's logit is made of.",
     "Sequence"},
    {"sequence", "p", ":view patching", NULL, "What changes when heads and tokens change.",
     "Sequence"},
    {"sequence", "r", "again", NULL, "Predict again.", "Sequence"},
};

const struct sx_view_ops sx_view_sequence = {
    .name = "sequence",
    .help = "the input by surprise, masks, and what the model predicts",
    .key = 's',
    .depends = 1u << SX_SLOT_WORKSPACE | 1u << SX_SLOT_SELECTION | 1u << SX_SLOT_INPUT |
               1u << SX_SLOT_SEQUENCE,
    .n_panes = 1,
    .state_size = sizeof(struct sequence_state),
    .keys = keys,
    .n_keys = sizeof keys / sizeof *keys,
    .need = sequence_need,
    .draw = sequence_draw,
    .followers = sequence_followers,
    .request = sequence_request,
    .offers = sequence_offers,
    .title = sx_title_of_input,
    .data = sequence_data,
};
