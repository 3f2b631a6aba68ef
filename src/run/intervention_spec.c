#include "intervention_spec.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"

enum { MAX_INDEX = 100000000, MAX_NUMBERS = 10000000 };

struct cursor {
    const char *label; /* "--intervene" */
    const char *text, *p;
    struct sx_error *err;
};

static SX_PRINTF(2, 3) enum sx_status refuse(const struct cursor *c, const char *fmt, ...)
{
    struct sx_str why = SX_STR_INIT;
    va_list args;
    va_start(args, fmt);
    sx_str_vprintf(&why, fmt, args);
    va_end(args);
    enum sx_status status = sx_fail(c->err, SX_ERR_USAGE, "%s '%.160s', column %d: %s", c->label,
                                    c->text, (int)(c->p - c->text) + 1, why.data);
    sx_str_release(&why);
    return status;
}

static bool take(struct cursor *c, const char *word)
{
    const size_t len = strlen(word);
    if (strncmp(c->p, word, len) != 0)
        return false;
    c->p += len;
    return true;
}

/* A word that must end at a delimiter. */
static bool take_word(struct cursor *c, const char *word)
{
    const size_t len = strlen(word);
    if (strncmp(c->p, word, len) != 0 || (c->p[len] && !strchr(",=@:", c->p[len])))
        return false;
    c->p += len;
    return true;
}

/* --- lists ------------------------------------------------------------------------------------ */

void sx_spec_list_release(struct sx_spec_list *list)
{
    sx_free(list->range);
    *list = (struct sx_spec_list){0};
}

static enum sx_status read_index(struct cursor *c, uint32_t *out)
{
    if (take_word(c, "last")) {
        *out = SX_SPEC_LAST;
        return SX_OK;
    }
    if (!isdigit((unsigned char)*c->p))
        return refuse(c, "a number is expected, such as 3, 2-5 or last");
    char *end;
    const unsigned long long number = strtoull(c->p, &end, 10);
    if (number > MAX_INDEX || end - c->p > 9)
        return refuse(c, "the number is too large");
    *out = (uint32_t)number;
    c->p = end;
    return SX_OK;
}

static enum sx_status read_range(struct cursor *c, struct sx_spec_range *range)
{
    SX_TRY(read_index(c, &range->from));
    range->to = range->from;
    if (*c->p != '-' || range->from == SX_SPEC_LAST)
        return SX_OK;
    c->p++;
    range->to = SX_SPEC_LAST;
    if (*c->p && *c->p != ',' && *c->p != '=')
        SX_TRY(read_index(c, &range->to));
    if (range->to < range->from)
        return refuse(c, "the range runs backwards");
    return SX_OK;
}

/* A comma goes on with the list when no KEY= follows it. */
static bool more_of_list(const struct cursor *c)
{
    return *c->p == ',' && (isdigit((unsigned char)c->p[1]) || strncmp(c->p + 1, "last", 4) == 0 ||
                            strncmp(c->p + 1, "new", 3) == 0);
}

/* is_new: where "new" is allowed; set when it was said. */
static enum sx_status read_list(struct cursor *c, struct sx_spec_list *list, bool *is_new)
{
    size_t room = 0;
    if (list->given)
        return refuse(c, "given twice");
    if (take_word(c, "all"))
        return SX_OK;
    list->given = true;
    for (;;) {
        if (is_new && take_word(c, "new")) {
            *is_new = true;
        } else {
            struct sx_spec_range range;
            SX_TRY(read_range(c, &range));
            SX_GROW(list->range, room, list->n + 1);
            list->range[list->n++] = range;
        }
        if (!more_of_list(c))
            return SX_OK;
        c->p++;
    }
}

enum sx_status sx_spec_list_parse(const char *option, const char *text, struct sx_spec_list *list,
                                  struct sx_error *err)
{
    struct cursor c = {option, text, text, err};
    *list = (struct sx_spec_list){0};
    enum sx_status status = read_list(&c, list, NULL);
    if (status == SX_OK && *c.p)
        status = refuse(&c, "a comma or the end is expected");
    if (status != SX_OK)
        sx_spec_list_release(list);
    return status;
}

enum sx_status sx_spec_list_resolve(const struct sx_spec_list *list, size_t count, const char *what,
                                    uint32_t **out, size_t *n, struct sx_error *err)
{
    *out = NULL;
    *n = 0;
    if (!list->given)
        return SX_OK;
    for (size_t i = 0; i < list->n; i++) {
        const struct sx_spec_range *range = &list->range[i];
        const uint32_t high = range->to == SX_SPEC_LAST ? range->from : range->to;
        if (count == 0 || (high != SX_SPEC_LAST && high >= count))
            return sx_fail(err, SX_ERR_USAGE, "%s %u: there are %zu, counted from 0", what, high,
                           count);
    }
    bool *chosen = sx_xcalloc(count + 1, sizeof *chosen);
    uint32_t *indices = sx_xcalloc(count + 1, sizeof *indices);
    for (size_t i = 0; i < list->n; i++) {
        const size_t from = list->range[i].from == SX_SPEC_LAST ? count - 1 : list->range[i].from;
        const size_t to = list->range[i].to == SX_SPEC_LAST ? count - 1 : list->range[i].to;
        for (size_t j = from; j <= to; j++)
            chosen[j] = true;
    }
    for (size_t j = 0; j < count; j++)
        if (chosen[j])
            indices[(*n)++] = (uint32_t)j;
    sx_free(chosen);
    *out = indices;
    return SX_OK;
}

/* --- where ------------------------------------------------------------------------------------ */

static bool is_map(enum sx_point point)
{
    return point == SX_POINT_SCORES || point == SX_POINT_ATTN;
}

static bool has_bands(enum sx_point point)
{
    return point == SX_POINT_Q || point == SX_POINT_K || point == SX_POINT_Q_ROT ||
           point == SX_POINT_K_ROT;
}

static bool capture_only(enum sx_point point)
{
    return point == SX_POINT_HEAD_OUT || point == SX_POINT_ATTN_LN_SIGMA ||
           point == SX_POINT_MLP_LN_SIGMA || point == SX_POINT_FINAL_LN_SIGMA ||
           point == SX_POINT_HEAD_LN_SIGMA;
}

static enum sx_status read_side(struct cursor *c, enum sx_side *side)
{
    if (take_word(c, "query"))
        *side = SX_SIDE_QUERY;
    else if (take_word(c, "key"))
        *side = SX_SIDE_KEY;
    else if (take_word(c, "both"))
        *side = SX_SIDE_BOTH;
    else
        return refuse(c, "side is query, key or both");
    return SX_OK;
}

static bool take_key(struct cursor *c, const char *plural)
{
    const size_t len = strlen(plural);
    size_t used = 0;
    if (strncmp(c->p, plural, len) == 0 && c->p[len] == '=')
        used = len;
    else if (strncmp(c->p, plural, len - 1) == 0 && c->p[len - 1] == '=')
        used = len - 1; /* layer= for layers= */
    c->p += used ? used + 1 : 0;
    return used > 0;
}

static enum sx_status read_band(struct cursor *c, struct sx_intervention_spec *spec)
{
    uint32_t band;
    if (spec->band >= 0)
        return refuse(c, "given twice");
    SX_TRY(read_index(c, &band));
    if (band >= SX_MAX_BANDS)
        return refuse(c, "one rotary band by its number is expected");
    spec->band = (int)band;
    return SX_OK;
}

static enum sx_status read_condition(struct cursor *c, struct sx_intervention_spec *spec)
{
    const bool positions = spec->of_positions;
    const char *start = c->p;
    const char *why = NULL;
    if (take_key(c, "layers")) {
        if (!positions && !sx_point_per_layer(spec->point))
            why = "this point stands once a run, not in every layer";
        else
            return read_list(c, &spec->layers, NULL);
    } else if (take_key(c, "heads")) {
        if (!positions && !sx_point_has_heads(spec->point))
            why = "this point has no heads";
        else
            return read_list(c, &spec->heads, NULL);
    } else if (take_key(c, "tokens")) {
        if (positions)
            why = "positions are set for whole sequences";
        else
            return read_list(c, &spec->tokens, &spec->generated);
    } else if (take_key(c, "keys")) {
        if (positions || !is_map(spec->point))
            why = "only scores and attn have keys";
        else
            return read_list(c, &spec->keys, NULL);
    } else if (positions && take_key(c, "bands")) {
        return read_list(c, &spec->bands, NULL);
    } else if (take(c, "band=")) {
        if (!has_bands(spec->point))
            why = "only q, k, q.rot and k.rot have rotary bands";
        else
            return read_band(c, spec);
    } else if (positions && take(c, "side=")) {
        return read_side(c, &spec->side);
    } else {
        why = positions ? "layers=, heads=, bands= or side= is expected"
                        : "layers=, heads=, tokens=, keys= or band= is expected";
    }
    c->p = start;
    return refuse(c, "%s", why);
}

/* --- what ------------------------------------------------------------------------------------- */

static enum sx_status read_number(struct cursor *c, double *out)
{
    char *end;
    if (isspace((unsigned char)*c->p))
        return refuse(c, "a number is expected");
    *out = strtod(c->p, &end);
    if (end == c->p || !isfinite(*out))
        return refuse(c, "a number is expected");
    c->p = end;
    return SX_OK;
}

static enum sx_status read_numbers(struct cursor *c, struct sx_intervention_spec *spec)
{
    size_t room = 0;
    for (;;) {
        double number;
        SX_TRY(read_number(c, &number));
        if (spec->n_numbers == MAX_NUMBERS)
            return refuse(c, "too many numbers");
        SX_GROW(spec->number, room, spec->n_numbers + 1);
        spec->number[spec->n_numbers++] = (float)number;
        if (*c->p != ',')
            return SX_OK;
        c->p++;
    }
}

/* FILE[:NAME]; a name that is a file as a whole has no second part. */
static enum sx_status read_file_name(struct cursor *c, struct sx_intervention_spec *spec,
                                     bool with_name)
{
    struct stat st;
    const char *rest = c->p;
    char *all = sx_xstrdup(rest);
    if (with_name) {
        char *star = strrchr(all, '*');
        char *end = NULL;
        if (star && star[1])
            spec->factor = strtod(star + 1, &end);
        if (end && (*end || !isfinite(spec->factor))) {
            c->p += star + 1 - all;
            sx_free(all);
            return refuse(c, "a number is expected behind *");
        }
        if (end)
            *star = '\0';
    }
    char *colon = strrchr(all, ':');
    if (colon && stat(all, &st) != 0) {
        *colon = '\0';
        spec->name = sx_xstrdup(colon + 1);
    }
    spec->file = all;
    if (!*all || (spec->name && !*spec->name))
        return refuse(c, "a file is expected: %s", with_name ? "FILE:NAME" : "FILE[:GROUP]");
    if (with_name && !spec->name && !(strlen(all) > 4 && !strcmp(all + strlen(all) - 4, ".npy")))
        return refuse(c, "FILE:NAME is expected, the array's name behind the file");
    c->p = rest + strlen(rest);
    return SX_OK;
}

static enum sx_status read_change(struct cursor *c, struct sx_intervention_spec *spec)
{
    if (take_word(c, "zero")) {
        spec->action = SX_SPEC_SCALE;
        spec->factor = 0;
    } else if (take(c, "scale:")) {
        spec->action = SX_SPEC_SCALE;
        return read_number(c, &spec->factor);
    } else if (take_word(c, "forbid")) {
        spec->action = SX_SPEC_FORBID;
        if (spec->point != SX_POINT_SCORES)
            return refuse(c, "only edges of scores can be forbidden");
    } else if (take(c, "patch:")) {
        spec->action = SX_SPEC_PATCH;
        return read_file_name(c, spec, false);
    } else if (take(c, "mean:")) {
        spec->action = SX_SPEC_MEAN;
        if (is_map(spec->point))
            return refuse(c, "there is no mean of %s", sx_point_name(spec->point));
        return read_file_name(c, spec, false);
    } else if (take(c, "add:")) {
        spec->action = SX_SPEC_ADD;
        return read_file_name(c, spec, true);
    } else if (take(c, "set:")) {
        spec->action = SX_SPEC_SET;
        return read_file_name(c, spec, true);
    } else {
        return refuse(c, "zero, scale:X, forbid, patch:FILE, mean:FILE, add:FILE:NAME or "
                         "set:FILE:NAME is expected");
    }
    return SX_OK;
}

static enum sx_status read_move(struct cursor *c, struct sx_intervention_spec *spec)
{
    if (take(c, "shift:")) {
        spec->action = SX_SPEC_SHIFT;
        return read_number(c, &spec->factor);
    }
    if (take(c, "set:")) {
        spec->action = SX_SPEC_POSITIONS;
        return read_numbers(c, spec);
    }
    return refuse(c, "shift:X or set:X,Y,… is expected");
}

static enum sx_status read_target(struct cursor *c, struct sx_intervention_spec *spec)
{
    const size_t len = strcspn(c->p, "@=");
    char *name = sx_xstrndup(c->p, len);
    spec->of_positions = strcmp(name, "positions") == 0;
    const bool found = spec->of_positions || sx_point_find(name, &spec->point);
    enum sx_status status = SX_OK;
    if (!found)
        status = refuse(c, "'%.40s' is no point of the forward pass (sextant help run lists them)",
                        name);
    else if (!spec->of_positions && capture_only(spec->point))
        status = refuse(c, "%s can be captured, not changed", name);
    sx_free(name);
    if (status == SX_OK)
        c->p += len;
    return status;
}

static enum sx_status read_spec(struct cursor *c, struct sx_intervention_spec *spec)
{
    SX_TRY(read_target(c, spec));
    if (*c->p == '@') {
        do {
            c->p++;
            SX_TRY(read_condition(c, spec));
        } while (*c->p == ',');
    }
    if (*c->p != '=')
        return refuse(c, "= and what to do are expected");
    c->p++;
    SX_TRY(spec->of_positions ? read_move(c, spec) : read_change(c, spec));
    if (*c->p)
        return refuse(c, "nothing more is expected");
    return SX_OK;
}

static void release(struct sx_intervention_spec *spec)
{
    sx_spec_list_release(&spec->layers);
    sx_spec_list_release(&spec->heads);
    sx_spec_list_release(&spec->tokens);
    sx_spec_list_release(&spec->keys);
    sx_spec_list_release(&spec->bands);
    sx_free(spec->text);
    sx_free(spec->file);
    sx_free(spec->name);
    sx_free(spec->number);
    *spec = (struct sx_intervention_spec){0};
}

enum sx_status sx_spec_parse(const char *text, struct sx_intervention_spec *spec,
                             struct sx_error *err)
{
    struct cursor c = {"--intervene", text, text, err};
    *spec = (struct sx_intervention_spec){
        .text = sx_xstrdup(text), .band = -1, .side = SX_SIDE_BOTH, .factor = 1};
    enum sx_status status = read_spec(&c, spec);
    if (status != SX_OK)
        release(spec);
    else
        spec->generated |= !spec->tokens.given;
    return status;
}

enum sx_status sx_specs_parse(const struct sx_value *texts, struct sx_intervention_spec **specs,
                              size_t *n, struct sx_error *err)
{
    const size_t count = sx_value_count(texts);
    *specs = sx_xcalloc(count + 1, sizeof **specs);
    *n = 0;
    enum sx_status status = SX_OK;
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        status = sx_spec_parse(sx_value_string_or(sx_value_item(texts, i), ""), &(*specs)[i], err);
        *n += status == SX_OK;
    }
    if (status != SX_OK) {
        sx_specs_release(*specs, *n);
        *specs = NULL;
        *n = 0;
    }
    return status;
}

void sx_specs_release(struct sx_intervention_spec *specs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        release(&specs[i]);
    sx_free(specs);
}
