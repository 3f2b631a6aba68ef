/* The schema is one table; reading, defaults, overrides, description and help follow from it. */
#include "sextant/sae/train.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"
#include "sextant/io/yaml.h"

enum kind { TEXT, INTEGER, REAL, BOOLEAN, CHOICE, INTEGERS };

#define TYPE_TEXT "string"
#define TYPE_INTEGER "integer"
#define TYPE_REAL "real"
#define TYPE_BOOLEAN "bool"
#define TYPE_CHOICE "choice"
#define TYPE_INTEGERS "list of integers"

struct field {
    struct sx_train_key key;
    enum kind kind;
    size_t offset; /* in struct sx_train_config */
    int first;     /* of a choice: the enumeration's value of the first word */
};

#define FIELD(member, kind_, fallback_, range_, first_, help_)                                     \
    {                                                                                              \
        {#member, TYPE_##kind_, fallback_, range_, help_}, kind_,                                  \
            offsetof(struct sx_train_config, member), first_                                       \
    }
#define PENALTIES "none|l1|l2|l2_unsquared"

/* The order is that of the effective configuration and of the reference example. */
static const struct field fields[] = {
    FIELD(name, TEXT, "", "", 0,
          "names the run's files: NAME_sSEED.sae.h5; default: the configuration's file name"),
    FIELD(data, TEXT, NULL, "", 0,
          "idx images (also gzip), npy, npz, safetensors or HDF5; one row a sample"),
    FIELD(data_tensor, TEXT, "", "", 0,
          "which tensor of a file that holds several; default: the only matrix"),
    FIELD(data_rows, INTEGER, "0", "0..", 0, "use only the first rows; 0: all"),
    FIELD(data_scale, REAL, "0", "0..", 0,
          "multiplies the data; 0: 1/255 for idx files, 1 for others"),
    FIELD(image_width, INTEGER, "0", "0..65536", 0,
          "for the gallery: a sample is an image; 0: as the file says"),
    FIELD(image_height, INTEGER, "0", "0..65536", 0, "see image_width"),
    FIELD(arch, CHOICE, "relu", "relu", SX_ARCH_RELU, "activation of the latents"),
    FIELD(dict_size, INTEGER, "0", "0..16777216", 0, "latents; 0: expansion times the dimension"),
    FIELD(expansion, REAL, "2", "0..65536", 0,
          "latents per dimension of the data, when dict_size is 0"),
    FIELD(b_enc, BOOLEAN, "true", "", 0, "train an encoder bias; starts at zero"),
    FIELD(b_dec, BOOLEAN, "true", "", 0,
          "train a decoder bias, also subtracted from the input of the encoder"),
    FIELD(b_dec_init, CHOICE, "zero", "zero|geometric_median", SX_B_DEC_ZERO,
          "where the decoder bias starts; the median is that of the first batch"),
    FIELD(tied_init, BOOLEAN, "false", "", 0,
          "the encoder starts as a copy of the decoder; both are trained apart"),
    FIELD(unit_norm_init, BOOLEAN, "false", "", 0,
          "decoder vectors start with norm 1 (before they are copied by tied_init)"),
    FIELD(decoder_constraint, CHOICE, "none", "none|renorm|renorm+project", SX_CONSTRAINT_NONE,
          "renorm: decoder vectors are scaled to norm 1 after every step; project: and their "
          "gradient loses its radial part before it"),
    FIELD(penalty_encoder, CHOICE, "none", PENALTIES, SX_PENALTY_NONE,
          "on the encoder's weights: l1 mean |w|, l2 sum of w^2, l2_unsquared its root"),
    FIELD(penalty_decoder, CHOICE, "none", PENALTIES, SX_PENALTY_NONE,
          "the same on the decoder's weights"),
    FIELD(lambda_encoder, REAL, "0", "0..", 0, "coefficient of penalty_encoder"),
    FIELD(lambda_decoder, REAL, "0", "0..", 0, "coefficient of penalty_decoder"),
    FIELD(l1_activation, REAL, "0.1", "0..", 0,
          "coefficient of the mean |z| over batch and latents: sparsity"),
    FIELD(seeds, INTEGERS, "[0]", "0..", 0,
          "one SAE for each, trained together; a seed decides the initial weights alone"),
    FIELD(data_seed, INTEGER, "0", "0..", 0, "order of the samples, drawn anew for each epoch"),
    FIELD(shared_data_order, BOOLEAN, "true", "", 0,
          "true: all seeds see the same batches; false: each seed has an order of its own"),
    FIELD(batch, INTEGER, "512", "1..1048576", 0,
          "samples a step; the last, smaller batch of an epoch is kept"),
    FIELD(epochs, INTEGER, "100", "1..", 0, "passes over the data, when steps is 0"),
    FIELD(steps, INTEGER, "0", "0..", 0, "updates in all; 0: epochs decide"),
    FIELD(lr, REAL, "1e-3", "0..", 0, "Adam's learning rate, constant"),
    FIELD(beta1, REAL, "0.9", "0..1", 0, "Adam's decay of the first moment"),
    FIELD(beta2, REAL, "0.999", "0..1", 0, "Adam's decay of the second moment"),
    FIELD(eps, REAL, "1e-8", "0..", 0, "added to Adam's denominator"),
    FIELD(log_every, INTEGER, "50", "1..", 0, "steps between two rows of the curve"),
    FIELD(mmcs_every, INTEGER, "500", "0..", 0,
          "steps between two comparisons of the seeds; 0: only at the end"),
    FIELD(checkpoint_every, INTEGER, "2000", "0..", 0,
          "steps between two checkpoints; 0: only when interrupted"),
    FIELD(dead_after, INTEGER, "0", "0..", 0,
          "a latent is dead when it did not fire for so many steps; 0: one epoch"),
    FIELD(threads, INTEGER, "0", "0..64", 0, "0: as many as the machine has cores"),
};
enum { FIELDS = sizeof fields / sizeof *fields };

/* Where a value stood, for messages. */
struct place {
    const char *label;
    int line; /* 0: an override */
};

const struct sx_train_key *sx_train_config_key(size_t i)
{
    return i < FIELDS ? &fields[i].key : NULL;
}

static void *member(struct sx_train_config *config, const struct field *f)
{
    return (char *)config + f->offset;
}

static const void *member_const(const struct sx_train_config *config, const struct field *f)
{
    return (const char *)config + f->offset;
}

static SX_PRINTF(4, 5) enum sx_status
    refuse(const struct place *at, const char *key, struct sx_error *err, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (at->line > 0)
        return sx_fail(err, SX_ERR_USAGE, "%s:%d: key '%s': %s", at->label, at->line, key, text);
    return sx_fail(err, SX_ERR_USAGE, "%s: key '%s': %s", at->label, key, text);
}

/* --- one value ---------------------------------------------------------------------------------
 */

/* "LO..HI", either may be missing. */
static bool in_range(const char *range, double x)
{
    const char *dots = strstr(range, "..");
    if (!dots)
        return true;
    if (dots != range && x < strtod(range, NULL))
        return false;
    return dots[2] == '\0' || x <= strtod(dots + 2, NULL);
}

static enum sx_status check_number(const struct field *f, const struct place *at, double x,
                                   struct sx_error *err)
{
    if (!isfinite(x) || !in_range(f->key.range, x))
        return refuse(at, f->key.name, err, "%g is out of range, expected %s", x, f->key.range);
    return SX_OK;
}

static bool is_integer(const struct sx_value *v)
{
    double x = sx_value_real_or(v, (double)NAN);
    return x == floor(x) && fabs(x) < 0x1p53;
}

static enum sx_status set_integers(struct sx_train_config *config, const struct field *f,
                                   const struct place *at, const struct sx_value *v,
                                   struct sx_error *err)
{
    bool single = sx_value_kind(v) != SX_VALUE_LIST;
    size_t n = single ? 1 : sx_value_count(v);
    if (n < 1 || n > SX_TRAIN_MAX_SEEDS)
        return refuse(at, f->key.name, err, "%zu entries, expected 1 to %d", n,
                      (int)SX_TRAIN_MAX_SEEDS);
    for (size_t i = 0; i < n; i++) {
        const struct sx_value *item = single ? v : sx_value_item(v, i);
        if (!is_integer(item))
            return refuse(at, f->key.name, err, "expected a list of integers");
        SX_TRY(check_number(f, at, sx_value_real_or(item, 0), err));
        config->seeds[i] = sx_value_int_or(item, 0);
        for (size_t k = 0; k < i; k++)
            if (config->seeds[k] == config->seeds[i])
                return refuse(at, f->key.name, err, "%lld stands twice",
                              (long long)config->seeds[i]);
    }
    config->n_seeds = n;
    return SX_OK;
}

/* Index of `word` among "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word)
{
    size_t len = strlen(word);
    for (int i = 0;; i++) {
        size_t n = strcspn(choices, "|");
        if (n == len && memcmp(choices, word, n) == 0)
            return i;
        if (choices[n] == '\0')
            return -1;
        choices += n + 1;
    }
}

static enum sx_status set_choice(struct sx_train_config *config, const struct field *f,
                                 const struct place *at, const struct sx_value *v,
                                 struct sx_error *err)
{
    /* A plain `none` is a string in YAML, but people write `null` or `~` for it. */
    const char *word = sx_value_kind(v) == SX_VALUE_NULL ? "none" : sx_value_string_or(v, "");
    int i = choice_index(f->key.range, word);
    if (i < 0)
        return refuse(at, f->key.name, err, "'%s' is none of %s", word, f->key.range);
    i += f->first;
    memcpy(member(config, f), &i, sizeof i);
    return SX_OK;
}

static enum sx_status set_text(struct sx_train_config *config, const struct field *f,
                               const struct place *at, const struct sx_value *v,
                               struct sx_error *err)
{
    const char *text = sx_value_string_or(v, NULL);
    if (!text)
        return refuse(at, f->key.name, err, "expected a string, found %s",
                      sx_value_kind_name(sx_value_kind(v)));
    if (strlen(text) != sx_value_string_size(v))
        return refuse(at, f->key.name, err, "holds a zero byte");
    char **slot = member(config, f);
    sx_free(*slot);
    *slot = sx_xstrdup(text);
    return SX_OK;
}

static enum sx_status set_field(struct sx_train_config *config, const struct field *f,
                                const struct place *at, const struct sx_value *v,
                                struct sx_error *err)
{
    enum sx_value_kind found = sx_value_kind(v);
    bool number = found == SX_VALUE_INT || found == SX_VALUE_REAL;
    switch (f->kind) {
    case TEXT:
        return set_text(config, f, at, v, err);
    case CHOICE:
        return set_choice(config, f, at, v, err);
    case INTEGERS:
        return set_integers(config, f, at, v, err);
    case BOOLEAN:
        if (found != SX_VALUE_BOOL)
            return refuse(at, f->key.name, err, "expected true or false, found %s",
                          sx_value_kind_name(found));
        *(bool *)member(config, f) = sx_value_bool_or(v, false);
        return SX_OK;
    case INTEGER:
        if (!number || !is_integer(v))
            return refuse(at, f->key.name, err, "expected an integer, found %s",
                          sx_value_kind_name(found));
        SX_TRY(check_number(f, at, sx_value_real_or(v, 0), err));
        *(int64_t *)member(config, f) = sx_value_int_or(v, 0);
        return SX_OK;
    case REAL:
        if (!number)
            return refuse(at, f->key.name, err, "expected a number, found %s",
                          sx_value_kind_name(found));
        SX_TRY(check_number(f, at, sx_value_real_or(v, 0), err));
        *(double *)member(config, f) = sx_value_real_or(v, 0);
        return SX_OK;
    }
    return SX_OK;
}

/* --- keys --------------------------------------------------------------------------------------
 */

static size_t min3(size_t a, size_t b, size_t c)
{
    a = a < b ? a : b;
    return a < c ? a : c;
}

/* Levenshtein distance; words longer than the table count as far. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    size_t row[LONGEST + 1], n = strlen(b);
    if (n > LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t above = row[j + 1];
            row[j + 1] = min3(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return row[n];
}

static const struct field *find_field(const char *key)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(fields[i].key.name, key) == 0)
            return &fields[i];
    return NULL;
}

static enum sx_status unknown_key(const struct place *at, const char *key, struct sx_error *err)
{
    const char *nearest = NULL;
    size_t least = strlen(key) / 3 + 2;
    for (size_t i = 0; i < FIELDS; i++) {
        size_t d = distance(key, fields[i].key.name);
        if (d < least) {
            least = d;
            nearest = fields[i].key.name;
        }
    }
    char line[24] = "";
    if (at->line > 0)
        snprintf(line, sizeof line, ":%d", at->line);
    if (nearest)
        return sx_fail(err, SX_ERR_USAGE, "%s%s: unknown key '%s' (did you mean '%s'?)", at->label,
                       line, key, nearest);
    return sx_fail(err, SX_ERR_USAGE, "%s%s: unknown key '%s'", at->label, line, key);
}

static enum sx_status apply_document(struct sx_train_config *config, const char *label,
                                     const struct sx_value *doc, struct sx_error *err)
{
    if (sx_value_kind(doc) == SX_VALUE_NULL)
        return SX_OK; /* an empty file */
    if (sx_value_kind(doc) != SX_VALUE_MAP)
        return sx_fail(err, SX_ERR_USAGE, "%s:%d: expected 'key: value' lines, found %s", label,
                       sx_value_line(doc), sx_value_kind_name(sx_value_kind(doc)));
    for (size_t i = 0; i < sx_value_count(doc); i++) {
        const struct sx_value *v = sx_value_item(doc, i);
        struct place at = {label, sx_value_line(v)};
        const struct field *f = find_field(sx_value_key(doc, i));
        if (!f)
            return unknown_key(&at, sx_value_key(doc, i), err);
        SX_TRY(set_field(config, f, &at, v, err));
    }
    return SX_OK;
}

/* What an override says, as the file would: text as it is, "0,1,2" also without brackets. */
static enum sx_status override_value(const struct field *f, const char *text, const char *label,
                                     struct sx_value **v, struct sx_error *err)
{
    if (f->kind == TEXT) {
        *v = sx_value_string(text);
        return SX_OK;
    }
    char *yaml =
        f->kind == INTEGERS && text[0] != '[' ? sx_xasprintf("[%s]", text) : sx_xstrdup(text);
    enum sx_status status = sx_yaml_parse(label, yaml, strlen(yaml), v, err);
    sx_free(yaml);
    return status;
}

static enum sx_status apply_override(struct sx_train_config *config, const char *override,
                                     struct sx_error *err)
{
    const struct place at = {"--set", 0};
    const char *equals = strchr(override, '=');
    if (!equals)
        return sx_fail(err, SX_ERR_USAGE, "--set %s: expected key=value", override);
    char *key = sx_xstrndup(override, (size_t)(equals - override));
    const struct field *f = find_field(key);
    struct sx_value *v = NULL;
    enum sx_status status =
        f ? override_value(f, equals + 1, "--set", &v, err) : unknown_key(&at, key, err);
    if (f && status == SX_OK)
        status = set_field(config, f, &at, v, err);
    sx_value_free(v);
    sx_free(key);
    return status;
}

/* --- whole configurations ----------------------------------------------------------------------
 */

void sx_train_config_init(struct sx_train_config *config)
{
    *config = (struct sx_train_config){0};
    for (size_t i = 0; i < FIELDS; i++) {
        const char *fallback = fields[i].key.fallback ? fields[i].key.fallback : "";
        const struct place at = {"defaults", 0};
        struct sx_value *v = NULL;
        SX_ASSERT(override_value(&fields[i], fallback, "defaults", &v, NULL) == SX_OK);
        SX_ASSERT(set_field(config, &fields[i], &at, v, NULL) == SX_OK);
        sx_value_free(v);
    }
}

void sx_train_config_release(struct sx_train_config *config)
{
    sx_free(config->name);
    sx_free(config->data);
    sx_free(config->data_tensor);
    *config = (struct sx_train_config){0};
}

static bool is_file_name(const char *name)
{
    size_t len = strlen(name);
    uint32_t codepoint;
    if (len == 0 || name[0] == '.' || strchr(name, '/'))
        return false;
    for (size_t i = 0; i < len;) {
        i += sx_utf8_decode(name + i, len - i, &codepoint);
        if (sx_text_is_hostile(codepoint))
            return false;
    }
    return true;
}

static enum sx_status check_together(const char *label, const struct sx_train_config *config,
                                     struct sx_error *err)
{
    if (config->data[0] == '\0')
        return sx_fail(err, SX_ERR_USAGE, "%s: key 'data' is missing: what to train on", label);
    if (!is_file_name(config->name))
        return sx_fail(err, SX_ERR_USAGE,
                       "%s: key 'name': '%s' cannot be the first part of a file name", label,
                       config->name);
    if (config->beta1 >= 1 || config->beta2 >= 1)
        return sx_fail(err, SX_ERR_USAGE, "%s: beta1 and beta2 must be below 1", label);
    if (config->lr <= 0 || config->eps <= 0)
        return sx_fail(err, SX_ERR_USAGE, "%s: lr and eps must be above 0", label);
    if (config->dict_size == 0 && config->expansion <= 0)
        return sx_fail(err, SX_ERR_USAGE, "%s: dict_size or expansion must be above 0", label);
    if (!config->b_dec && config->b_dec_init != SX_B_DEC_ZERO)
        return sx_fail(err, SX_ERR_USAGE, "%s: b_dec_init needs b_dec: true", label);
    return SX_OK;
}

/* The file's name without folder and ending. */
static char *stem_of(const char *label)
{
    const char *slash = strrchr(label, '/');
    const char *base = slash ? slash + 1 : label;
    const char *dot = strrchr(base, '.');
    return sx_xstrndup(base, dot && dot != base ? (size_t)(dot - base) : strlen(base));
}

static void complete(struct sx_train_config *config, const char *label, const char *folder)
{
    if (config->name[0] == '\0') {
        sx_free(config->name);
        config->name = stem_of(label);
    }
    if (folder && config->data[0] != '\0' && config->data[0] != '/') {
        char *path = sx_xasprintf("%s/%s", folder, config->data);
        sx_free(config->data);
        config->data = path;
    }
}

static enum sx_status apply_all(struct sx_train_config *config, const char *label,
                                const struct sx_value *doc, const char *folder,
                                const char *const *overrides, size_t n_overrides,
                                struct sx_error *err)
{
    sx_train_config_init(config);
    enum sx_status status = apply_document(config, label, doc, err);
    if (status == SX_OK)
        complete(config, label, folder);
    for (size_t i = 0; i < n_overrides && status == SX_OK; i++)
        status = apply_override(config, overrides[i], err);
    if (status == SX_OK)
        status = check_together(label, config, err);
    if (status != SX_OK)
        sx_train_config_release(config);
    return status;
}

enum sx_status sx_train_config_parse(const char *label, const char *text, size_t len,
                                     const char *folder, const char *const *overrides,
                                     size_t n_overrides, struct sx_train_config *config,
                                     struct sx_error *err)
{
    struct sx_value *doc = NULL;
    SX_TRY(sx_yaml_parse(label, text, len, &doc, err));
    enum sx_status status = apply_all(config, label, doc, folder, overrides, n_overrides, err);
    sx_value_free(doc);
    return status;
}

enum sx_status sx_train_config_load(const char *path, const char *const *overrides,
                                    size_t n_overrides, struct sx_train_config *config,
                                    struct sx_error *err)
{
    struct sx_value *doc = NULL;
    SX_TRY(sx_yaml_parse_file(path, &doc, err));
    const char *slash = strrchr(path, '/');
    char *folder = slash ? sx_xstrndup(path, (size_t)(slash - path)) : NULL;
    enum sx_status status = apply_all(config, path, doc, folder, overrides, n_overrides, err);
    sx_free(folder);
    sx_value_free(doc);
    return status;
}

static struct sx_value *describe_choice(const struct field *f, int value)
{
    const char *word = f->key.range;
    for (int i = f->first; i < value; i++)
        word += strcspn(word, "|") + 1;
    return sx_value_string_len(word, strcspn(word, "|"));
}

static struct sx_value *describe_field(const struct sx_train_config *config, const struct field *f)
{
    const void *p = member_const(config, f);
    struct sx_value *list;
    int value;
    switch (f->kind) {
    case TEXT:
        return sx_value_string(*(char *const *)p);
    case INTEGER:
        return sx_value_int(*(const int64_t *)p);
    case REAL:
        return sx_value_real(*(const double *)p);
    case BOOLEAN:
        return sx_value_bool(*(const bool *)p);
    case CHOICE:
        memcpy(&value, p, sizeof value);
        return describe_choice(f, value);
    case INTEGERS:
        list = sx_value_list();
        for (size_t i = 0; i < config->n_seeds; i++)
            sx_value_append(list, sx_value_int(config->seeds[i]));
        return list;
    }
    return sx_value_null();
}

struct sx_value *sx_train_config_describe(const struct sx_train_config *config)
{
    struct sx_value *map = sx_value_map();
    for (size_t i = 0; i < FIELDS; i++)
        sx_value_set(map, fields[i].key.name, describe_field(config, &fields[i]));
    return map;
}
