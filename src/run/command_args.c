/* Arguments: from words or a line to a checked map, and back to a line. Numbers are written with a
 * point: the program leaves LC_NUMERIC at "C". */
#include "sextant/run/command.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"

/* --- words --------------------------------------------------------------------------------------
 */

struct words {
    char **word;  /* owned strings, owned array */
    bool *quoted; /* a quoted word is never an option */
    size_t count, capacity;
};

static void words_release(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        sx_free(words->word[i]);
    sx_free(words->word);
    sx_free(words->quoted);
    *words = (struct words){0};
}

static void words_add(struct words *words, char *take, bool quoted)
{
    if (words->count == words->capacity) {
        words->capacity = words->capacity ? words->capacity * 2 : 16;
        words->word = sx_xrealloc(words->word, words->capacity * sizeof *words->word);
        words->quoted = sx_xrealloc(words->quoted, words->capacity * sizeof *words->quoted);
    }
    words->word[words->count] = take;
    words->quoted[words->count++] = quoted;
}

/* One word from *s on, with the shell's three ways of quoting; *s moves behind it. */
static enum sx_status read_word(const char *line, const char **s, struct sx_str *word, bool *quoted,
                                struct sx_error *err)
{
    const char *p = *s;
    while (*p && !isspace((unsigned char)*p)) {
        if (*p == '\'' || *p == '"') {
            const char quote = *p;
            const char *open = p++;
            *quoted = true;
            while (*p && *p != quote) {
                if (quote == '"' && *p == '\\' && (p[1] == '"' || p[1] == '\\'))
                    p++;
                sx_str_append_char(word, *p++);
            }
            if (!*p)
                return sx_fail(err, SX_ERR_USAGE, "column %d: the quote %c is not closed",
                               (int)(open - line) + 1, quote);
            p++;
        } else {
            if (*p == '\\' && p[1]) {
                *quoted = true;
                p++;
            }
            sx_str_append_char(word, *p++);
        }
    }
    *s = p;
    return SX_OK;
}

static enum sx_status split(const char *line, struct words *words, struct sx_error *err)
{
    for (const char *p = line;;) {
        while (isspace((unsigned char)*p))
            p++;
        if (!*p)
            return SX_OK;
        struct sx_str word = SX_STR_INIT;
        bool quoted = false;
        enum sx_status status = read_word(line, &p, &word, &quoted, err);
        if (status != SX_OK) {
            sx_str_release(&word);
            return status;
        }
        words_add(words, sx_str_take(&word), quoted);
    }
}

/* --- checking -----------------------------------------------------------------------------------
 */

static const struct sx_param *find_param(const struct sx_command *command, const char *name,
                                         size_t len)
{
    for (size_t i = 0; i < command->n_params; i++)
        if (strlen(command->params[i].name) == len &&
            memcmp(command->params[i].name, name, len) == 0)
            return &command->params[i];
    return NULL;
}

/* How a parameter is called in messages: --tau, or SAE. */
static void param_label(const struct sx_param *param, struct sx_str *out)
{
    if (!param->positional) {
        sx_str_printf(out, "--%s", param->name);
        return;
    }
    for (const char *c = param->name; *c; c++)
        sx_str_append_char(out, (char)toupper((unsigned char)*c));
}

static SX_PRINTF(5, 6) enum sx_status
    refuse(const struct sx_command *command, const struct sx_param *param, const char *found,
           struct sx_error *err, const char *fmt, ...)
{
    struct sx_str text = SX_STR_INIT;
    sx_str_printf(&text, "%s: ", command->name);
    param_label(param, &text);
    sx_str_append(&text, " ");
    va_list args;
    va_start(args, fmt);
    sx_str_vprintf(&text, fmt, args);
    va_end(args);
    if (found)
        sx_str_printf(&text, ", not '%.120s'", found);
    enum sx_status status = sx_fail(err, SX_ERR_USAGE, "%s", text.data);
    sx_str_release(&text);
    return status;
}

static bool is_choice(const char *choices, const char *word)
{
    size_t len = strlen(word);
    if (strchr(word, '|'))
        return false;
    for (const char *c = choices; c; c = strchr(c, '|')) {
        if (*c == '|')
            c++;
        if (strncmp(c, word, len) == 0 && (c[len] == '|' || c[len] == '\0') && len > 0)
            return true;
    }
    return false;
}

static enum sx_status check_range(const struct sx_command *command, const struct sx_param *param,
                                  double number, const char *found, struct sx_error *err)
{
    if (param->min < param->max && !(number >= param->min && number <= param->max))
        return refuse(command, param, found, err, "must be between %.12g and %.12g", param->min,
                      param->max);
    return SX_OK;
}

/* A number written as text; the whole text must be one. */
static bool read_real(const char *text, double *out)
{
    char *end;
    if (!*text || isspace((unsigned char)*text))
        return false;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

static bool read_int(const char *text, int64_t *out)
{
    char *end;
    if (!*text || isspace((unsigned char)*text))
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *out = number;
    return *end == '\0' && errno == 0;
}

/* One scalar to the parameter's kind: a new value, or NULL with err. */
static struct sx_value *coerce(const struct sx_command *command, const struct sx_param *param,
                               const struct sx_value *given, struct sx_error *err)
{
    const enum sx_value_kind kind = sx_value_kind(given);
    const char *text = sx_value_string_or(given, NULL);
    switch (param->kind) {
    case SX_PARAM_FLAG:
        if (kind == SX_VALUE_BOOL)
            return sx_value_bool(sx_value_bool_or(given, false));
        refuse(command, param, text, err, "is a switch and takes no value");
        return NULL;
    case SX_PARAM_INT: {
        int64_t number = sx_value_int_or(given, 0);
        bool ok = text ? read_int(text, &number) : kind == SX_VALUE_INT;
        if (!ok) {
            refuse(command, param, text, err, "must be a whole number");
            return NULL;
        }
        if (check_range(command, param, (double)number, text, err) != SX_OK)
            return NULL;
        return sx_value_int(number);
    }
    case SX_PARAM_REAL: {
        double number = sx_value_real_or(given, NAN);
        bool ok = text ? read_real(text, &number) : isfinite(number);
        if (!ok) {
            refuse(command, param, text, err, "must be a number");
            return NULL;
        }
        if (check_range(command, param, number, text, err) != SX_OK)
            return NULL;
        return sx_value_real(number);
    }
    case SX_PARAM_CHOICE:
        if (!text || !is_choice(param->choices, text)) {
            refuse(command, param, text ? text : "?", err, "must be one of %s", param->choices);
            return NULL;
        }
        return sx_value_string(text);
    case SX_PARAM_PATH:
        if (text && !*text) {
            refuse(command, param, NULL, err, "must not be empty");
            return NULL;
        }
        break;
    case SX_PARAM_STRING:
        break;
    }
    if (!text) {
        refuse(command, param, NULL, err, "must be text");
        return NULL;
    }
    return sx_value_string(text);
}

static struct sx_value *coerce_list(const struct sx_command *command, const struct sx_param *param,
                                    const struct sx_value *given, struct sx_error *err)
{
    struct sx_value *list = sx_value_list();
    const bool is_list = sx_value_kind(given) == SX_VALUE_LIST;
    const size_t n = is_list ? sx_value_count(given) : 1;
    for (size_t i = 0; i < n; i++) {
        struct sx_value *item =
            coerce(command, param, is_list ? sx_value_item(given, i) : given, err);
        if (!item) {
            sx_value_free(list);
            return NULL;
        }
        sx_value_append(list, item);
    }
    return list;
}

enum sx_status sx_command_check(const struct sx_command *command, struct sx_value *args,
                                struct sx_error *err)
{
    for (size_t i = 0; i < sx_value_count(args); i++) {
        const char *key = sx_value_key(args, i);
        if (!find_param(command, key, strlen(key)))
            return sx_fail(err, SX_ERR_USAGE, "%s: there is no option --%s", command->name, key);
    }
    for (size_t i = 0; i < command->n_params; i++) {
        const struct sx_param *param = &command->params[i];
        const struct sx_value *given = sx_value_get(args, param->name);
        struct sx_value *fallback = NULL;
        if (!given && param->required)
            return refuse(command, param, NULL, err, "is missing");
        if (!given && param->fallback)
            given = fallback = sx_value_string(param->fallback);
        if (!given && param->kind == SX_PARAM_FLAG)
            given = fallback = sx_value_bool(false);
        if (!given)
            continue;
        struct sx_value *value = param->repeat ? coerce_list(command, param, given, err)
                                               : coerce(command, param, given, err);
        sx_value_free(fallback);
        if (!value)
            return SX_ERR_USAGE;
        sx_value_set(args, param->name, value);
    }
    return SX_OK;
}

/* --- from words ---------------------------------------------------------------------------------
 */

static enum sx_status put(const struct sx_command *command, const struct sx_param *param,
                          struct sx_value *args, struct sx_value *take, struct sx_error *err)
{
    struct sx_value *have = sx_value_get(args, param->name);
    if (param->repeat) {
        sx_value_append(have ? have : sx_value_set(args, param->name, sx_value_list()), take);
        return SX_OK;
    }
    if (have) {
        sx_value_free(take);
        return refuse(command, param, NULL, err, "is given twice");
    }
    sx_value_set(args, param->name, take);
    return SX_OK;
}

/* --name VALUE, --name=VALUE or --flag at word *i. */
static enum sx_status put_option(const struct sx_command *command, const struct words *words,
                                 size_t *i, struct sx_value *args, struct sx_error *err)
{
    const char *name = words->word[*i] + 2;
    const char *equals = strchr(name, '=');
    const size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct sx_param *param = find_param(command, name, len);
    if (!param)
        return sx_fail(err, SX_ERR_USAGE, "%s: there is no option --%.*s", command->name, (int)len,
                       name);
    if (param->kind == SX_PARAM_FLAG) {
        if (equals)
            return refuse(command, param, equals + 1, err, "is a switch and takes no value");
        sx_value_set(args, param->name, sx_value_bool(true));
        return SX_OK;
    }
    if (!equals && *i + 1 >= words->count)
        return refuse(command, param, NULL, err, "needs a value");
    const char *text = equals ? equals + 1 : words->word[++*i];
    return put(command, param, args, sx_value_string(text), err);
}

/* The positional parameter that takes the next word: the first one still empty, or a repeated one.
 */
static const struct sx_param *next_positional(const struct sx_command *command,
                                              const struct sx_value *args)
{
    for (size_t i = 0; i < command->n_params; i++) {
        const struct sx_param *param = &command->params[i];
        if (param->positional && (param->repeat || !sx_value_get(args, param->name)))
            return param;
    }
    return NULL;
}

static bool looks_like_option(const char *word)
{
    return word[0] == '-' && word[1] == '-' && word[2] != '\0';
}

static enum sx_status collect(const struct sx_command *command, const struct words *words,
                              struct sx_value *args, struct sx_error *err)
{
    bool options = true;
    for (size_t i = 1; i < words->count; i++) {
        const char *word = words->word[i];
        if (options && !words->quoted[i] && strcmp(word, "--") == 0) {
            options = false;
            continue;
        }
        if (options && !words->quoted[i] && looks_like_option(word)) {
            SX_TRY(put_option(command, words, &i, args, err));
            continue;
        }
        double number;
        if (options && !words->quoted[i] && word[0] == '-' && word[1] && !read_real(word, &number))
            return sx_fail(err, SX_ERR_USAGE, "%s: there is no option %s; long options only",
                           command->name, word);
        const struct sx_param *param = next_positional(command, args);
        if (!param)
            return sx_fail(err, SX_ERR_USAGE, "%s: '%.200s' is one argument too many",
                           command->name, word);
        SX_TRY(put(command, param, args, sx_value_string(word), err));
    }
    return SX_OK;
}

static enum sx_status parse_words(const struct words *words, const struct sx_command **command,
                                  struct sx_value **args, struct sx_error *err)
{
    if (words->count == 0)
        return sx_fail(err, SX_ERR_USAGE, "no command");
    const struct sx_command *found = sx_command_find(words->word[0]);
    if (!found)
        return sx_fail(err, SX_ERR_USAGE, "'%.200s' is no command", words->word[0]);
    struct sx_value *map = sx_value_map();
    enum sx_status status = collect(found, words, map, err);
    if (status == SX_OK)
        status = sx_command_check(found, map, err);
    if (status != SX_OK) {
        sx_value_free(map);
        return status;
    }
    *command = found;
    *args = map;
    return SX_OK;
}

enum sx_status sx_command_parse(const char *line, const struct sx_command **command,
                                struct sx_value **args, struct sx_error *err)
{
    struct words words = {0};
    enum sx_status status = split(line, &words, err);
    if (status == SX_OK)
        status = parse_words(&words, command, args, err);
    words_release(&words);
    return status;
}

enum sx_status sx_command_parse_argv(int argc, char *const *argv, const struct sx_command **command,
                                     struct sx_value **args, struct sx_error *err)
{
    struct words words = {0};
    for (int i = 0; i < argc; i++)
        words_add(&words, sx_xstrdup(argv[i]), false);
    enum sx_status status = parse_words(&words, command, args, err);
    words_release(&words);
    return status;
}

/* --- back to a line -----------------------------------------------------------------------------
 */

void sx_command_quote(const char *text, struct sx_str *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./:=,+@%-";
    if (*text && *text != '-' && strspn(text, plain) == strlen(text)) {
        sx_str_append(out, text);
        return;
    }
    sx_str_append_char(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            sx_str_append(out, "'\\''");
        else
            sx_str_append_char(out, *text);
    }
    sx_str_append_char(out, '\'');
}

static void format_scalar(const struct sx_value *value, struct sx_str *out)
{
    switch (sx_value_kind(value)) {
    case SX_VALUE_INT:
        sx_str_printf(out, "%lld", (long long)sx_value_int_or(value, 0));
        break;
    case SX_VALUE_REAL: {
        char text[40];
        const double number = sx_value_real_or(value, 0);
        snprintf(text, sizeof text, "%.9g", number);
        if (strtod(text, NULL) != number)
            snprintf(text, sizeof text, "%.17g", number);
        sx_str_append(out, text);
        break;
    }
    default: {
        const char *text = sx_value_string_or(value, "");
        /* "-" is stdin, and needs no quotes. */
        if (strcmp(text, "-") == 0)
            sx_str_append(out, text);
        else
            sx_command_quote(text, out);
    }
    }
}

static bool is_fallback(const struct sx_param *param, const struct sx_value *value)
{
    if (param->kind == SX_PARAM_FLAG)
        return !sx_value_bool_or(value, false);
    if (!param->fallback || param->repeat)
        return false;
    if (param->kind == SX_PARAM_INT || param->kind == SX_PARAM_REAL)
        return strtod(param->fallback, NULL) == sx_value_real_or(value, NAN);
    return strcmp(param->fallback, sx_value_string_or(value, "")) == 0;
}

static void format_items(const struct sx_param *param, const struct sx_value *value,
                         struct sx_str *out)
{
    const size_t n = param->repeat ? sx_value_count(value) : 1;
    for (size_t i = 0; i < n; i++) {
        sx_str_append_char(out, ' ');
        if (!param->positional)
            sx_str_printf(out, "--%s ", param->name);
        format_scalar(param->repeat ? sx_value_item(value, i) : value, out);
    }
}

void sx_command_format(const struct sx_command *command, const struct sx_value *args,
                       struct sx_str *out)
{
    sx_str_append(out, command->name);
    /* A positional argument behind an empty one must say its name. */
    bool gap = false;
    for (int positional = 1; positional >= 0; positional--) {
        for (size_t i = 0; i < command->n_params; i++) {
            const struct sx_param *param = &command->params[i];
            const struct sx_value *value = sx_value_get(args, param->name);
            if (param->positional != (positional == 1))
                continue;
            if (!value) {
                gap = true;
                continue;
            }
            if (param->positional && gap) {
                struct sx_param named = *param;
                named.positional = false;
                format_items(&named, value, out);
            } else if (param->kind == SX_PARAM_FLAG && sx_value_bool_or(value, false)) {
                sx_str_printf(out, " --%s", param->name);
            } else if (param->positional || !is_fallback(param, value)) {
                format_items(param, value, out);
            }
        }
    }
}
