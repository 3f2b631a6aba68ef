/* Texts made from the command table: usage, and completions of the `:` prompt. */
#include "sextant/run/command.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sextant/base/alloc.h"
#include "sextant/base/text.h"

/* --- usage --------------------------------------------------------------------------------------
 */

static const char *kind_word(const struct sx_param *param)
{
    switch (param->kind) {
    case SX_PARAM_PATH:
        return "PATH";
    case SX_PARAM_INT:
        return "N";
    case SX_PARAM_REAL:
        return "X";
    case SX_PARAM_CHOICE:
        return param->choices;
    case SX_PARAM_STRING:
        return param->unit ? param->unit : "TEXT";
    case SX_PARAM_FLAG:
        break;
    }
    return "";
}

static void upper(const char *name, struct sx_str *out)
{
    for (; *name; name++)
        sx_str_append_char(out, (char)toupper((unsigned char)*name));
}

static void param_term(const struct sx_param *param, struct sx_str *out)
{
    if (param->positional)
        upper(param->name, out);
    else if (param->kind == SX_PARAM_FLAG)
        sx_str_printf(out, "--%s", param->name);
    else
        sx_str_printf(out, "--%s %s", param->name, kind_word(param));
}

static void synopsis(const struct sx_command *command, struct sx_str *out)
{
    sx_str_printf(out, "%s%s", command->flags & SX_CMD_CLI ? "sextant " : ":", command->name);
    for (size_t i = 0; i < command->n_params; i++) {
        const struct sx_param *param = &command->params[i];
        sx_str_append(out, param->required ? " " : " [");
        param_term(param, out);
        sx_str_append(out, param->required ? "" : "]");
        if (param->repeat)
            sx_str_append(out, "…");
    }
}

static void pad_to(struct sx_str *out, size_t line_start, int columns)
{
    int width = sx_text_width(out->data + line_start);
    if (width >= columns) {
        sx_str_append_char(out, '\n');
        width = 0;
    }
    for (; width < columns; width++)
        sx_str_append_char(out, ' ');
}

/* Text in lines of at most 88 columns, indented. */
static void wrap(const char *text, int indent, struct sx_str *out)
{
    enum { WIDTH = 88 };
    int column = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        if (column == 0 || column + 1 + (int)len > WIDTH) {
            if (column > 0)
                sx_str_append_char(out, '\n');
            for (column = 0; column < indent; column++)
                sx_str_append_char(out, ' ');
        } else {
            sx_str_append_char(out, ' ');
            column++;
        }
        sx_str_append_len(out, text, len);
        column += (int)len;
        text += len;
        text += strspn(text, " ");
    }
    sx_str_append_char(out, '\n');
}

static void common_options(const struct sx_command *command, struct sx_str *out)
{
    if (!(command->flags & SX_CMD_CLI) || (command->flags & SX_CMD_APP && !command->n_params))
        return;
    sx_str_append(out, command->flags & SX_CMD_STREAM
                           ? "  --json                  one JSON line an event\n"
                           : "  --json                  the answer as JSON\n");
    if (command->flags & SX_CMD_TABLE)
        sx_str_append(out, "  --csv                   the rows as CSV\n");
}

void sx_command_usage(const struct sx_command *command, struct sx_str *out)
{
    sx_str_append(out, "usage: ");
    synopsis(command, out);
    sx_str_append(out, "\n\n");
    wrap(command->help, 2, out);
    if (command->details) {
        sx_str_append_char(out, '\n');
        wrap(command->details, 2, out);
    }
    sx_str_append_char(out, '\n');
    for (size_t i = 0; i < command->n_params; i++) {
        const struct sx_param *param = &command->params[i];
        const size_t start = out->len;
        sx_str_append(out, "  ");
        param_term(param, out);
        if (param->help)
            pad_to(out, start, 26);
        sx_str_append(out, param->help ? param->help : "");
        if (param->fallback)
            sx_str_printf(out, " (default %s)", param->fallback);
        sx_str_append_char(out, '\n');
    }
    common_options(command, out);
    if (command->example)
        sx_str_printf(out, "\nexample: %s\n", command->example);
}

void sx_command_usage_all(struct sx_str *out)
{
    const char *group = NULL;
    const struct sx_command *command;
    for (size_t i = 0; (command = sx_command_at(i)); i++) {
        if (!(command->flags & SX_CMD_CLI))
            continue;
        if (!group || strcmp(group, command->group) != 0)
            sx_str_printf(out, "%s%s\n", group ? "\n" : "", command->group);
        group = command->group;
        sx_str_printf(out, "  %-10s %s\n", command->name, command->help);
    }
}

/* --- completion ---------------------------------------------------------------------------------
 */

struct completion {
    struct sx_value *out;
    size_t max;
    const char *head; /* the line before the word that is being completed */
    size_t head_len;
};

static void offer(struct completion *c, const char *word)
{
    if (sx_value_count(c->out) >= c->max)
        return;
    struct sx_str line = SX_STR_INIT;
    sx_str_append_len(&line, c->head, c->head_len);
    sx_str_append(&line, word);
    sx_value_append(c->out, sx_value_string(line.data));
    sx_str_release(&line);
}

static void offer_if(struct completion *c, const char *word, const char *prefix)
{
    if (strncmp(word, prefix, strlen(prefix)) == 0)
        offer(c, word);
}

static void complete_commands(struct completion *c, const char *prefix)
{
    const struct sx_command *command;
    for (size_t i = 0; (command = sx_command_at(i)); i++)
        if ((command->flags & SX_CMD_PROMPT) && !(command->flags & SX_CMD_HIDDEN))
            offer_if(c, command->name, prefix);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in the folder of `prefix` that go on from it; folders end in a slash. Names that would not
 * survive a terminal are left out. */
static void complete_paths(struct completion *c, const char *prefix)
{
    enum { NAMES = 4096 };
    const char *slash = strrchr(prefix, '/');
    const char *base = slash ? slash + 1 : prefix;
    char *folder = slash ? sx_xstrndup(prefix, (size_t)(slash - prefix) + 1) : sx_xstrdup("./");
    char **names = NULL;
    size_t count = 0;
    size_t capacity = 0;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && count < NAMES && (entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (strncmp(name, base, strlen(base)) != 0 || (name[0] == '.' && base[0] != '.'))
            continue;
        char clean[1024];
        if (sx_text_clean(clean, sizeof clean, name, strlen(name)) != strlen(name) ||
            strcmp(clean, name) != 0)
            continue;
        char *path = sx_xasprintf("%s%s", folder, name);
        struct stat st;
        const bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
        sx_free(path);
        SX_GROW(names, capacity, count + 1);
        names[count++] = sx_xasprintf("%s%s%s", slash ? folder : "", name, is_folder ? "/" : "");
    }
    if (dir)
        closedir(dir);
    if (count)
        qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        struct sx_str quoted = SX_STR_INIT;
        sx_command_quote(names[i], &quoted);
        offer(c, quoted.data);
        sx_str_release(&quoted);
        sx_free(names[i]);
    }
    sx_free(names);
    sx_free(folder);
}

static void complete_choices(struct completion *c, const char *choices, const char *prefix)
{
    while (*choices) {
        size_t len = strcspn(choices, "|");
        char *word = sx_xstrndup(choices, len);
        offer_if(c, word, prefix);
        sx_free(word);
        choices += len + (choices[len] == '|');
    }
}

static void complete_value(struct completion *c, const struct sx_param *param, const char *prefix)
{
    if (param->kind == SX_PARAM_CHOICE)
        complete_choices(c, param->choices, prefix);
    else if (param->kind == SX_PARAM_PATH)
        complete_paths(c, prefix);
}

static void complete_options(struct completion *c, const struct sx_command *command,
                             const char *prefix)
{
    for (size_t i = 0; i < command->n_params; i++) {
        if (command->params[i].positional)
            continue;
        char *word = sx_xasprintf("--%s", command->params[i].name);
        offer_if(c, word, prefix);
        sx_free(word);
    }
}

/* Which parameter the last word of `words` (a list) belongs to. */
static const struct sx_param *param_at(const struct sx_command *command,
                                       const struct sx_value *words)
{
    const size_t n = sx_value_count(words);
    size_t seen = 0;
    for (size_t w = 1; w < n; w++) {
        const char *word = sx_value_string_or(sx_value_item(words, w), "");
        if (strncmp(word, "--", 2) == 0) {
            for (size_t i = 0; i < command->n_params; i++) {
                const struct sx_param *param = &command->params[i];
                if (strcmp(param->name, word + 2) != 0 || param->kind == SX_PARAM_FLAG)
                    continue;
                if (++w == n) /* its value is what is being typed */
                    return param;
                break;
            }
            continue;
        }
        seen++;
    }
    for (size_t i = 0; i < command->n_params; i++) {
        const struct sx_param *param = &command->params[i];
        if (param->positional && (param->repeat || seen-- == 0))
            return param;
    }
    return NULL;
}

struct sx_value *sx_command_complete(const char *partial, size_t max)
{
    struct completion c = {.out = sx_value_list(), .max = max, .head = partial};
    struct sx_value *words = sx_value_list();
    const char *last = partial;
    for (const char *p = partial; *p; p++)
        if (isspace((unsigned char)*p))
            last = p + 1;
    for (const char *p = partial; p < last;) {
        size_t len = strcspn(p, " \t");
        if (len)
            sx_value_append(words, sx_value_string_len(p, len));
        p += len + 1;
    }
    c.head_len = (size_t)(last - partial);
    /* An opening quote belongs to the word, but not to the name that is looked for. */
    const char *prefix = last + (*last == '\'' || *last == '"');
    if (sx_value_count(words) == 0) {
        complete_commands(&c, prefix);
    } else {
        const struct sx_command *command =
            sx_command_find(sx_value_string_or(sx_value_item(words, 0), ""));
        const struct sx_param *param = command ? param_at(command, words) : NULL;
        if (command && strncmp(prefix, "--", 2) == 0)
            complete_options(&c, command, prefix);
        else if (param)
            complete_value(&c, param, prefix);
        if (command && *prefix == '\0' && (!param || !param->required))
            complete_options(&c, command, "");
    }
    sx_value_free(words);
    return c.out;
}
