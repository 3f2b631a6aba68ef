/* The manual page and the shell's completion, from the tables. */
#include "app.h"

#include <ctype.h>
#include <string.h>

#include "keys.h"
#include "sextant/run/command.h"
#include "sextant/views/view.h"

/* --- roff --------------------------------------------------------------------------------------
 */

/* Text in which roff finds nothing to obey: backslashes, and a dot or quote that begins a line. */
static void roff_text(const char *s, struct sx_str *out)
{
    bool line_start = out->len == 0 || out->data[out->len - 1] == '\n';

    for (; *s; s++) {
        if (line_start && (*s == '.' || *s == '\''))
            sx_str_append(out, "\\&");
        line_start = *s == '\n';
        if (*s == '\\')
            sx_str_append(out, "\\e");
        else if (*s == '-')
            sx_str_append(out, "\\-");
        else
            sx_str_append_char(out, *s);
    }
}

static void roff_section(const char *title, struct sx_str *out)
{
    sx_str_printf(out, ".SH %s\n", title);
}

/* .TP, the term in bold, then the text. */
static void roff_item(const char *term, const char *text, struct sx_str *out)
{
    sx_str_append(out, ".TP\n.B \"");
    for (; *term; term++) {
        if (*term == '"')
            sx_str_append(out, "\\(dq");
        else if (*term == '\\')
            sx_str_append(out, "\\e");
        else if (*term == '-')
            sx_str_append(out, "\\-");
        else
            sx_str_append_char(out, *term);
    }
    sx_str_append(out, "\"\n");
    roff_text(text, out);
    sx_str_append_char(out, '\n');
}

static void param_term(const struct sx_param *param, struct sx_str *out)
{
    if (param->positional) {
        for (const char *p = param->name; *p; p++)
            sx_str_append_char(out, (char)toupper((unsigned char)*p));
    } else {
        sx_str_printf(out, "--%s", param->name);
        if (param->kind == SX_PARAM_CHOICE)
            sx_str_printf(out, " %s", param->choices);
        else if (param->kind != SX_PARAM_FLAG)
            sx_str_append(out, param->kind == SX_PARAM_PATH   ? " PATH"
                               : param->kind == SX_PARAM_INT  ? " N"
                               : param->kind == SX_PARAM_REAL ? " X"
                                                              : " TEXT");
    }
    if (param->repeat)
        sx_str_append(out, "…");
}

static void roff_command(const struct sx_command *command, struct sx_str *out)
{
    struct sx_str term = SX_STR_INIT;
    struct sx_str text = SX_STR_INIT;

    sx_str_append(&term, command->name);
    for (size_t i = 0; i < command->n_params; i++) {
        if (!command->params[i].positional)
            continue;
        sx_str_append(&term, command->params[i].required ? " " : " [");
        param_term(&command->params[i], &term);
        sx_str_append(&term, command->params[i].required ? "" : "]");
    }
    sx_str_printf(&text, "%s.%s%s", command->help, command->details ? "\n" : "",
                  command->details ? command->details : "");
    roff_item(term.data, text.data, out);
    for (size_t i = 0; i < command->n_params; i++) {
        const struct sx_param *param = &command->params[i];
        if (!param->help)
            continue;
        sx_str_append(out, ".RS\n");
        sx_str_clear(&term);
        sx_str_clear(&text);
        param_term(param, &term);
        sx_str_append(&text, param->help);
        if (param->fallback)
            sx_str_printf(&text, " (default %s)", param->fallback);
        roff_item(term.data, text.data, out);
        sx_str_append(out, ".RE\n");
    }
    if (command->example) {
        sx_str_append(out, ".RS\n.PP\nExample: ");
        roff_text(command->example, out);
        sx_str_append(out, "\n.RE\n");
    }
    sx_str_release(&term);
    sx_str_release(&text);
}

static void roff_commands(unsigned flag, unsigned without, struct sx_str *out)
{
    const struct sx_command *command;
    const char *group = "";

    for (size_t i = 0; (command = sx_command_at(i)) != NULL; i++) {
        if (!(command->flags & flag) || (command->flags & (without | SX_CMD_HIDDEN)))
            continue;
        if (strcmp(group, command->group) != 0) {
            group = command->group;
            sx_str_printf(out, ".SS %s\n", group);
        }
        roff_command(command, out);
    }
}

static void roff_keys(const struct sx_key_binding *keys, size_t n, struct sx_str *out)
{
    for (size_t i = 0; i < n; i++) {
        if (keys[i].request)
            roff_item(keys[i].key, keys[i].help ? keys[i].help : keys[i].request, out);
    }
}

static void roff_all_keys(struct sx_str *out)
{
    const struct sx_view_ops *ops;
    const struct sx_key_binding *keys;
    size_t n;

    sx_str_append(out, ".SS Everywhere\n");
    keys = sx_keymap_moves(&n);
    roff_keys(keys, n, out);
    keys = sx_keys_global(&n);
    roff_keys(keys, n, out);
    for (size_t i = 0; (ops = sx_view_at(i)) != NULL; i++) {
        struct sx_str title = SX_STR_INIT;
        sx_str_printf(&title, "%s (%c): %s", ops->name, ops->key ? ops->key : ' ', ops->help);
        sx_str_append(out, ".SS \"");
        roff_text(title.data, out);
        sx_str_append(out, "\"\n");
        sx_str_release(&title);
        roff_keys(ops->keys, ops->n_keys, out);
    }
}

static void roff_config(struct sx_str *out)
{
    const char *name;
    const char *fallback;
    const char *help;

    for (size_t i = 0; sx_config_key_at(i, &name, &fallback, &help); i++) {
        struct sx_str term = SX_STR_INIT;
        sx_str_printf(&term, "%s: %s", name, fallback);
        roff_item(term.data, help, out);
        sx_str_release(&term);
    }
}

void sx_app_manual(struct sx_str *out)
{
    sx_str_append(out, ".TH SEXTANT 1 \"\" \"sextant " SX_VERSION "\" \"User Commands\"\n");
    roff_section("NAME", out);
    sx_str_append(out, "sextant \\- explore trained sparse autoencoders in a terminal\n");
    roff_section("SYNOPSIS", out);
    sx_str_append(out, ".B sextant\n.I PATH…\n.br\n.B sextant\n.I COMMAND …\n");
    roff_section("DESCRIPTION", out);
    sx_str_append(
        out, "With paths the explorer opens: files and folders of sparse autoencoders,\n"
             "searched recursively. Without a terminal its first screen is printed.\n"
             "With a command one piece of work is done and its answer printed. A path that is\n"
             "called like a command is given as\n.IR ./PATH .\n");
    roff_section("OPTIONS", out);
    sx_str_append(out, ".nf\n");
    roff_text(sx_app_common_help, out);
    sx_str_append(out, ".fi\n");
    roff_section("COMMANDS", out);
    roff_commands(SX_CMD_CLI, 0, out);
    roff_section("PROMPT", out);
    sx_str_append(out,
                  "In the explorer : asks for a command line. These are understood there only.\n");
    roff_commands(SX_CMD_PROMPT, SX_CMD_CLI, out);
    roff_section("KEYS", out);
    sx_str_append(out,
                  "A number before a key repeats it; the number of a view and Enter opens it.\n");
    roff_all_keys(out);
    roff_section("CONFIGURATION", out);
    sx_str_append(out, "YAML, in\n.IR $XDG_CONFIG_HOME/sextant/config.yaml .\n");
    roff_config(out);
    roff_section("FILES", out);
    roff_item("$XDG_CONFIG_HOME/sextant/themes/NAME.yaml", "Themes of your own.", out);
    roff_item("$XDG_CONFIG_HOME/sextant/views/NAME.yaml", "Layouts of your own.", out);
    roff_section("ENVIRONMENT", out);
    roff_item("NO_COLOR", "If set and not empty: no colours.", out);
    roff_item("SEXTANT_DATA",
              "A folder with themes/ and views/ that is used before those built in.", out);
    roff_item("XDG_CONFIG_HOME", "Where the configuration lies; ~/.config by default.", out);
    roff_section("EXIT STATUS", out);
    sx_str_append(out, "0 ok, 1 failed, 2 wrong usage, 130 cancelled.\n");
}

/* --- bash --------------------------------------------------------------------------------------
 */

void sx_app_completion(struct sx_str *out)
{
    const struct sx_command *command;
    const struct sx_view_ops *ops;

    sx_str_append(out,
                  "# bash completion for sextant; load with: source <(sextant completion bash)\n"
                  "_sextant() {\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} words=\n"
                  "    compopt -o default\n"
                  "    if ((COMP_CWORD == 1)); then\n"
                  "        words='help");
    for (size_t i = 0; (command = sx_command_at(i)) != NULL; i++) {
        if (command->flags & SX_CMD_CLI)
            sx_str_printf(out, " %s", command->name);
    }
    sx_str_append(out, "'\n    elif ((COMP_CWORD == 2)) && [[ ${COMP_WORDS[1]} == view ]]; then\n"
                       "        words='");
    for (size_t i = 0; (ops = sx_view_at(i)) != NULL; i++)
        sx_str_printf(out, "%s%s", i ? " " : "", ops->name);
    sx_str_append(out, "'\n    elif [[ $cur == -* ]]; then\n        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; (command = sx_command_at(i)) != NULL; i++) {
        if (!(command->flags & SX_CMD_CLI))
            continue;
        sx_str_printf(out, "        %s) words='--json --threads --verbose --help", command->name);
        for (size_t k = 0; k < command->n_params; k++) {
            if (!command->params[k].positional)
                sx_str_printf(out, " --%s", command->params[k].name);
        }
        sx_str_append(out, "' ;;\n");
    }
    sx_str_append(
        out, "        *) words='--view --theme --color --ascii --no-mouse --help --version' ;;\n"
             "        esac\n    fi\n"
             "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
             "}\n"
             "complete -F _sextant sextant\n");
}
