/* Regular expressions for lists, and the filter language of the features table. A filter is parsed
 * into a postfix program; one walk over it with a small stack judges a latent. */
#include "sextant/run/search.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"

/* --- text ---------------------------------------------------------------------------------------
 */

/* Enough for any honest pattern on a line of text, and under a millisecond. */
enum { MATCH_LIMIT = 20000, DEPTH_LIMIT = 2000, HEAP_LIMIT_KIB = 1024 };

struct sx_search {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

enum sx_status sx_search_new(const char *pattern, struct sx_search **search, struct sx_error *err)
{
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
    bool upper = false;
    for (const char *c = pattern; *c; c++)
        upper |= isupper((unsigned char)*c) != 0;
    if (!upper)
        options |= PCRE2_CASELESS;
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &offset, NULL);
    if (!compiled) {
        PCRE2_UCHAR why[128] = "";
        pcre2_get_error_message(code, why, sizeof why);
        return sx_fail(err, SX_ERR_USAGE, "search, column %zu: %s", (size_t)offset + 1,
                       (const char *)why);
    }
    struct sx_search *made = sx_xcalloc(1, sizeof *made);
    made->code = compiled;
    made->data = pcre2_match_data_create_from_pattern(compiled, NULL);
    made->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(made->context, MATCH_LIMIT);
    pcre2_set_depth_limit(made->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(made->context, HEAP_LIMIT_KIB);
    *search = made;
    return SX_OK;
}

bool sx_search_matches(const struct sx_search *search, const char *text)
{
    return pcre2_match(search->code, (PCRE2_SPTR)text, strlen(text), 0, 0, search->data,
                       search->context) >= 0;
}

void sx_search_free(struct sx_search *search)
{
    if (!search)
        return;
    pcre2_match_context_free(search->context);
    pcre2_match_data_free(search->data);
    pcre2_code_free(search->code);
    sx_free(search);
}

/* --- filter: words ------------------------------------------------------------------------------
 */

enum field {
    FIELD_LATENT,
    FIELD_ALIGN,
    FIELD_ENC_NORM,
    FIELD_DEC_NORM,
    FIELD_SIM,
    FIELD_SIM_ENC,
    FIELD_MARGIN,
    FIELD_PARTNERS,
};

enum word {
    WORD_ALIVE,
    WORD_DEAD,
    WORD_MARKED,
    WORD_ORPHAN,
    WORD_ALWAYS,
    WORD_SOMETIMES,
    WORD_NEVER,
};

static const struct {
    const char *name;
    int field; /* -1: a word */
    int word;
} names[] = {
    {"latent", FIELD_LATENT, 0},
    {"align", FIELD_ALIGN, 0},
    {"enc", FIELD_ENC_NORM, 0},
    {"enc-norm", FIELD_ENC_NORM, 0},
    {"dec", FIELD_DEC_NORM, 0},
    {"dec-norm", FIELD_DEC_NORM, 0},
    {"sim", FIELD_SIM, 0},
    {"similarity", FIELD_SIM, 0},
    {"sim-enc", FIELD_SIM_ENC, 0},
    {"margin", FIELD_MARGIN, 0},
    {"partners", FIELD_PARTNERS, 0},
    {"alive", -1, WORD_ALIVE},
    {"dead", -1, WORD_DEAD},
    {"marked", -1, WORD_MARKED},
    {"orphan", -1, WORD_ORPHAN},
    {"always", -1, WORD_ALWAYS},
    {"sometimes", -1, WORD_SOMETIMES},
    {"never", -1, WORD_NEVER},
};

enum { N_NAMES = sizeof names / sizeof names[0] };

const char *sx_filter_help(void)
{
    return "Words: alive dead marked orphan always sometimes never. Numbers: latent align enc dec "
           "sim sim-enc margin partners, compared by < <= > >= = !=. A number alone is a latent, "
           "100-199 a range of them. Joined by & (and), | (or), ! (not) and parentheses; words "
           "side by side mean and. Example: alive & sim>.5 & align<0.3";
}

/* --- filter: program ----------------------------------------------------------------------------
 */

enum op { OP_WORD, OP_COMPARE, OP_RANGE, OP_NOT, OP_AND, OP_OR };
enum comparison { LESS, LESS_EQUAL, MORE, MORE_EQUAL, EQUAL, NOT_EQUAL };

struct instruction {
    enum op op;
    int subject; /* word or field */
    enum comparison comparison;
    double low, high; /* operand in low; both for a range of latents */
};

enum { MAX_PROGRAM = 256, MAX_DEPTH = 32 };

struct sx_filter {
    struct instruction program[MAX_PROGRAM];
    size_t n;
};

struct parser {
    const char *text, *at;
    struct sx_filter *filter;
    int depth;
    struct sx_error *err;
};

static enum sx_status parse_or(struct parser *p);

static SX_PRINTF(3, 4) enum sx_status
    fail_at(struct parser *p, const char *where, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return sx_fail(p->err, SX_ERR_USAGE, "filter, column %d: %s", (int)(where - p->text) + 1, text);
}

static void skip_space(struct parser *p)
{
    while (isspace((unsigned char)*p->at))
        p->at++;
}

static enum sx_status emit(struct parser *p, struct instruction instruction)
{
    if (p->filter->n == MAX_PROGRAM)
        return fail_at(p, p->at, "too long");
    p->filter->program[p->filter->n++] = instruction;
    return SX_OK;
}

static bool read_number(struct parser *p, double *out)
{
    const char *c = p->at;
    if (*c == '-' || *c == '+')
        c++;
    /* strtod would take "nan", "inf" and hexadecimal as well. */
    if (!isdigit((unsigned char)*c) && !(*c == '.' && isdigit((unsigned char)c[1])))
        return false;
    if (c[0] == '0' && (c[1] == 'x' || c[1] == 'X'))
        return false;
    char *end;
    *out = strtod(p->at, &end);
    p->at = end;
    return true;
}

static bool read_comparison(struct parser *p, enum comparison *out)
{
    static const struct {
        const char *text;
        enum comparison comparison;
    } table[] = {
        {"<=", LESS_EQUAL}, {">=", MORE_EQUAL}, {"!=", NOT_EQUAL}, {"==", EQUAL}, {"≤", LESS_EQUAL},
        {"≥", MORE_EQUAL},  {"<", LESS},        {">", MORE},       {"=", EQUAL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const size_t len = strlen(table[i].text);
        if (strncmp(p->at, table[i].text, len) == 0) {
            p->at += len;
            *out = table[i].comparison;
            return true;
        }
    }
    return false;
}

static enum sx_status parse_name(struct parser *p)
{
    const char *start = p->at;
    size_t len = 0;
    while (isalpha((unsigned char)start[len]) || start[len] == '-' || start[len] == '_')
        len++;
    char name[32] = "";
    for (size_t i = 0; i < len && i + 1 < sizeof name; i++)
        name[i] = start[i] == '_' ? '-' : (char)tolower((unsigned char)start[i]);
    size_t found = 0;
    while (found < N_NAMES && strcmp(names[found].name, name) != 0)
        found++;
    if (found == N_NAMES)
        return fail_at(p, start, "'%.*s' is no word of the filter language", (int)len, start);
    p->at += len;
    if (names[found].field < 0)
        return emit(p, (struct instruction){.op = OP_WORD, .subject = names[found].word});
    struct instruction compare = {.op = OP_COMPARE, .subject = names[found].field};
    skip_space(p);
    if (!read_comparison(p, &compare.comparison))
        return fail_at(p, p->at, "expected < <= > >= = or != after %s", name);
    skip_space(p);
    if (!read_number(p, &compare.low))
        return fail_at(p, p->at, "expected a number");
    return emit(p, compare);
}

static enum sx_status parse_latents(struct parser *p)
{
    const char *start = p->at;
    struct instruction range = {.op = OP_RANGE};
    if (!read_number(p, &range.low) || range.low < 0 || range.low != floor(range.low))
        return fail_at(p, start, "expected a latent number");
    range.high = range.low;
    if (*p->at == '-') {
        p->at++;
        start = p->at;
        if (!read_number(p, &range.high) || range.high != floor(range.high))
            return fail_at(p, start, "expected a latent number");
    }
    return emit(p, range);
}

static enum sx_status parse_primary(struct parser *p)
{
    skip_space(p);
    const char *start = p->at;
    if (p->depth == MAX_DEPTH)
        return fail_at(p, start, "too many parentheses");
    if (*start == '!') {
        p->at++;
        p->depth++;
        SX_TRY(parse_primary(p));
        p->depth--;
        return emit(p, (struct instruction){.op = OP_NOT});
    }
    if (*start == '(') {
        p->at++;
        p->depth++;
        SX_TRY(parse_or(p));
        p->depth--;
        skip_space(p);
        if (*p->at != ')')
            return fail_at(p, start, "this parenthesis is not closed");
        p->at++;
        return SX_OK;
    }
    if (isdigit((unsigned char)*start))
        return parse_latents(p);
    if (isalpha((unsigned char)*start))
        return parse_name(p);
    if (!*start)
        return fail_at(p, start, "expected a word or a comparison");
    return fail_at(p, start, "'%c' does not belong here",
                   isprint((unsigned char)*start) ? *start : '?');
}

static enum sx_status parse_and(struct parser *p)
{
    SX_TRY(parse_primary(p));
    for (;;) {
        skip_space(p);
        if (*p->at == '&')
            p->at += p->at[1] == '&' ? 2 : 1;
        else if (!*p->at || *p->at == '|' || *p->at == ')')
            return SX_OK;
        SX_TRY(parse_primary(p));
        SX_TRY(emit(p, (struct instruction){.op = OP_AND}));
    }
}

static enum sx_status parse_or(struct parser *p)
{
    SX_TRY(parse_and(p));
    for (;;) {
        skip_space(p);
        if (*p->at != '|')
            return SX_OK;
        p->at += p->at[1] == '|' ? 2 : 1;
        SX_TRY(parse_and(p));
        SX_TRY(emit(p, (struct instruction){.op = OP_OR}));
    }
}

enum sx_status sx_filter_new(const char *text, struct sx_filter **filter, struct sx_error *err)
{
    struct sx_filter *made = sx_xcalloc(1, sizeof *made);
    struct parser p = {.text = text, .at = text, .filter = made, .err = err};
    enum sx_status status = SX_OK;
    skip_space(&p);
    if (*p.at)
        status = parse_or(&p);
    if (status == SX_OK && *p.at)
        status = fail_at(&p, p.at, "'%c' does not belong here", *p.at);
    if (status != SX_OK) {
        sx_free(made);
        return status;
    }
    *filter = made;
    return SX_OK;
}

void sx_filter_free(struct sx_filter *filter)
{
    sx_free(filter);
}

/* --- filter: judging ----------------------------------------------------------------------------
 */

static double field_of(const struct sx_filter_row *row, int field)
{
    switch ((enum field)field) {
    case FIELD_LATENT:
        return row->latent;
    case FIELD_ALIGN:
        return row->align;
    case FIELD_ENC_NORM:
        return row->enc_norm;
    case FIELD_DEC_NORM:
        return row->dec_norm;
    case FIELD_SIM:
        return row->sim;
    case FIELD_SIM_ENC:
        return row->sim_enc;
    case FIELD_MARGIN:
        return row->margin;
    case FIELD_PARTNERS:
        return row->partners < 0 ? (double)NAN : row->partners;
    }
    return NAN;
}

static bool word_holds(const struct sx_filter_row *row, int word)
{
    switch ((enum word)word) {
    case WORD_ALIVE:
        return row->alive;
    case WORD_DEAD:
        return row->dead;
    case WORD_MARKED:
        return row->marked;
    case WORD_ORPHAN:
        return row->partners == 0;
    case WORD_ALWAYS:
        return row->category == 0;
    case WORD_SOMETIMES:
        return row->category == 1;
    case WORD_NEVER:
        return row->category == 2;
    }
    return false;
}

static bool compare(double a, enum comparison comparison, double b)
{
    if (isnan(a))
        return false;
    switch (comparison) {
    case LESS:
        return a < b;
    case LESS_EQUAL:
        return a <= b;
    case MORE:
        return a > b;
    case MORE_EQUAL:
        return a >= b;
    case EQUAL:
        return a == b;
    case NOT_EQUAL:
        return a != b;
    }
    return false;
}

bool sx_filter_holds(const struct sx_filter *filter, const struct sx_filter_row *row)
{
    bool stack[MAX_PROGRAM + 1] = {true};
    size_t top = 0;
    for (size_t i = 0; i < filter->n; i++) {
        const struct instruction *in = &filter->program[i];
        switch (in->op) {
        case OP_WORD:
            stack[++top] = word_holds(row, in->subject);
            break;
        case OP_COMPARE:
            stack[++top] = compare(field_of(row, in->subject), in->comparison, in->low);
            break;
        case OP_RANGE:
            stack[++top] = row->latent >= in->low && row->latent <= in->high;
            break;
        case OP_NOT:
            stack[top] = !stack[top];
            break;
        case OP_AND:
            top--;
            stack[top] = stack[top] && stack[top + 1];
            break;
        case OP_OR:
            top--;
            stack[top] = stack[top] || stack[top + 1];
            break;
        }
    }
    return stack[top];
}

bool sx_filter_needs_match(const struct sx_filter *filter)
{
    for (size_t i = 0; i < filter->n; i++) {
        const struct instruction *in = &filter->program[i];
        if (in->op == OP_COMPARE && in->subject >= FIELD_SIM)
            return true;
        if (in->op == OP_WORD && in->subject >= WORD_ORPHAN)
            return true;
    }
    return false;
}
