#include "mutations.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "text_file.h"

enum { MAX_SITES = 64 };

struct change {
    uint32_t token;
    int32_t from, to;
};

/* The 20 residues and the ambiguous ones in the order of their ids. */
static const char letters[] = "LAGVSERTIDPKQNFYMHWCXBUZO";

static int32_t id_of(char letter)
{
    const char *at = letter ? strchr(letters, toupper((unsigned char)letter)) : NULL;
    return at ? (int32_t)(SX_ESM_FIRST_RESIDUE + (at - letters)) : -1;
}

static char letter_of(int32_t id)
{
    const int32_t at = id - SX_ESM_FIRST_RESIDUE;
    return at >= 0 && (size_t)at < strlen(letters) ? letters[at] : '?';
}

void sx_mutations_release(struct sx_mutations *mutations)
{
    for (size_t i = 0; i < mutations->n; i++) {
        sx_free(mutations->variant[i].text);
        sx_free(mutations->variant[i].from);
        sx_free(mutations->variant[i].to);
    }
    for (size_t i = 0; i < mutations->n_sites; i++)
        sx_free(mutations->sites[i].token);
    sx_free(mutations->variant);
    sx_free(mutations->sites);
    *mutations = (struct sx_mutations){0};
}

static enum sx_status read_change(const char **p, const struct sx_ids *ids, const char *where,
                                  struct change *out, struct sx_error *err)
{
    const size_t shift = ids->n > 0 && ids->ids[0] == SX_ESM_CLS ? 0 : 1;
    const size_t len = strcspn(*p, ":");
    char *end;
    out->from = id_of(**p);
    const unsigned long residue = isdigit((unsigned char)(*p)[1]) ? strtoul(*p + 1, &end, 10) : 0;
    if (out->from < 0 || residue == 0 || end >= *p + len || end + 1 != *p + len ||
        (out->to = id_of(*end)) < 0)
        return sx_fail(err, SX_ERR_FORMAT, "%s: '%.*s' is no substitution such as A42G", where,
                       len < 40 ? (int)len : 40, *p);
    if (residue - shift >= ids->n || letter_of(ids->ids[residue - shift]) == '?')
        return sx_fail(err, SX_ERR_FORMAT, "%s: %.*s: the sequence has no residue %lu", where,
                       (int)len, *p, residue);
    out->token = (uint32_t)(residue - shift);
    if (ids->ids[out->token] != out->from)
        return sx_fail(err, SX_ERR_FORMAT, "%s: %.*s: residue %lu is %c, not %c", where, (int)len,
                       *p, residue, letter_of(ids->ids[out->token]), letter_of(out->from));
    *p += len;
    return SX_OK;
}

static int by_token(const void *a, const void *b)
{
    const struct change *x = a;
    const struct change *y = b;
    return (x->token > y->token) - (x->token < y->token);
}

/* The set of sites of these changes: one that is there, or a new one. Variants of a scan come in
 * order, so the last sets are looked at first. */
static size_t find_sites(struct sx_mutations *m, const struct change *changes, size_t n)
{
    for (size_t i = m->n_sites; i-- > 0;) {
        size_t same = 0;
        while (m->sites[i].n == n && same < n && m->sites[i].token[same] == changes[same].token)
            same++;
        if (same == n)
            return i;
    }
    SX_GROW(m->sites, m->room_sites, m->n_sites + 1);
    struct sx_sites *sites = &m->sites[m->n_sites];
    *sites = (struct sx_sites){sx_xcalloc(n, sizeof *sites->token), n};
    for (size_t i = 0; i < n; i++)
        sites->token[i] = changes[i].token;
    return m->n_sites++;
}

enum sx_status sx_mutations_add(struct sx_mutations *mutations, const char *text,
                                const struct sx_ids *ids, const char *where, struct sx_error *err)
{
    struct change changes[MAX_SITES];
    size_t n = 0;
    for (const char *p = text;; p++) {
        if (n == MAX_SITES)
            return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: more than %d substitutions", where,
                           MAX_SITES);
        SX_TRY(read_change(&p, ids, where, &changes[n++], err));
        if (*p != ':')
            break;
    }
    qsort(changes, n, sizeof *changes, by_token);
    for (size_t i = 1; i < n; i++)
        if (changes[i].token == changes[i - 1].token)
            return sx_fail(err, SX_ERR_FORMAT, "%s: %.60s: one residue twice", where, text);
    SX_GROW(mutations->variant, mutations->room, mutations->n + 1);
    struct sx_variant *variant = &mutations->variant[mutations->n++];
    *variant = (struct sx_variant){.text = sx_xstrdup(text),
                                   .from = sx_xcalloc(n, sizeof *variant->from),
                                   .to = sx_xcalloc(n, sizeof *variant->to),
                                   .n = n};
    for (size_t i = 0; i < n; i++) {
        variant->from[i] = changes[i].from;
        variant->to[i] = changes[i].to;
    }
    variant->sites = find_sites(mutations, changes, n);
    return SX_OK;
}

/* The n-th field of a line, cut in place; fields hold no quoted commas in these files. */
static char *field(char *line, size_t n)
{
    for (; n > 0; n--) {
        line += strcspn(line, ",");
        if (!*line)
            return line;
        line++;
    }
    line[strcspn(line, ",")] = '\0';
    line += strspn(line, " \t\"");
    line[strcspn(line, " \t\"")] = '\0';
    return line;
}

/* Which column is called `mutant`; -1: none is. */
static int mutant_column(const char *line)
{
    static const char name[] = "mutant";
    int column = 0;
    for (const char *p = line; *p; column++) {
        const size_t len = strcspn(p, ",");
        const char *start = p + strspn(p, " \t\"");
        if (strncmp(start, name, strlen(name)) == 0 &&
            strchr(" \t\",", start[strlen(name)])) /* also the end of the line */
            return column;
        p += len + (p[len] == ',');
    }
    return -1;
}

enum sx_status sx_mutations_read(const char *path, const struct sx_ids *ids,
                                 struct sx_mutations *mutations, struct sx_error *err)
{
    struct sx_str text = SX_STR_INIT;
    enum sx_status status = sx_text_file_read(path, &text, err);
    char *p = text.data;
    size_t column = 0, number = 0;
    bool first = true;
    for (char *line; status == SX_OK && (line = sx_text_next_line(&p));) {
        char where[300];
        snprintf(where, sizeof where, "%.250s:%zu", path, ++number);
        if (!line[strspn(line, " \t\r")] || line[0] == '#')
            continue;
        const int found = first ? mutant_column(line) : -1;
        first = false;
        if (found >= 0)
            column = (size_t)found;
        else
            status = sx_mutations_add(mutations, field(line, column), ids, where, err);
    }
    if (status == SX_OK && mutations->n == 0)
        status = sx_fail(err, SX_ERR_FORMAT, "%s: no mutations", path);
    sx_str_release(&text);
    return status;
}
