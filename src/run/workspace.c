/* Walk the named paths, ask of each tensor file and of each folder with a config.json what it says
 * about itself, and put SAEs that are alike in all but the seed into families. Files are found by
 * their ending inside folders (opening every file of a home directory would take minutes) and by
 * content when named. */
#include "sextant/run/workspace.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "result_file.h"
#include "sextant/base/alloc.h"
#include "sextant/base/log.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"
#include "sextant/io/json.h"
#include "sextant/io/swissprot.h"
#include "sextant/io/tensor_file.h"
#include "sextant/model/model.h"
#include "sextant/sae/sae.h"
#include "stored_run.h"

enum { MAX_NAMES = 100000, MAX_DEPTH = 32, MAX_LABEL = 512 };

struct file_id {
    dev_t device;
    ino_t inode;
};

struct scan {
    struct sx_workspace *workspace;
    size_t capacity;
    struct sx_task *task;
    size_t n_names;
    bool full;            /* MAX_NAMES reached */
    const char *root;     /* the named path being walked */
    size_t root_len;      /* bytes of a path that a label leaves out */
    struct file_id *seen; /* files that have an entry, so that overlapping paths list them once */
    size_t n_seen, seen_capacity;
};

/* --- entries ------------------------------------------------------------------------------------
 */

static bool ends_with(const char *s, const char *tail)
{
    const size_t n = strlen(s);
    const size_t m = strlen(tail);
    return n > m && strcasecmp(s + n - m, tail) == 0;
}

/* What a name promises. */
static bool promises(const char *name, enum sx_entry_kind *kind)
{
    static const struct {
        const char *tail;
        enum sx_entry_kind kind;
    } tails[] = {
        {".curve.h5", SX_ENTRY_TRAINING},
        {".match.h5", SX_ENTRY_MATCH},
        {".run.h5", SX_ENTRY_RUN},
        {".fasta", SX_ENTRY_PROTEINS},
        {".fa", SX_ENTRY_PROTEINS},
        {".faa", SX_ENTRY_PROTEINS},
        {".dat", SX_ENTRY_PROTEINS},
        {".sw", SX_ENTRY_PROTEINS},
        {".fasta.gz", SX_ENTRY_PROTEINS},
        {".fa.gz", SX_ENTRY_PROTEINS},
        {".faa.gz", SX_ENTRY_PROTEINS},
        {".dat.gz", SX_ENTRY_PROTEINS},
        {".sw.gz", SX_ENTRY_PROTEINS},
        {".pt", SX_ENTRY_SAE},
        {".pth", SX_ENTRY_SAE},
        {".safetensors", SX_ENTRY_SAE},
        {".npz", SX_ENTRY_SAE},
        {".bin", SX_ENTRY_SAE},
        {".h5", SX_ENTRY_SAE},
        {".hdf5", SX_ENTRY_SAE},
    };
    static const char *const others[] = {".ckpt.h5", ".index.h5", ".steer.h5"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (ends_with(name, others[i]))
            return false;
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++)
        if (ends_with(name, tails[i].tail)) {
            *kind = tails[i].kind;
            return true;
        }
    return false;
}

static bool seen_before(struct scan *scan, const struct stat *st)
{
    for (size_t i = 0; i < scan->n_seen; i++)
        if (scan->seen[i].device == st->st_dev && scan->seen[i].inode == st->st_ino)
            return true;
    SX_GROW(scan->seen, scan->seen_capacity, scan->n_seen + 1);
    scan->seen[scan->n_seen++] = (struct file_id){st->st_dev, st->st_ino};
    return false;
}

static struct sx_entry *add_entry(struct scan *scan, const char *path, enum sx_entry_kind kind)
{
    struct sx_workspace *workspace = scan->workspace;
    SX_GROW(workspace->entries, scan->capacity, workspace->n_entries + 1);
    struct sx_entry *entry = &workspace->entries[workspace->n_entries++];
    *entry = (struct sx_entry){.kind = kind, .family = SIZE_MAX};
    sx_sae_info_init(&entry->info);
    const char *label = path + scan->root_len;
    while (*label == '/')
        label++;
    if (!*label && strrchr(path, '/')) /* the workspace itself: a model's folder */
        label = strrchr(path, '/') + 1;
    else if (!*label)
        label = path;
    entry->path = sx_xstrdup(path);
    entry->label = sx_text_clean_dup(label, strlen(label), MAX_LABEL);
    return entry;
}

static void add_problem(struct scan *scan, const char *path, const struct sx_error *why)
{
    add_entry(scan, path, SX_ENTRY_PROBLEM)->problem = *why;
    scan->workspace->n_problems++;
}

/* Does the folder's config.json say that it is a transformer of a family that we read? */
static bool says_our_family(const char *folder)
{
    char *path = sx_xasprintf("%s/config.json", folder);
    struct sx_value *config = NULL;
    bool ours = false;
    if (sx_json_parse_file(path, &config, NULL) == SX_OK) {
        const char *type = sx_value_string_or(sx_value_get(config, "model_type"), "");
        ours = strcmp(type, "esm") == 0 || strcmp(type, "gpt_neox") == 0;
    }
    sx_value_free(config);
    sx_free(path);
    return ours;
}

/* A transformer becomes an entry, and so does one that is refused when that concerns us (`ours`:
 * named, or of a family that we read). Returns whether there is an entry now. */
static bool add_model(struct scan *scan, const char *path, bool ours)
{
    struct sx_model_info info = {0};
    struct sx_error why = {0};
    enum sx_status status = sx_model_probe(path, &info, &why);
    if (status == SX_OK) {
        add_entry(scan, path, SX_ENTRY_MODEL)->model = info;
        scan->workspace->n_warnings += info.n_warnings;
        return true;
    }
    if (status == SX_ERR_NOTFOUND || !ours)
        return false;
    add_problem(scan, path, &why);
    return true;
}

/* The folder as a whole may be a transformer; its weight files are no entries of their own then. */
static bool add_model_folder(struct scan *scan, const char *folder, bool named)
{
    struct stat st;
    if (stat(folder, &st) != 0 || seen_before(scan, &st))
        return false;
    return add_model(scan, folder, named || says_our_family(folder));
}

static void add_sae(struct scan *scan, const char *path, bool named)
{
    struct sx_sae_info info;
    struct sx_error why = {0};
    enum sx_status status = sx_sae_probe(path, &info, &why);
    if (status == SX_OK) {
        struct sx_entry *entry = add_entry(scan, path, SX_ENTRY_SAE);
        sx_sae_info_release(&entry->info);
        entry->info = info;
        scan->workspace->n_warnings += info.n_warnings;
        return;
    }
    /* A *.pt of tensors that is no SAE may be fair-esm's, which the probe knows by its content. */
    const bool torch = ends_with(path, ".pt") && status == SX_ERR_NOTFOUND;
    if (add_model(scan, path, named || torch))
        return;
    /* A readable file of other tensors is no concern of ours, nor is a stray *.bin. */
    enum sx_container container;
    const bool claims =
        status != SX_ERR_NOTFOUND &&
        (!ends_with(path, ".bin") || sx_container_detect(path, &container, NULL) == SX_OK);
    if (named || claims)
        add_problem(scan, path, &why);
}

/* Many programs write *.dat: what does not begin like proteins is none, and no concern of ours. */
static bool is_proteins(const char *path)
{
    enum sx_protein_format format;
    return sx_protein_format_of(path, &format, NULL) == SX_OK && format != SX_PROTEINS_UNKNOWN;
}

/* An answer that no screen shows is an entry too, without a model. */
static void add_run(struct scan *scan, const char *path, struct sx_error *why)
{
    struct sx_value *run = NULL;
    struct sx_model_info model = {0};
    why->status = sx_run_describe(path, &run, why);
    if (why->status == SX_OK)
        why->status = sx_stored_model(path, run, &model, why);
    if (why->status == SX_ERR_NOTFOUND)
        *why = (struct sx_error){0};
    if (why->status != SX_OK) {
        sx_value_free(run);
        return;
    }
    struct sx_entry *entry = add_entry(scan, path, SX_ENTRY_RUN);
    entry->run = run;
    entry->model = model;
}

static void add_file(struct scan *scan, const char *path, enum sx_entry_kind kind, bool named)
{
    struct stat st;
    struct sx_error why = {0};
    if (stat(path, &st) != 0) {
        sx_fail(&why, SX_ERR_IO, "%s: %s", path, strerror(errno));
        add_problem(scan, path, &why);
        return;
    }
    if (seen_before(scan, &st))
        return;
    if (kind == SX_ENTRY_PROTEINS && is_proteins(path)) {
        add_entry(scan, path, kind);
        return;
    }
    if (kind == SX_ENTRY_SAE || (kind == SX_ENTRY_PROTEINS && named)) {
        add_sae(scan, path, named);
        return;
    }
    if (kind == SX_ENTRY_PROTEINS)
        return;
    enum sx_container container;
    if (sx_container_detect(path, &container, &why) == SX_OK && container != SX_CONTAINER_HDF5)
        sx_fail(&why, SX_ERR_FORMAT, "%s: expected HDF5, found %s", path,
                sx_container_name(container));
    if (why.status == SX_OK && kind == SX_ENTRY_RUN)
        add_run(scan, path, &why);
    else if (why.status == SX_OK)
        add_entry(scan, path, kind);
    if (why.status != SX_OK)
        add_problem(scan, path, &why);
}

/* --- walking ------------------------------------------------------------------------------------
 */

/* Text order, but runs of digits by their number: s2 before s10. */
static int natural_order(const char *a, const char *b)
{
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            const size_t zeros_a = strspn(a, "0");
            const size_t zeros_b = strspn(b, "0");
            const size_t n = strspn(a + zeros_a, "0123456789");
            const size_t m = strspn(b + zeros_b, "0123456789");
            if (n != m)
                return n < m ? -1 : 1;
            int order = strncmp(a + zeros_a, b + zeros_b, n);
            if (order)
                return order;
            a += zeros_a + n;
            b += zeros_b + m;
            continue;
        }
        if (*a != *b)
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        a++;
        b++;
    }
    return (*a != 0) - (*b != 0);
}

static int compare_names(const void *a, const void *b)
{
    const char *x = *(char *const *)a;
    const char *y = *(char *const *)b;
    int order = natural_order(x, y);
    return order ? order : strcmp(x, y);
}

struct names {
    char **name; /* owned */
    size_t count, capacity;
};

static void names_release(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        sx_free(names->name[i]);
    sx_free(names->name);
}

static enum sx_status read_names(struct scan *scan, const char *folder, struct names *names,
                                 struct sx_error *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return sx_fail(err, SX_ERR_IO, "%s: %s", folder, strerror(errno));
    for (struct dirent *entry; !scan->full && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        if (++scan->n_names > MAX_NAMES) {
            scan->full = true;
            break;
        }
        SX_GROW(names->name, names->capacity, names->count + 1);
        names->name[names->count++] = sx_xstrdup(entry->d_name);
    }
    closedir(dir);
    if (names->count)
        qsort(names->name, names->count, sizeof *names->name, compare_names);
    return SX_OK;
}

static enum sx_status walk(struct scan *scan, const char *folder, int depth);

/* A folder reached through a symbolic link is left alone: it may be its own parent. */
static enum sx_status visit(struct scan *scan, const char *path, int depth, bool in_model)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return SX_OK; /* gone since it was listed */
    if (S_ISDIR(st.st_mode))
        return depth < MAX_DEPTH ? walk(scan, path, depth + 1) : SX_OK;
    enum sx_entry_kind kind;
    const bool link = S_ISLNK(st.st_mode);
    if ((link || S_ISREG(st.st_mode)) && promises(path, &kind)) {
        if (link && (stat(path, &st) != 0 || !S_ISREG(st.st_mode)))
            return SX_OK;
        if (in_model && kind == SX_ENTRY_SAE && !ends_with(path, ".h5"))
            return SX_OK;
        add_file(scan, path, kind, false);
    }
    return SX_OK;
}

static enum sx_status walk(struct scan *scan, const char *folder, int depth)
{
    struct names names = {0};
    struct sx_error why = {0};
    if (read_names(scan, folder, &names, &why) != SX_OK)
        add_problem(scan, folder, &why);
    enum sx_status status = SX_OK;
    bool in_model = false;
    for (size_t i = 0; i < names.count && !in_model; i++)
        in_model =
            strcmp(names.name[i], "config.json") == 0 && add_model_folder(scan, folder, depth == 0);
    for (size_t i = 0; i < names.count && status == SX_OK; i++) {
        const char *slash = ends_with(folder, "/") || strcmp(folder, "/") == 0 ? "" : "/";
        char *path = sx_xasprintf("%s%s%s", folder, slash, names.name[i]);
        status = sx_task_step(scan->task, scan->n_names, 0);
        if (status == SX_OK)
            status = visit(scan, path, depth, in_model);
        sx_free(path);
    }
    names_release(&names);
    return status;
}

static size_t parent_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static enum sx_status scan_root(struct scan *scan, const char *root, bool only,
                                struct sx_error *err)
{
    struct stat st;
    if (stat(root, &st) != 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", root, strerror(errno));
    scan->root = root;
    char *clean = sx_xstrdup(root);
    for (size_t n = strlen(clean); n > 1 && clean[n - 1] == '/';)
        clean[--n] = '\0';
    enum sx_status status = SX_OK;
    if (S_ISDIR(st.st_mode)) {
        scan->root_len = only ? strlen(clean) : parent_length(clean);
        status = walk(scan, clean, 0);
    } else {
        enum sx_entry_kind kind = SX_ENTRY_SAE;
        promises(clean, &kind);
        scan->root_len = parent_length(clean);
        add_file(scan, clean, kind, true);
    }
    sx_free(clean);
    return status;
}

/* --- families -----------------------------------------------------------------------------------
 */

struct member { /* an SAE on its way into a family */
    size_t entry;
    const struct sx_sae_info *info; /* borrowed */
    char *key;                      /* owned */
    int level;                      /* how much of its place the key holds, see set_key */
};

/* The last number in the label that equals the seed: the seed's own, more likely than not. */
static const char *seed_number(const struct sx_entry *entry)
{
    const char *last = NULL;
    for (const char *c = entry->label; *c;) {
        const size_t digits = strspn(c, "0123456789");
        if (digits && digits < 18 && strtoll(c, NULL, 10) == (long long)entry->info.seed)
            last = c;
        c += digits ? digits : 1;
    }
    return last;
}

/* The label with its numbers left out: all of them, or only that of the seed. */
static void append_place(const struct sx_entry *entry, bool all, struct sx_str *out)
{
    const char *own = seed_number(entry);
    for (const char *c = entry->label; *c;) {
        const size_t digits = strspn(c, "0123456789");
        if (digits && (all || c == own))
            sx_str_append_char(out, '#');
        else
            sx_str_append_len(out, c, digits ? digits : 1);
        c += digits ? digits : 1;
    }
}

/* Two SAEs alike in all and of the same seed cannot be two seeds of one family: then their place
 * tells families apart, roughly at first (level 1), exactly if that is not enough (level 2). Where
 * no seed is known only the place can say what belongs together. */
static void set_key(struct member *member, const struct sx_entry *entry)
{
    struct sx_str key = SX_STR_INIT;
    sx_sae_family_key(member->info, &key);
    const int level = member->info->seed < 0 && member->level < 1 ? 1 : member->level;
    if (level > 0) {
        sx_str_append(&key, " in ");
        append_place(entry, level == 1, &key);
    }
    sx_free(member->key);
    member->key = sx_str_take(&key);
}

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a;
    const struct member *y = b;
    int order = strcmp(x->key, y->key);
    if (order)
        return order;
    if (x->info->seed != y->info->seed)
        return x->info->seed < y->info->seed ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

static size_t run_end(const struct member *members, size_t first, size_t n)
{
    size_t end = first + 1;
    while (end < n && strcmp(members[end].key, members[first].key) == 0)
        end++;
    return end;
}

/* Members of a family that holds a seed twice get a more exact key. */
static bool refine(struct member *members, size_t n, const struct sx_entry *entries)
{
    enum { EXACT = 2 };
    bool changed = false;
    for (size_t first = 0, end; first < n; first = end) {
        end = run_end(members, first, n);
        bool twice = false;
        for (size_t i = first + 1; i < end; i++)
            twice |=
                members[i].info->seed >= 0 && members[i].info->seed == members[i - 1].info->seed;
        for (size_t i = first; twice && i < end; i++) {
            if (members[i].level == EXACT)
                break;
            members[i].level++;
            changed = true;
        }
    }
    for (size_t i = 0; changed && i < n; i++)
        set_key(&members[i], &entries[members[i].entry]);
    return changed;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* What the family is of: host model and layer, the arms of the MNIST grid, or its name. */
static void title_subject(const struct sx_sae_info *info, struct sx_str *out)
{
    const bool ours = info->format == SX_SAE_SEXTANT || info->format == SX_SAE_MNIST_PICKLE;
    if (info->model || info->hook) {
        sx_str_append(out, info->model ? last_part(info->model) : info->hook);
        if (info->layer >= 0)
            sx_str_printf(out, " L%lld", (long long)info->layer);
    } else if (ours && info->image_width && info->has_bias &&
               info->constraint != SX_CONSTRAINT_NONE) {
        sx_str_append(out, "T");
    } else if (ours && info->image_width && !info->has_bias &&
               info->constraint <= SX_CONSTRAINT_NONE) {
        sx_str_append(out, "U");
    } else {
        sx_str_append(out, info->name ? info->name : last_part(info->path));
        /* T_l2_s0 is one seed of T_l2. */
        char seed[32];
        const char *const marks[] = {"_s", "_seed", "_seed_", "/seed", "-seed"};
        for (size_t i = 0; info->seed >= 0 && i < sizeof marks / sizeof marks[0]; i++) {
            snprintf(seed, sizeof seed, "%s%lld", marks[i], (long long)info->seed);
            if (ends_with(out->data, seed)) {
                out->len -= strlen(seed);
                out->data[out->len] = '\0';
                break;
            }
        }
    }
}

/* What tells neighbours apart comes first: narrow screens cut the end. */
static char *make_title(const struct sx_sae_info *info)
{
    struct sx_str title = SX_STR_INIT;
    title_subject(info, &title);
    if (info->k > 0)
        sx_str_printf(&title, " %s k=%lld", sx_sae_arch_name(info->arch), (long long)info->k);
    if (info->penalty_known) {
        sx_str_printf(&title, " %s", sx_penalty_name(info->penalty));
        if (info->penalty != SX_PENALTY_NONE && isfinite(info->lambda))
            sx_str_printf(&title, " %g", info->lambda);
    }
    sx_str_printf(&title, " %llu→%llu", (unsigned long long)info->activation_dim,
                  (unsigned long long)info->dict_size);
    if (info->k <= 0)
        sx_str_printf(&title, " %s", sx_sae_arch_name(info->arch));
    char *clean = sx_text_clean_dup(title.data, title.len, MAX_LABEL);
    sx_str_release(&title);
    return clean;
}

static void add_family(struct sx_workspace *workspace, const struct member *members, size_t n)
{
    struct sx_family *family = &workspace->families[workspace->n_families++];
    struct sx_str group = SX_STR_INIT;
    sx_sae_sibling_key(members[0].info, &group);
    *family = (struct sx_family){
        .key = sx_xstrdup(members[0].key),
        .group = sx_str_take(&group),
        .title = make_title(members[0].info),
        .members = sx_xcalloc(n, sizeof *family->members),
        .n_members = n,
    };
    for (size_t i = 0; i < n; i++) {
        family->members[i] = members[i].entry;
        family->n_warnings += members[i].info->n_warnings;
    }
}

struct ranked { /* a family with what it is ordered by */
    struct sx_family family;
    const struct sx_sae_info *first; /* borrowed */
    const char *group_title;         /* borrowed: the smallest title of its group */
};

static int compare_reals(double a, double b)
{
    /* Not known comes first. */
    const bool known_a = isfinite(a);
    const bool known_b = isfinite(b);
    if (known_a != known_b)
        return known_a ? 1 : -1;
    return known_a ? (a > b) - (a < b) : 0;
}

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    int order = natural_order(x->group_title, y->group_title);
    if (!order)
        order = strcmp(x->family.group, y->family.group);
    if (!order)
        order = (int)x->first->penalty - (int)y->first->penalty;
    if (!order)
        order = compare_reals(x->first->lambda, y->first->lambda);
    if (!order)
        order = compare_reals((double)x->first->k, (double)y->first->k);
    return order ? order : natural_order(x->family.key, y->family.key);
}

static void order_families(struct sx_workspace *workspace)
{
    const size_t n = workspace->n_families;
    struct ranked *ranked = sx_xcalloc(n, sizeof *ranked);
    for (size_t i = 0; i < n; i++) {
        const struct sx_family *family = &workspace->families[i];
        ranked[i] =
            (struct ranked){*family, &workspace->entries[family->members[0]].info, family->title};
        for (size_t j = 0; j < n; j++)
            if (strcmp(workspace->families[j].group, family->group) == 0 &&
                natural_order(workspace->families[j].title, ranked[i].group_title) < 0)
                ranked[i].group_title = workspace->families[j].title;
    }
    qsort(ranked, n, sizeof *ranked, compare_ranked);
    for (size_t i = 0; i < n; i++) {
        workspace->families[i] = ranked[i].family;
        for (size_t m = 0; m < ranked[i].family.n_members; m++)
            workspace->entries[ranked[i].family.members[m]].family = i;
    }
    sx_free(ranked);
}

/* Families that look the same get their place into the title, and a number if that is equal too. */
static void part_titles(struct sx_workspace *workspace)
{
    const size_t n = workspace->n_families;
    bool *twin = sx_xcalloc(n, sizeof *twin);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < n; i++) {
            twin[i] = false;
            for (size_t j = 0; j < n; j++)
                twin[i] |= j != i &&
                           strcmp(workspace->families[i].title, workspace->families[j].title) == 0;
        }
        for (size_t i = 0; i < n; i++) {
            if (!twin[i])
                continue;
            struct sx_family *family = &workspace->families[i];
            const char *label = workspace->entries[family->members[0]].label;
            char *before = family->title;
            family->title = round == 0 ? sx_xasprintf("%s · %s", before, label)
                                       : sx_xasprintf("%s · %zu", before, i);
            sx_free(before);
        }
    }
    sx_free(twin);
}

static void make_families(struct sx_workspace *workspace)
{
    struct member *members = sx_xcalloc(workspace->n_entries + 1, sizeof *members);
    size_t n = 0;
    for (size_t i = 0; i < workspace->n_entries; i++) {
        struct sx_entry *entry = &workspace->entries[i];
        if (entry->kind != SX_ENTRY_SAE)
            continue;
        members[n] = (struct member){.entry = i, .info = &entry->info};
        set_key(&members[n++], entry);
    }
    if (n) {
        do
            qsort(members, n, sizeof *members, compare_members);
        while (refine(members, n, workspace->entries));
        workspace->families = sx_xcalloc(n, sizeof *workspace->families);
        for (size_t first = 0, end; first < n; first = end) {
            end = run_end(members, first, n);
            add_family(workspace, members + first, end - first);
        }
        order_families(workspace);
        part_titles(workspace);
    }
    for (size_t i = 0; i < n; i++)
        sx_free(members[i].key);
    sx_free(members);
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static void remember_paths(struct sx_workspace *workspace, const char *const *paths, size_t n)
{
    struct sx_str root = SX_STR_INIT;
    workspace->paths = sx_xcalloc(n, sizeof *workspace->paths);
    workspace->n_paths = n;
    for (size_t i = 0; i < n; i++) {
        workspace->paths[i] = sx_xstrdup(paths[i]);
        sx_str_printf(&root, "%s%s", i ? " " : "", paths[i]);
    }
    workspace->root = sx_text_clean_dup(root.data, root.len, MAX_LABEL);
    sx_str_release(&root);
}

enum sx_status sx_workspace_scan(const char *const *paths, size_t n_paths, struct sx_task *task,
                                 struct sx_workspace *workspace, struct sx_error *err)
{
    const double started = sx_clock();
    *workspace = (struct sx_workspace){0};
    struct scan scan = {.workspace = workspace, .task = task};
    remember_paths(workspace, paths, n_paths);
    enum sx_status status = SX_OK;
    for (size_t i = 0; i < n_paths && status == SX_OK; i++)
        status = scan_root(&scan, paths[i], n_paths == 1, err);
    if (status == SX_OK && scan.full) {
        struct sx_error why;
        sx_fail(&why, SX_ERR_UNSUPPORTED, "%s: more than %d names; the rest was not looked at",
                scan.root, MAX_NAMES);
        add_problem(&scan, scan.root, &why);
    }
    sx_free(scan.seen);
    if (status != SX_OK) {
        sx_workspace_release(workspace);
        return status;
    }
    make_families(workspace);
    workspace->scan_seconds = sx_clock() - started;
    return SX_OK;
}

void sx_workspace_release(struct sx_workspace *workspace)
{
    for (size_t i = 0; i < workspace->n_entries; i++) {
        sx_free(workspace->entries[i].path);
        sx_free(workspace->entries[i].label);
        sx_sae_info_release(&workspace->entries[i].info);
        sx_model_info_release(&workspace->entries[i].model);
        sx_value_free(workspace->entries[i].run);
    }
    for (size_t i = 0; i < workspace->n_families; i++) {
        sx_free(workspace->families[i].key);
        sx_free(workspace->families[i].group);
        sx_free(workspace->families[i].title);
        sx_free(workspace->families[i].members);
    }
    for (size_t i = 0; i < workspace->n_paths; i++)
        sx_free(workspace->paths[i]);
    sx_free(workspace->paths);
    sx_free(workspace->entries);
    sx_free(workspace->families);
    sx_free(workspace->root);
    *workspace = (struct sx_workspace){0};
}
