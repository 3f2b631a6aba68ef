/* Lines begin with a code of two letters and three blanks; those of the sequence with five blanks.
 * Only what is asked for is looked at. Words of a feature line are told apart by blanks, which both
 * layouts of the table allow: "CHAIN 2 320 Annexin A5." and "CHAIN 2..320". */
#include "sextant/io/swissprot.h"

#include <ctype.h>
#include <string.h>

#include "lines.h"
#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"

enum {
    LONGEST_LINE = 1 << 16,
    LONGEST_SEQUENCE = 16 << 20,
    MOST_FEATURES = 1 << 16,
    LONGEST_NAME = 64,
    LONGEST_DESCRIPTION = 4096,
    LEFT_MARGIN = 5,
};

struct sx_swissprot {
    struct sx_lines *lines;
    const char *text; /* of the present line, without white space at its end */
    size_t len;
    uint64_t n_entries;

    char *name, *accession;
    bool fragment;
    bool has_sequence; /* the SQ line has been read */
    uint64_t declared; /* residues, as the SQ line says */
    struct sx_str sequence;
    struct sx_feature *features;
    uint64_t *at_line; /* of each feature */
    size_t n_features, features_room, lines_room;

    /* The feature that continuation lines belong to. */
    bool open;
    struct sx_str description;
    bool in_qualifiers; /* what follows is no description */
    bool has_evidence, has_experiment;
};

const char *sx_feature_name(enum sx_feature_kind kind)
{
    static const char *const names[SX_FEATURE_KIND_COUNT] = {
        "INIT_MET", "SIGNAL", "TRANSIT", "PROPEP", "CHAIN", "PEPTIDE", "NON_TER"};
    return (size_t)kind < SX_FEATURE_KIND_COUNT ? names[kind] : NULL;
}

/* --- lines --------------------------------------------------------------------------------------
 */

static bool is_space(char c)
{
    return isspace((unsigned char)c) != 0;
}

static enum sx_status wrong_at(const struct sx_swissprot *f, uint64_t line, struct sx_error *err,
                               const char *expected, const char *found, size_t len)
{
    char clean[64];
    sx_text_clean(clean, sizeof clean, found, len);
    return sx_fail(err, SX_ERR_FORMAT, "%s: line %llu: expected %s, found '%s'",
                   sx_lines_label(f->lines), (unsigned long long)line, expected, clean);
}

static enum sx_status wrong(const struct sx_swissprot *f, struct sx_error *err,
                            const char *expected, const char *found, size_t len)
{
    return wrong_at(f, sx_lines_number(f->lines), err, expected, found, len);
}

static enum sx_status too_much(const struct sx_swissprot *f, struct sx_error *err, const char *what)
{
    return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: line %llu: more than %s in %s",
                   sx_lines_label(f->lines), (unsigned long long)sx_lines_number(f->lines), what,
                   f->name);
}

static enum sx_status read_line(struct sx_swissprot *f, bool *more, struct sx_error *err)
{
    SX_TRY(sx_lines_next(f->lines, LONGEST_LINE, more, err));
    f->text = sx_lines_text(f->lines)->data;
    f->len = sx_lines_text(f->lines)->len;
    while (f->len > 0 && is_space(f->text[f->len - 1]))
        f->len--;
    return SX_OK;
}

static bool has_code(const struct sx_swissprot *f, const char *code)
{
    return f->len >= 2 && memcmp(f->text, code, 2) == 0 && (f->len == 2 || is_space(f->text[2]));
}

/* A word of the present line. */
struct word {
    const char *text;
    size_t len;
};

static struct word next_word(const struct sx_swissprot *f, size_t *at)
{
    while (*at < f->len && is_space(f->text[*at]))
        ++*at;
    const size_t from = *at;
    while (*at < f->len && !is_space(f->text[*at]))
        ++*at;
    return (struct word){f->text + from, *at - from};
}

static bool word_is(struct word word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.text, text, word.len) == 0;
}

static const char *find_in(const char *text, size_t len, const char *part)
{
    const size_t n = strlen(part);
    for (size_t i = 0; i + n <= len; i++)
        if (memcmp(text + i, part, n) == 0)
            return text + i;
    return NULL;
}

/* --- ID, AC, DE ---------------------------------------------------------------------------------
 */

static void forget_entry(struct sx_swissprot *f)
{
    sx_free(f->name);
    sx_free(f->accession);
    f->name = f->accession = NULL;
    f->fragment = f->has_sequence = f->open = false;
    f->n_features = 0;
    sx_str_clear(&f->sequence);
}

/* EMBL's files begin alike, but count base pairs. */
static enum sx_status take_id(struct sx_swissprot *f, struct sx_error *err)
{
    size_t at = 2;
    const struct word name = next_word(f, &at);
    if (!has_code(f, "ID") || name.len == 0 || f->len < 3 ||
        memcmp(f->text + f->len - 3, "AA.", 3) != 0)
        return wrong(f, err, "an entry of Swiss-Prot, 'ID   NAME … AA.'", f->text, f->len);
    f->name = sx_text_clean_dup(name.text, name.len, LONGEST_NAME);
    return SX_OK;
}

static void take_accession(struct sx_swissprot *f)
{
    size_t at = 2;
    const struct word first = next_word(f, &at);
    size_t len = 0;
    while (len < first.len && first.text[len] != ';')
        len++;
    if (!f->accession)
        f->accession = sx_text_clean_dup(first.text, len, LONGEST_NAME);
}

static void take_description(struct sx_swissprot *f)
{
    size_t at = 2;
    if (word_is(next_word(f, &at), "Flags:"))
        f->fragment |= find_in(f->text + at, f->len - at, "Fragment") != NULL;
    else
        f->fragment |= find_in(f->text, f->len, "(Fragment") != NULL ||
                       find_in(f->text, f->len, "(FRAGMENT") != NULL;
}

/* --- features -----------------------------------------------------------------------------------
 */

static bool says_inferred(const struct sx_str *description)
{
    static const char *const endings[] = {"Potential", "Probable", "By similarity"};
    size_t len = description->len;
    while (len > 0 && strchr(" .)", description->data[len - 1]))
        len--;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t n = strlen(endings[i]);
        if (len >= n && memcmp(description->data + len - n, endings[i], n) == 0)
            return true;
    }
    return false;
}

static void close_feature(struct sx_swissprot *f)
{
    if (!f->open)
        return;
    f->open = false;
    f->features[f->n_features - 1].inferred =
        f->has_evidence ? !f->has_experiment : says_inferred(&f->description);
}

/* Evidence codes: experiments, of one protein or of many, and statements of the literature. */
static void look_for_evidence(struct sx_swissprot *f, size_t at)
{
    static const char *const experiments[] = {"0000269", "0000303", "0000244",
                                              "0000213", "0007744", "0007829"};
    const char *end = f->text + f->len;
    const char *code = f->text + at;
    while ((code = find_in(code, (size_t)(end - code), "ECO:")) != NULL) {
        code += 4;
        f->has_evidence = true;
        for (size_t i = 0; i < sizeof experiments / sizeof experiments[0]; i++)
            if (end - code >= 7 && memcmp(code, experiments[i], 7) == 0)
                f->has_experiment = true;
    }
}

static void take_words(struct sx_swissprot *f, size_t at)
{
    while (at < f->len && is_space(f->text[at]))
        at++;
    if (at == f->len)
        return;
    look_for_evidence(f, at);
    f->in_qualifiers |= f->text[at] == '/';
    if (f->in_qualifiers || f->description.len + f->len > LONGEST_DESCRIPTION)
        return;
    sx_str_append_char(&f->description, ' ');
    sx_str_append_len(&f->description, f->text + at, f->len - at);
}

/* "12", "<1", ">30", "?", "?12"; false: none of these. */
static bool read_end(const char *text, size_t len, struct sx_feature_end *out)
{
    enum { DIGITS = 9 };
    *out = (struct sx_feature_end){0};
    if (len > 0 && (text[0] == '<' || text[0] == '>' || text[0] == '?')) {
        out->mark = text[0];
        text++;
        len--;
    }
    if (len > DIGITS || (len == 0 && out->mark != '?'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        out->at = out->at * 10 + (uint32_t)(text[i] - '0');
    }
    return len == 0 || out->at > 0 || out->mark == '\0';
}

/* "2..320", or "1" alone. */
static bool read_range(struct word word, struct sx_feature *out)
{
    const char *dots = find_in(word.text, word.len, "..");
    if (!dots) {
        const bool good = read_end(word.text, word.len, &out->from);
        out->to = out->from;
        return good;
    }
    const size_t n = (size_t)(dots - word.text);
    return read_end(word.text, n, &out->from) && read_end(dots + 2, word.len - n - 2, &out->to);
}

/* Only a methionine that is not in the sequence may stand at 0. */
static bool counts_from_one(const struct sx_feature *feature)
{
    const bool zero = (feature->from.at == 0 && feature->from.mark != '?') ||
                      (feature->to.at == 0 && feature->to.mark != '?');
    return !zero || (feature->kind == SX_FEATURE_INIT_MET && feature->from.at == feature->to.at);
}

static bool is_in_order(const struct sx_feature *feature)
{
    return feature->from.at == 0 || feature->to.at == 0 || feature->from.at <= feature->to.at;
}

static enum sx_status read_place(struct sx_swissprot *f, size_t *at, struct sx_feature *feature,
                                 bool *elsewhere, struct sx_error *err)
{
    const struct word first = next_word(f, at);
    size_t after = *at;
    const struct word second = next_word(f, &after);
    bool good;
    *elsewhere = find_in(first.text, first.len, ":") != NULL; /* another isoform */
    if (*elsewhere)
        return SX_OK;
    if (second.len == 0 || find_in(first.text, first.len, "..")) {
        good = read_range(first, feature);
    } else {
        good = read_end(first.text, first.len, &feature->from) &&
               read_end(second.text, second.len, &feature->to);
        *at = after;
    }
    if (good && counts_from_one(feature) && is_in_order(feature))
        return SX_OK;
    return wrong(f, err, "where the feature begins and ends, as '1 21' or '1..21'", first.text,
                 f->len - (size_t)(first.text - f->text));
}

static enum sx_status add_feature(struct sx_swissprot *f, const struct sx_feature *feature,
                                  struct sx_error *err)
{
    if (f->n_features == MOST_FEATURES)
        return too_much(f, err, "65536 features");
    SX_GROW(f->features, f->features_room, f->n_features + 1);
    SX_GROW(f->at_line, f->lines_room, f->n_features + 1);
    f->at_line[f->n_features] = sx_lines_number(f->lines);
    f->features[f->n_features++] = *feature;
    f->open = true;
    f->in_qualifiers = f->has_evidence = f->has_experiment = false;
    sx_str_clear(&f->description);
    return SX_OK;
}

static enum sx_status take_feature(struct sx_swissprot *f, struct sx_error *err)
{
    if (f->len <= LEFT_MARGIN)
        return SX_OK;
    if (is_space(f->text[LEFT_MARGIN])) { /* more about the last one */
        if (f->open)
            take_words(f, LEFT_MARGIN);
        return SX_OK;
    }
    close_feature(f);
    size_t at = LEFT_MARGIN;
    const struct word key = next_word(f, &at);
    for (int kind = 0; kind < SX_FEATURE_KIND_COUNT; kind++) {
        if (!word_is(key, sx_feature_name((enum sx_feature_kind)kind)))
            continue;
        struct sx_feature feature = {.kind = (enum sx_feature_kind)kind};
        bool elsewhere;
        SX_TRY(read_place(f, &at, &feature, &elsewhere, err));
        if (elsewhere)
            return SX_OK;
        SX_TRY(add_feature(f, &feature, err));
        take_words(f, at);
    }
    return SX_OK;
}

/* --- the sequence -------------------------------------------------------------------------------
 */

/* "SQ   SEQUENCE   472 AA;  52595 MW; …" */
static enum sx_status take_length(struct sx_swissprot *f, struct sx_error *err)
{
    size_t at = 2;
    struct sx_feature_end length;
    const bool sequence = word_is(next_word(f, &at), "SEQUENCE");
    const struct word number = next_word(f, &at);
    if (f->has_sequence || !sequence || number.len == 0 ||
        !read_end(number.text, number.len, &length) || length.mark)
        return wrong(f, err, "'SQ   SEQUENCE' and the number of residues, once", f->text, f->len);
    f->has_sequence = true;
    f->declared = length.at;
    return SX_OK;
}

static enum sx_status take_residues(struct sx_swissprot *f, struct sx_error *err)
{
    if (!f->has_sequence)
        return wrong(f, err, "a line code before the sequence", f->text, f->len);
    for (size_t i = 0; i < f->len; i++) {
        if (is_space(f->text[i]))
            continue;
        if (!isalpha((unsigned char)f->text[i]))
            return wrong(f, err, "letters of residues", f->text + i, 1);
        sx_str_append_char(&f->sequence, (char)toupper((unsigned char)f->text[i]));
    }
    if (f->sequence.len > LONGEST_SEQUENCE)
        return too_much(f, err, "16 MiB of sequence");
    return SX_OK;
}

/* --- entries ------------------------------------------------------------------------------------
 */

static enum sx_status check_entry(const struct sx_swissprot *f, struct sx_error *err)
{
    if (!f->has_sequence || f->sequence.len == 0)
        return sx_fail(err, SX_ERR_FORMAT, "%s: line %llu: expected a sequence before '//' in %s",
                       sx_lines_label(f->lines), (unsigned long long)sx_lines_number(f->lines),
                       f->name);
    if (f->sequence.len != f->declared)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: line %llu: %s: expected %llu residues as its SQ line says, found %zu",
                       sx_lines_label(f->lines), (unsigned long long)sx_lines_number(f->lines),
                       f->name, (unsigned long long)f->declared, f->sequence.len);
    for (size_t i = 0; i < f->n_features; i++) {
        const struct sx_feature *feature = &f->features[i];
        const uint32_t last = feature->from.at > feature->to.at ? feature->from.at : feature->to.at;
        if (last > f->sequence.len)
            return sx_fail(err, SX_ERR_FORMAT,
                           "%s: line %llu: %s of %s: expected positions up to %zu, found %u",
                           sx_lines_label(f->lines), (unsigned long long)f->at_line[i],
                           sx_feature_name(feature->kind), f->name, f->sequence.len, last);
    }
    return SX_OK;
}

static enum sx_status take_line(struct sx_swissprot *f, struct sx_error *err)
{
    if (has_code(f, "ID"))
        return wrong(f, err, "'//' before the next entry", f->text, f->len);
    if (has_code(f, "AC"))
        take_accession(f);
    else if (has_code(f, "DE"))
        take_description(f);
    else if (has_code(f, "FT"))
        return take_feature(f, err);
    else if (has_code(f, "SQ"))
        return take_length(f, err);
    else if (f->len > 0 && is_space(f->text[0]))
        return take_residues(f, err);
    return SX_OK;
}

/* Blank lines between entries say nothing. */
static enum sx_status find_entry(struct sx_swissprot *f, bool *more, struct sx_error *err)
{
    do
        SX_TRY(read_line(f, more, err));
    while (*more && f->len == 0);
    if (*more)
        return take_id(f, err);
    if (f->n_entries > 0)
        return SX_OK;
    return sx_fail(err, SX_ERR_FORMAT,
                   "%s: empty: expected entries of Swiss-Prot, 'ID   NAME … AA.'",
                   sx_lines_label(f->lines));
}

enum sx_status sx_swissprot_next(struct sx_swissprot *f, struct sx_swissprot_entry *entry,
                                 bool *more, struct sx_error *err)
{
    forget_entry(f);
    SX_TRY(find_entry(f, more, err));
    if (!*more)
        return SX_OK;
    f->n_entries++;
    for (;;) {
        SX_TRY(read_line(f, more, err));
        if (!*more)
            return sx_fail(err, SX_ERR_FORMAT, "%s: %s is cut off: expected '//' at its end",
                           sx_lines_label(f->lines), f->name);
        if (f->len == 2 && memcmp(f->text, "//", 2) == 0)
            break;
        SX_TRY(take_line(f, err));
    }
    close_feature(f);
    SX_TRY(check_entry(f, err));
    *entry = (struct sx_swissprot_entry){
        .name = f->name,
        .accession = f->accession ? f->accession : "",
        .fragment = f->fragment,
        .features = f->features,
        .n_features = f->n_features,
        .sequence = f->sequence.data,
        .length = f->sequence.len,
    };
    return SX_OK;
}

/* --- opening ------------------------------------------------------------------------------------
 */

static struct sx_swissprot *new_reader(struct sx_lines *take)
{
    struct sx_swissprot *f = sx_xcalloc(1, sizeof *f);
    f->lines = take;
    f->sequence = SX_STR_INIT;
    f->description = SX_STR_INIT;
    return f;
}

enum sx_status sx_swissprot_open(const char *path, struct sx_swissprot **out, struct sx_error *err)
{
    struct sx_lines *lines = NULL;
    SX_TRY(sx_lines_open(path, &lines, err));
    *out = new_reader(lines);
    return SX_OK;
}

enum sx_status sx_swissprot_open_memory(const char *label, const void *bytes, size_t size,
                                        struct sx_swissprot **out, struct sx_error *err)
{
    struct sx_lines *lines = NULL;
    SX_TRY(sx_lines_open_memory(label, bytes, size, &lines, err));
    *out = new_reader(lines);
    return SX_OK;
}

void sx_swissprot_close(struct sx_swissprot *file)
{
    if (!file)
        return;
    forget_entry(file);
    sx_lines_close(file->lines);
    sx_str_release(&file->sequence);
    sx_str_release(&file->description);
    sx_free(file->features);
    sx_free(file->at_line);
    sx_free(file);
}

/* --- which format -------------------------------------------------------------------------------
 */

static enum sx_status first_line(struct sx_swissprot *f, enum sx_protein_format *format,
                                 struct sx_error *err)
{
    bool more;
    do
        SX_TRY(read_line(f, &more, err));
    while (more && f->len == 0);
    if (more && (f->text[0] == '>' || f->text[0] == ';'))
        *format = SX_PROTEINS_FASTA;
    else if (more && has_code(f, "ID"))
        *format = SX_PROTEINS_SWISSPROT;
    return SX_OK;
}

enum sx_status sx_protein_format_of(const char *path, enum sx_protein_format *format,
                                    struct sx_error *err)
{
    struct sx_swissprot *f = NULL;
    *format = SX_PROTEINS_UNKNOWN;
    SX_TRY(sx_swissprot_open(path, &f, err));
    enum sx_status status = first_line(f, format, err);
    sx_swissprot_close(f);
    return status == SX_ERR_UNSUPPORTED ? SX_OK : status; /* a line of a megabyte is neither */
}
