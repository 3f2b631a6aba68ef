/* From annotations to the residue that a protein really starts with. */
#include "sextant/interp/presentation.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"
#include "sextant/interp/names.h"
#include "sextant/io/tsv.h"

struct sx_proteins_options sx_proteins_defaults(void)
{
    return (struct sx_proteins_options){.limit = 0, .min_length = 10};
}

void sx_proteins_release(struct sx_proteins *proteins)
{
    for (size_t i = 0; i < proteins->n; i++)
        sx_free(proteins->items[i].precursor);
    sx_free(proteins->items);
    *proteins = (struct sx_proteins){0};
}

/* --- adding one ---------------------------------------------------------------------------------
 */

static bool is_full(const struct sx_proteins *proteins, const struct sx_proteins_options *options)
{
    return options->limit > 0 && proteins->n >= options->limit;
}

static char *upper(const char *sequence, size_t length)
{
    char *copy = sx_xstrndup(sequence, length);
    for (size_t i = 0; i < length; i++)
        copy[i] = (char)toupper((unsigned char)copy[i]);
    return copy;
}

/* take->precursor is taken. */
static void add(struct sx_proteins *proteins, struct sx_protein *take,
                const struct sx_proteins_options *options)
{
    const char first = take->precursor[take->offset];
    const bool odd = !first || !strchr("ACDEFGHIKLMNPQRSTVWY", first);
    const bool too_short = take->mature == 0 || take->mature < options->min_length;
    if (is_full(proteins, options) || odd || too_short) {
        proteins->n_short += too_short;
        proteins->n_odd += odd && !too_short;
        sx_free(take->precursor);
        return;
    }
    /* Doubled at powers of two, so that no capacity has to be kept. */
    if ((proteins->n & (proteins->n - 1)) == 0)
        proteins->items = sx_xrealloc(proteins->items, (proteins->n ? 2 * proteins->n : 1) *
                                                           sizeof *proteins->items);
    proteins->items[proteins->n++] = *take;
}

/* --- Swiss-Prot ---------------------------------------------------------------------------------
 */

/* A mature chain; residues counted from 1. */
struct start {
    size_t from, to;
    bool beyond; /* the molecule begins before the sequence does */
    bool inferred;
    enum sx_nterm_class kind;
};

struct entry {
    const struct sx_swissprot_entry *file;
    char *precursor; /* owned, with an initiator methionine that the file leaves out */
    size_t length;
    size_t shift; /* 1: such a methionine was put back */
    struct start *starts;
    size_t n, room;
};

static bool is_exact(const struct sx_feature_end *end)
{
    return end->mark == '\0' && end->at > 0;
}

/* What is cut off before a mature chain. */
static bool class_of_removed(enum sx_feature_kind kind, enum sx_nterm_class *out)
{
    switch (kind) {
    case SX_FEATURE_INIT_MET:
        *out = SX_NTERM_EXCISION;
        return true;
    case SX_FEATURE_SIGNAL:
        *out = SX_NTERM_SIGNAL;
        return true;
    case SX_FEATURE_TRANSIT:
        *out = SX_NTERM_TRANSIT;
        return true;
    case SX_FEATURE_PROPEP:
        *out = SX_NTERM_PROPEP;
        return true;
    case SX_FEATURE_CHAIN:
    case SX_FEATURE_PEPTIDE:
    case SX_FEATURE_NON_TER:
    case SX_FEATURE_KIND_COUNT:
        break;
    }
    return false;
}

static void open_entry(struct entry *e, const struct sx_swissprot_entry *file)
{
    *e = (struct entry){.file = file};
    for (size_t i = 0; i < file->n_features; i++)
        if (file->features[i].kind == SX_FEATURE_INIT_MET && file->features[i].from.at == 0 &&
            file->features[i].from.mark == '\0')
            e->shift = 1;
    e->length = file->length + e->shift;
    e->precursor = sx_xasprintf("%s%s", e->shift ? "M" : "", file->sequence);
}

/* Of the i-th feature in residues of the precursor; false: the end is not known exactly. */
static bool ends_at(const struct entry *e, size_t i, size_t *at)
{
    const struct sx_feature *feature = &e->file->features[i];
    const bool left_out = feature->kind == SX_FEATURE_INIT_MET && feature->to.at == 0;
    *at = feature->to.at + e->shift;
    return left_out ? e->shift == 1 : is_exact(&feature->to);
}

static bool begins_at(const struct entry *e, size_t i, size_t *at)
{
    const struct sx_feature *feature = &e->file->features[i];
    const bool left_out = feature->kind == SX_FEATURE_INIT_MET && feature->from.at == 0;
    *at = feature->from.at + e->shift;
    return left_out ? e->shift == 1 : is_exact(&feature->from);
}

/* In ascending order, each start once with its longest chain. */
static void add_start(struct entry *e, const struct start *start)
{
    size_t at = 0;
    while (at < e->n && e->starts[at].from < start->from)
        at++;
    if (at < e->n && e->starts[at].from == start->from) {
        if (e->starts[at].to < start->to)
            e->starts[at].to = start->to;
        e->starts[at].inferred &= start->inferred;
        return;
    }
    SX_GROW(e->starts, e->room, e->n + 1);
    memmove(e->starts + at + 1, e->starts + at, (e->n - at) * sizeof *e->starts);
    e->starts[at] = *start;
    e->n++;
}

static bool is_chain(const struct sx_feature *feature)
{
    return feature->kind == SX_FEATURE_CHAIN || feature->kind == SX_FEATURE_PEPTIDE;
}

/* Chains with a start that can be told; whether there are any others is said too. */
static bool find_chains(struct entry *e)
{
    bool any = false;
    for (size_t i = 0; i < e->file->n_features; i++) {
        const struct sx_feature *feature = &e->file->features[i];
        const bool beyond = feature->from.mark == '<' && feature->from.at == 1;
        struct start start = {.beyond = beyond, .inferred = feature->inferred};
        if (!is_chain(feature))
            continue;
        any = true;
        if (!begins_at(e, i, &start.from) && !beyond)
            continue;
        start.to = feature->to.at > 0 ? feature->to.at + e->shift : e->length;
        add_start(e, &start);
    }
    return any;
}

/* Without chains: what is left when all that is cut off from residue 1 on is gone. False: the end
 * of something cut off is not known. */
static bool find_rest(struct entry *e)
{
    struct start start = {.from = 1, .to = e->length};
    bool again = true;
    while (again) {
        again = false;
        for (size_t i = 0; i < e->file->n_features && !again; i++) {
            enum sx_nterm_class kind;
            size_t from, to;
            if (!class_of_removed(e->file->features[i].kind, &kind) || !begins_at(e, i, &from) ||
                from != start.from)
                continue;
            if (!ends_at(e, i, &to) || to >= e->length)
                return false;
            start.from = to + 1;
            again = true;
        }
    }
    add_start(e, &start);
    return true;
}

/* Residue 1 of the sequence is residue 1 of the chain. */
static enum sx_nterm_class class_of_first(const struct entry *e, const struct start *start)
{
    bool cut_here = start->beyond, cut_elsewhere = false;
    for (size_t i = 0; i < e->file->n_features; i++) {
        const struct sx_feature *feature = &e->file->features[i];
        if (feature->kind != SX_FEATURE_NON_TER)
            continue;
        cut_here |= feature->from.at == 1;
        cut_elsewhere |= feature->from.at > 1;
    }
    if (cut_here || (e->file->fragment && !cut_elsewhere))
        return SX_NTERM_FRAGMENT;
    return e->precursor[0] == 'M' ? SX_NTERM_MET : SX_NTERM_SEQUENCE;
}

static void classify(struct entry *e, size_t index)
{
    struct start *start = &e->starts[index];
    start->kind = SX_NTERM_CHAIN;
    if (start->from == 1) {
        start->kind = class_of_first(e, start);
        return;
    }
    if (start->from == 2 && e->precursor[0] == 'M')
        start->kind = SX_NTERM_EXCISION;
    for (size_t i = 0; i < e->file->n_features; i++) {
        enum sx_nterm_class kind;
        size_t to;
        if (!class_of_removed(e->file->features[i].kind, &kind) || !ends_at(e, i, &to) ||
            to + 1 != start->from)
            continue;
        start->inferred |= e->file->features[i].inferred;
        /* A spacer between two products. */
        if (kind != SX_NTERM_PROPEP || index == 0)
            start->kind = kind;
    }
}

static void add_chain(struct sx_proteins *proteins, const struct entry *e, size_t index,
                      const struct sx_proteins_options *options)
{
    const struct start *start = &e->starts[index];
    struct sx_protein protein = {
        .kind = start->kind,
        .inferred = start->inferred,
        .precursor = sx_xstrndup(e->precursor, e->length),
        .length = e->length,
        .offset = start->from - 1,
        .mature = start->to - start->from + 1,
    };
    char id[2 * sizeof protein.id];
    if (index == 0)
        snprintf(id, sizeof id, "%s", e->file->name);
    else /* the part that tells them apart is kept */
        snprintf(id, sizeof id, "%.20s/%zu", e->file->name, start->from - e->shift);
    sx_text_clean(protein.id, sizeof protein.id, id, strlen(id));
    add(proteins, &protein, options);
}

void sx_proteins_add_entry(struct sx_proteins *proteins, const struct sx_swissprot_entry *entry,
                           const struct sx_proteins_options *options)
{
    struct entry e;
    proteins->n_read++;
    open_entry(&e, entry);
    if (!find_chains(&e))
        (void)find_rest(&e);
    proteins->n_unknown += e.n == 0;
    for (size_t i = 0; i < e.n; i++)
        classify(&e, i);
    for (size_t i = 0; i < e.n && !is_full(proteins, options); i++)
        add_chain(proteins, &e, i, options);
    sx_free(e.precursor);
    sx_free(e.starts);
}

static enum sx_status read_swissprot(const char *path, const struct sx_proteins_options *options,
                                     struct sx_task *task, struct sx_proteins *proteins,
                                     struct sx_error *err)
{
    struct sx_swissprot *file = NULL;
    bool more = true;
    SX_TRY(sx_swissprot_open(path, &file, err));
    enum sx_status status = SX_OK;
    while (status == SX_OK && more && !is_full(proteins, options)) {
        struct sx_swissprot_entry entry;
        status = sx_swissprot_next(file, &entry, &more, err);
        if (status == SX_OK && more)
            sx_proteins_add_entry(proteins, &entry, options);
        if (status == SX_OK)
            status = sx_task_step(task, 0, 0);
    }
    sx_swissprot_close(file);
    return status;
}

/* --- FASTA and what is known of it --------------------------------------------------------------
 */

struct truth {
    char *id; /* owned */
    char first;
    enum sx_nterm_class kind;
    size_t offset;
    uint64_t line;
    bool used;
};

struct truths {
    const char *path;
    struct truth *items; /* by id */
    size_t n, room;
};

static void truths_release(struct truths *truths)
{
    for (size_t i = 0; i < truths->n; i++)
        sx_free(truths->items[i].id);
    sx_free(truths->items);
}

static int by_id(const void *a, const void *b)
{
    const struct truth *x = a;
    const struct truth *y = b;
    return strcmp(x->id, y->id);
}

static struct truth *find_truth(const struct truths *truths, const char *id)
{
    const struct truth wanted = {.id = (char *)(uintptr_t)id};
    return truths->n ? bsearch(&wanted, truths->items, truths->n, sizeof *truths->items, by_id)
                     : NULL;
}

static enum sx_status wrong_truth(const struct truths *truths, uint64_t line, const char *expected,
                                  const char *found, struct sx_error *err)
{
    char clean[48];
    sx_text_clean(clean, sizeof clean, found, strlen(found));
    return sx_fail(err, SX_ERR_FORMAT, "%s: line %llu: expected %s, found '%s'", truths->path,
                   (unsigned long long)line, expected, clean);
}

static bool find_class(const char *name, enum sx_nterm_class *out)
{
    for (int kind = 0; kind < SX_NTERM_CLASS_COUNT; kind++)
        if (strcmp(name, sx_nterm_class_name((enum sx_nterm_class)kind)) == 0) {
            *out = (enum sx_nterm_class)kind;
            return true;
        }
    return false;
}

static enum sx_status take_truth(struct truths *truths, const struct sx_tsv_row *row,
                                 struct sx_error *err)
{
    struct truth truth = {.line = row->line};
    char *end = NULL;
    if (row->n != 4)
        return wrong_truth(truths, row->line, "id, first residue, class and offset between tabs",
                           row->field[0], err);
    if (strlen(row->field[1]) != 1 || !isalpha((unsigned char)row->field[1][0]))
        return wrong_truth(truths, row->line, "one letter, the first residue", row->field[1], err);
    if (!find_class(row->field[2], &truth.kind))
        return wrong_truth(truths, row->line,
                           "a class (met, excision, signal, transit, propep, chain, fragment, "
                           "sequence)",
                           row->field[2], err);
    const unsigned long offset = strtoul(row->field[3], &end, 10);
    if (!isdigit((unsigned char)row->field[3][0]) || *end || offset > UINT32_MAX)
        return wrong_truth(truths, row->line, "the residues before the mature chain", row->field[3],
                           err);
    truth.first = (char)toupper((unsigned char)row->field[1][0]);
    if (truth.kind == SX_NTERM_MET && truth.first != 'M')
        return wrong_truth(truths, row->line, "M first in class met", row->field[1], err);
    truth.offset = offset;
    truth.id = sx_xstrdup(row->field[0]);
    SX_GROW(truths->items, truths->room, truths->n + 1);
    truths->items[truths->n++] = truth;
    return SX_OK;
}

static enum sx_status read_truth_rows(struct truths *truths, struct sx_tsv *tsv,
                                      struct sx_task *task, struct sx_error *err)
{
    for (bool more = true;;) {
        struct sx_tsv_row row;
        SX_TRY(sx_task_step(task, 0, 0));
        SX_TRY(sx_tsv_next(tsv, &row, &more, err));
        if (!more)
            return SX_OK;
        const bool head = truths->n == 0 && strcmp(row.field[0], "id") == 0;
        if (!head)
            SX_TRY(take_truth(truths, &row, err));
    }
}

static enum sx_status read_truths(struct truths *truths, struct sx_task *task, struct sx_error *err)
{
    struct sx_tsv *tsv = NULL;
    SX_TRY(sx_tsv_open(truths->path, &tsv, err));
    const enum sx_status status = read_truth_rows(truths, tsv, task, err);
    sx_tsv_close(tsv);
    SX_TRY(status);
    if (truths->n > 0)
        qsort(truths->items, truths->n, sizeof *truths->items, by_id);
    for (size_t i = 1; i < truths->n; i++)
        if (strcmp(truths->items[i - 1].id, truths->items[i].id) == 0)
            return wrong_truth(truths, truths->items[i].line, "every id once", truths->items[i].id,
                               err);
    return SX_OK;
}

static void add_record(struct sx_proteins *proteins, const struct sx_fasta_record *record,
                       const struct truth *truth, const struct sx_proteins_options *options)
{
    const size_t offset = truth ? truth->offset : 0;
    struct sx_protein protein = {
        .precursor = upper(record->sequence, record->length),
        .length = record->length,
        .offset = offset,
        .mature = record->length - offset,
    };
    protein.kind = truth                         ? truth->kind
                   : protein.precursor[0] == 'M' ? SX_NTERM_MET
                                                 : SX_NTERM_SEQUENCE;
    sx_text_clean(protein.id, sizeof protein.id, record->name, strlen(record->name));
    proteins->n_read++;
    add(proteins, &protein, options);
}

void sx_proteins_add_record(struct sx_proteins *proteins, const struct sx_fasta_record *record,
                            const struct sx_proteins_options *options)
{
    add_record(proteins, record, NULL, options);
}

static enum sx_status check_truth(const struct truths *truths, const struct truth *truth,
                                  const struct sx_fasta_record *record, struct sx_error *err)
{
    char expected[96], found[2] = {0};
    if (truth->offset < record->length)
        found[0] = (char)toupper((unsigned char)record->sequence[truth->offset]);
    if (found[0] == truth->first)
        return SX_OK;
    snprintf(expected, sizeof expected, "%c behind %zu residues of %.32s", truth->first,
             truth->offset, record->name);
    return wrong_truth(truths, truth->line, expected, found, err);
}

static enum sx_status read_records(struct sx_fasta *fasta, struct truths *truths,
                                   const struct sx_proteins_options *options, struct sx_task *task,
                                   struct sx_proteins *proteins, struct sx_error *err)
{
    for (bool more = true; !is_full(proteins, options);) {
        struct sx_fasta_record record;
        SX_TRY(sx_task_step(task, 0, 0));
        SX_TRY(sx_fasta_next(fasta, &record, &more, err));
        if (!more)
            break;
        struct truth *truth = find_truth(truths, record.name);
        if (truth) {
            truth->used = true;
            SX_TRY(check_truth(truths, truth, &record, err));
        }
        add_record(proteins, &record, truth, options);
    }
    for (size_t i = 0; i < truths->n && !is_full(proteins, options); i++)
        if (!truths->items[i].used)
            return wrong_truth(truths, truths->items[i].line,
                               "the id of a record of the FASTA file", truths->items[i].id, err);
    return SX_OK;
}

static enum sx_status read_fasta(const char *path, struct truths *truths,
                                 const struct sx_proteins_options *options, struct sx_task *task,
                                 struct sx_proteins *proteins, struct sx_error *err)
{
    struct sx_fasta *fasta = NULL;
    if (truths->path)
        SX_TRY(read_truths(truths, task, err));
    SX_TRY(sx_fasta_open(path, &fasta, err));
    const enum sx_status status = read_records(fasta, truths, options, task, proteins, err);
    sx_fasta_close(fasta);
    return status;
}

/* --- files --------------------------------------------------------------------------------------
 */

static enum sx_status check_some(const char *path, const struct sx_proteins *proteins,
                                 struct sx_error *err)
{
    if (proteins->n > 0)
        return SX_OK;
    return sx_fail(err, SX_ERR_NOTFOUND,
                   "%s: no protein with a known first residue: of %zu, %zu have no known start, "
                   "%zu chains are too short, %zu begin with a symbol that is no residue",
                   path, proteins->n_read, proteins->n_unknown, proteins->n_short, proteins->n_odd);
}

enum sx_status sx_proteins_read(const char *path, enum sx_protein_format format, const char *truth,
                                const struct sx_proteins_options *options, struct sx_task *task,
                                struct sx_proteins *proteins, struct sx_error *err)
{
    struct truths truths = {.path = truth};
    enum sx_status status = SX_OK;
    if (format == SX_PROTEINS_UNKNOWN)
        SX_TRY(sx_protein_format_of(path, &format, err));
    if (format == SX_PROTEINS_UNKNOWN)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: expected '>' and a name (FASTA) or 'ID   NAME … AA.' (Swiss-Prot)",
                       path);
    if (format == SX_PROTEINS_SWISSPROT)
        status = read_swissprot(path, options, task, proteins, err);
    else
        status = read_fasta(path, &truths, options, task, proteins, err);
    truths_release(&truths);
    SX_TRY(status);
    return check_some(path, proteins, err);
}

/* --- built in -----------------------------------------------------------------------------------
 */

void sx_proteins_add_builtin(struct sx_proteins *proteins,
                             const struct sx_proteins_options *options)
{
    static const char insulin[] =
        "MALWMRLLPLLALLALWGPDPAAAFVNQHLCGSHLVEALYLVCGERGFFYTPKTRREAEDLQVGQVELGGGPGAGSLQPLALEGSLQ"
        "KRGIVEQCCTSICSLYQLENYCN";
    static const char lysozyme[] =
        "MRSLLILVLCFLPLAALGKVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRT"
        "PGSRNLCNIPCSALLSSDITASVNCAKKIVSDGNGMNAWVAWRNRCKGTDVQAWIRGCRL";
    static const struct {
        const char *id, *precursor;
        enum sx_nterm_class kind;
        size_t offset, mature; /* mature 0: to the end */
    } examples[] = {
        {"insulin-B", insulin, SX_NTERM_SIGNAL, 24, 30},
        {"insulin-A", insulin, SX_NTERM_CHAIN, 89, 21},
        {"lysozyme", lysozyme, SX_NTERM_SIGNAL, 18, 0},
        {"BPTI", "RPDFCLEPPYTGPCKARIIRYFYNAKAGLCQTFVYGGCRAKRNNFKSAEDCMRTCGGA", SX_NTERM_PROPEP, 0,
         0},
        {"melittin", "GIGAVLKVLTTGLPALISWIKRKRQQ", SX_NTERM_PROPEP, 0, 0},
        {"glucagon", "HSQGTFTSDYSKYLDSRRAQDFVQWLMNT", SX_NTERM_CHAIN, 0, 0},
        {"HIV-protease",
         "PQITLWQRPLVTIKIGGQLKEALLDTGADDTVLEEMSLPGRWKPKMIGGIGGFIKVRQYDQILIEICGHKAIGTVLVGPTPVNIIG"
         "RNLLTQIGCTLNF",
         SX_NTERM_CHAIN, 0, 0},
        {"ubiquitin",
         "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG",
         SX_NTERM_MET, 0, 0},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        const size_t length = strlen(examples[i].precursor);
        struct sx_protein protein = {
            .kind = examples[i].kind,
            .precursor = sx_xstrdup(examples[i].precursor),
            .length = length,
            .offset = examples[i].offset,
            .mature = examples[i].mature ? examples[i].mature : length - examples[i].offset,
        };
        snprintf(protein.id, sizeof protein.id, "%s", examples[i].id);
        proteins->n_read++;
        add(proteins, &protein, options);
    }
}
