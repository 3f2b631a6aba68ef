/* Command lines that give the numbers of the example protein. */
#include <string.h>

#include "report_private.h"
#include "sextant/base/alloc.h"
#include "sextant/run/command.h"

struct lines {
    struct sx_report *report;
    char *model; /* quoted */
    unsigned inside;
};

static void add(const struct lines *lines, int claim, const char *fmt, ...) SX_PRINTF(3, 4);

static void add(const struct lines *lines, int claim, const char *fmt, ...)
{
    struct sx_report_claim *to = &lines->report->claims[claim - 1];
    struct sx_str text = SX_STR_INIT;
    va_list args;
    va_start(args, fmt);
    sx_str_vprintf(&text, fmt, args);
    va_end(args);
    SX_GROW(to->commands, to->commands_room, to->n_commands + 1);
    to->commands[to->n_commands++] = sx_arena_strdup(lines->report->arena, text.data);
    sx_str_release(&text);
}

/* "1,4": readout heads of a layer; empty where there are none. */
static void heads_of(const struct sx_report *report, uint32_t layer, struct sx_str *out)
{
    bool listed[4096] = {false};
    sx_str_clear(out);
    for (size_t i = 0; i < report->n_heads; i++)
        if (report->heads[i].layer == layer && report->heads[i].head < 4096)
            listed[report->heads[i].head] = true;
    for (unsigned h = 0; h < 4096; h++)
        if (listed[h])
            sx_str_printf(out, "%s%u", out->len ? "," : "", h);
}

static void knockouts(const struct lines *lines, size_t n_layers)
{
    struct sx_str edges = SX_STR_INIT;
    struct sx_str values = SX_STR_INIT;
    struct sx_str heads = SX_STR_INIT;
    for (size_t l = 0; l < n_layers; l++) {
        heads_of(lines->report, (uint32_t)l, &heads);
        if (heads.len == 0)
            continue;
        sx_str_printf(&edges, " --intervene scores@layers=%zu,heads=%s,tokens=1,keys=0=forbid", l,
                      heads.data);
        sx_str_printf(&values, " --intervene v@layers=%zu,heads=%s,tokens=0=zero", l, heads.data);
    }
    add(lines, 2, "sextant run %s --seq \"$FIRST\" --tokens 1%s", lines->model, edges.data);
    add(lines, 2, "sextant run %s --seq \"$FIRST\" --tokens 1%s", lines->model, values.data);
    sx_str_release(&edges);
    sx_str_release(&values);
    sx_str_release(&heads);
}

static void queries(const struct lines *lines, size_t n_layers)
{
    struct sx_str patches = SX_STR_INIT;
    struct sx_str heads = SX_STR_INIT;
    for (size_t l = 0; l < n_layers; l++) {
        heads_of(lines->report, (uint32_t)l, &heads);
        if (heads.len == 0)
            continue;
        add(lines, 3,
            "sextant run %s --seq \"$FIRST\" --capture q.rot --layers %zu --heads %s --tokens 1 "
            "--out q%zu.npz",
            lines->model, l, heads.data, l);
        sx_str_printf(&patches,
                      " --intervene q.rot@layers=%zu,heads=%s,tokens=%u=set:q%zu.npz:q.rot", l,
                      heads.data, lines->inside, l);
    }
    add(lines, 3, "sextant run %s --seq \"$INSIDE\" --tokens %u%s", lines->model, lines->inside,
        patches.data);
    sx_str_release(&patches);
    sx_str_release(&heads);
}

static void of_heads(const struct lines *lines)
{
    for (size_t i = 0; i < lines->report->n_heads; i++) {
        const unsigned layer = lines->report->heads[i].layer;
        const unsigned head = lines->report->heads[i].head;
        add(lines, 3, "sextant compose %s --seq \"$FIRST\" --layer %u --head %u --query 1 --key 0",
            lines->model, layer, head);
        for (int claim = 5; claim <= 6; claim++)
            add(lines, claim,
                "sextant bands %s --seq \"$FIRST\" --layer %u --head %u --query 1 --key 0 "
                "--against \"$INSIDE\"",
                lines->model, layer, head);
    }
}

void sx_report_add_commands(struct sx_report *report, const struct sx_model *model,
                            const struct sx_report_about *about)
{
    static const char *const grids[] = {"qkv", "layer-band"};
    const size_t n_layers = (size_t)sx_model_info(model)->n_layers;
    struct sx_str quoted = SX_STR_INIT;
    struct sx_str data = SX_STR_INIT;
    sx_command_quote(about->model_path, &quoted);
    sx_command_quote(about->path, &data);
    const struct lines lines = {report, quoted.data, (unsigned)report->example_inside};

    add(&lines, 1, "sextant predict %s --seq \"$FIRST\"", lines.model);
    add(&lines, 1, "sextant positions %s --seq \"$PROTEIN\"", lines.model);
    add(&lines, 2, "sextant attribute %s --seq \"$FIRST\" --pos 1 --target M --against mean",
        lines.model);
    add(&lines, 2, "sextant ablate %s --seq \"$FIRST\" --site bos-edge", lines.model);
    knockouts(&lines, n_layers);
    add(&lines, 3, "sextant predict %s --seq \"$INSIDE\"", lines.model);
    queries(&lines, n_layers);
    add(&lines, 4, "sextant attribute %s --seq \"$INSIDE\" --pos %u --target M --against mean",
        lines.model, lines.inside);
    of_heads(&lines);
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++)
        add(&lines, 8,
            "sextant patch %s --clean \"$FIRST\" --corrupt \"$INSIDE\" --from-token 1 --rotated "
            "--grid %s",
            lines.model, grids[i]);
    add(&lines, 7, "sextant nterm %s --%s %s --crop %zu", lines.model,
        strcmp(about->format, "FASTA") == 0 ? "fasta" : "swissprot", data.data,
        about->options->max_length);
    sx_str_release(&quoted);
    sx_str_release(&data);
}
