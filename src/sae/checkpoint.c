/* SAE checkpoints: find the tensor file and the configuration beside it, ask each library's reader
 * whether the file is its own, and read the weights into the canonical form. */
#include "checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/base/text.h"
#include "sextant/io/json.h"

/* The first that claims a file reads it: specific forms before general ones. */
static const struct sx_sae_reader *const readers[] = {
    &sx_sae_reader_sextant,     &sx_sae_reader_mnist_pickle, &sx_sae_reader_saelens,
    &sx_sae_reader_sparsify,    &sx_sae_reader_interplm,     &sx_sae_reader_dictionary_learning,
    &sx_sae_reader_gemma_scope, &sx_sae_reader_plain,
};

/* An SAE with what keeps it alive. */
struct sae_box {
    struct sx_sae sae; /* first: a pointer to it is a pointer to the box */
    atomic_uint refs;
    bool finite;
    struct sx_tensor_file *file; /* owned: slots may point into it */
    float *storage[SX_N_SLOTS];  /* owned copies */
};

static struct sae_box *box_of(const struct sx_sae *sae)
{
    return sae->owned;
}

/* --- slots -------------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    char shape[3]; /* letters of the shape */
} slot_table[SX_N_SLOTS] = {
    [SX_SLOT_W_ENC] = {"W_enc", "FD"},
    [SX_SLOT_W_DEC] = {"W_dec", "FD"},
    [SX_SLOT_B_ENC] = {"b_enc", "F"},
    [SX_SLOT_B_DEC] = {"b_dec", "D"},
    [SX_SLOT_THRESHOLD] = {"threshold", "F"},
    [SX_SLOT_B_GATE] = {"b_gate", "F"},
    [SX_SLOT_B_MAG] = {"b_mag", "F"},
    [SX_SLOT_R_MAG] = {"r_mag", "F"},
    [SX_SLOT_W_SKIP] = {"W_skip", "DD"},
    [SX_SLOT_RESCALE] = {"activation_rescale_factor", "F"},
};

const char *sx_slot_name(enum sx_slot slot)
{
    return slot_table[slot].name;
}

int sx_slot_shape(enum sx_slot slot, uint64_t d, uint64_t f, uint64_t shape[2])
{
    int rank = 0;
    for (const char *letter = slot_table[slot].shape; *letter; letter++)
        shape[rank++] = *letter == 'F' ? f : d;
    return rank;
}

const float **sx_slot_of(struct sx_sae *sae, enum sx_slot slot)
{
    const float **const fields[SX_N_SLOTS] = {
        [SX_SLOT_W_ENC] = &sae->W_enc,         [SX_SLOT_W_DEC] = &sae->W_dec,
        [SX_SLOT_B_ENC] = &sae->b_enc,         [SX_SLOT_B_DEC] = &sae->b_dec,
        [SX_SLOT_THRESHOLD] = &sae->threshold, [SX_SLOT_B_GATE] = &sae->b_gate,
        [SX_SLOT_B_MAG] = &sae->b_mag,         [SX_SLOT_R_MAG] = &sae->r_mag,
        [SX_SLOT_W_SKIP] = &sae->W_skip,       [SX_SLOT_RESCALE] = &sae->rescale,
    };
    return fields[slot];
}

const float *sx_slot_get(const struct sx_sae *sae, enum sx_slot slot)
{
    struct sx_sae copy = *sae;
    return *sx_slot_of(&copy, slot);
}

static uint64_t slot_count(enum sx_slot slot, const struct sx_sae_info *info)
{
    uint64_t shape[2], count = 1;
    int rank = sx_slot_shape(slot, info->activation_dim, info->dict_size, shape);
    for (int i = 0; i < rank; i++)
        count *= shape[i];
    return count;
}

bool sx_sae_is_finite(const struct sx_sae *sae)
{
    return box_of(sae)->finite;
}

enum sx_status sx_sae_check_whole(const struct sx_sae *sae, struct sx_error *err)
{
    const struct sae_box *box = box_of(sae);
    if (!box->file || !sx_tensor_file_was_cut(box->file))
        return SX_OK;
    return sx_fail(err, SX_ERR_IO, "%s: the file was cut shorter while it was open",
                   sae->info.file);
}

/* --- paths -------------------------------------------------------------------------------------
 */

static size_t path_length(const char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len;
}

char *sx_path_base(const char *path)
{
    size_t len = path_length(path), start = len;
    while (start > 0 && path[start - 1] != '/')
        start--;
    return sx_xstrndup(path + start, len - start);
}

char *sx_path_dir(const char *path)
{
    size_t len = path_length(path);
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len == 0 ? sx_xstrdup(".") : sx_xstrndup(path, len);
}

int64_t sx_path_number(const char *path, const char *word)
{
    int64_t found = -1;
    for (const char *at = path; (at = strstr(at, word)) != NULL; at += strlen(word)) {
        const char *digits = at + strlen(word);
        if (at != path && at[-1] != '/' && at[-1] != '_' && at[-1] != '.' && at[-1] != '-')
            continue;
        if (*digits >= '0' && *digits <= '9')
            found = (int64_t)strtol(digits, NULL, 10);
    }
    return found;
}

static char *join(const char *folder, const char *name)
{
    size_t len = path_length(folder);
    const char *slash = len > 0 && folder[len - 1] == '/' ? "" : "/";
    return sx_xasprintf("%.*s%s%s", (int)len, folder, slash, name);
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool ends_with(const char *s, const char *tail)
{
    size_t a = strlen(s), b = strlen(tail);
    return a >= b && strcmp(s + a - b, tail) == 0;
}

static bool tensor_name(const char *name)
{
    static const char *const tails[] = {".pt",  ".pth", ".bin", ".safetensors",
                                        ".npz", ".h5",  ".hdf5"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
        if (ends_with(name, tails[i]))
            return true;
    return false;
}

/* The only tensor file of a folder without sub-folders, or NULL. *safetensors: the only one with
 * that ending, whatever else lies there. Both owned by the caller. */
static char *sole_tensor_file(const char *folder, char **safetensors)
{
    DIR *dir = opendir(folder);
    *safetensors = NULL;
    if (!dir)
        return NULL;
    char *sole = NULL;
    int n = 0, n_safe = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = join(folder, entry->d_name);
        struct stat st;
        bool known = stat(path, &st) == 0;
        if (known && S_ISDIR(st.st_mode)) {
            n += 2;
        } else if (known && tensor_name(entry->d_name)) {
            if (ends_with(entry->d_name, ".safetensors") &&
                strcmp(entry->d_name, "sparsity.safetensors") != 0 && n_safe++ == 0)
                *safetensors = sx_xstrdup(path);
            if (n++ == 0)
                sole = sx_xstrdup(path);
        }
        sx_free(path);
    }
    closedir(dir);
    if (n != 1) {
        sx_free(sole);
        sole = NULL;
    }
    if (n_safe != 1) {
        sx_free(*safetensors);
        *safetensors = NULL;
    }
    return sole;
}

/* Which tensor file a folder stands for. */
static enum sx_status pick_file(const char *folder, char **file, bool *conventional,
                                struct sx_error *err)
{
    static const struct {
        const char *file, *beside;
    } sets[] = {
        {"sae_weights.safetensors", "cfg.json"},
        {"sae.safetensors", "cfg.json"},
        {"ae.pt", NULL},
        {"ae_normalized.pt", NULL},
        {"params.npz", NULL},
    };
    *conventional = true;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        char *weights = join(folder, sets[i].file);
        char *config = sets[i].beside ? join(folder, sets[i].beside) : NULL;
        bool found = is_file(weights) && (!config || is_file(config));
        sx_free(config);
        if (found) {
            *file = weights;
            return SX_OK;
        }
        sx_free(weights);
    }
    char *safetensors = NULL;
    char *sole = sole_tensor_file(folder, &safetensors);
    char *config = join(folder, "cfg.json");
    *conventional = is_file(config);
    sx_free(config);
    if (*conventional && safetensors) {
        *file = safetensors;
        sx_free(sole);
        return SX_OK;
    }
    sx_free(safetensors);
    *file = sole;
    *conventional = false;
    if (!sole)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: the folder is not one SAE", folder);
    return SX_OK;
}

/* --- source ------------------------------------------------------------------------------------
 */

static void source_close(struct sx_sae_source *s)
{
    sx_tensor_file_close(s->tensors);
    sx_value_free(s->config);
    sx_free(s->config_path);
    sx_free(s->path);
    sx_free(s->file);
    sx_free(s->folder);
    *s = (struct sx_sae_source){0};
}

static bool take_config(struct sx_sae_source *s, const char *folder, const char *name)
{
    char *path = join(folder, name);
    if (!is_file(path)) {
        sx_free(path);
        return false;
    }
    s->config_path = path;
    struct sx_error why = {0};
    if (sx_json_parse_file(path, &s->config, &why) != SX_OK)
        s->config_error = why;
    return true;
}

static void read_config(struct sx_sae_source *s)
{
    enum sx_container container = sx_tensor_file_container(s->tensors);
    if (container == SX_CONTAINER_SAFETENSORS) {
        if (!take_config(s, s->folder, "cfg.json"))
            (void)take_config(s, s->folder, "config.json");
        return;
    }
    if (container != SX_CONTAINER_TORCH_ZIP)
        return;
    if (take_config(s, s->folder, "config.json") || take_config(s, s->folder, "cfg.json"))
        return;
    char *name = sx_path_base(s->folder); /* …/trainer_3/checkpoints/ae_1000.pt */
    if (strcmp(name, "checkpoints") == 0) {
        char *up = sx_path_dir(s->folder);
        (void)take_config(s, up, "config.json");
        sx_free(up);
    }
    sx_free(name);
}

static enum sx_status source_open(const char *path, struct sx_sae_source *s, struct sx_error *err)
{
    *s = (struct sx_sae_source){0};
    struct stat st;
    if (stat(path, &st) != 0)
        return sx_fail(err, SX_ERR_IO, "%s: %s", path, strerror(errno));
    s->path = sx_xstrdup(path);
    enum sx_status status = SX_OK;
    bool conventional = false;
    if (S_ISDIR(st.st_mode)) {
        status = pick_file(path, &s->file, &conventional, err);
        if (status == SX_OK && !conventional) {
            sx_free(s->path);
            s->path = sx_xstrdup(s->file);
        }
    } else {
        s->file = sx_xstrdup(path);
    }
    enum sx_container container;
    struct sx_error why = {0};
    if (status == SX_OK) {
        s->folder = sx_path_dir(s->file);
        status = sx_container_detect(s->file, &container, &why);
        if (status == SX_ERR_FORMAT && !tensor_name(s->file))
            status = SX_ERR_NOTFOUND;
        if (status != SX_OK)
            status = sx_fail(err, status, "%s", why.message);
    }
    if (status == SX_OK)
        status = sx_tensor_file_open(s->file, &s->tensors, err);
    if (status == SX_OK)
        read_config(s);
    else
        source_close(s);
    return status;
}

bool sx_source_has(const struct sx_sae_source *source, const char *name)
{
    return sx_tensor_file_find(source->tensors, name) >= 0;
}

int64_t sx_source_find(const struct sx_sae_source *source, const char *prefix, const char *name)
{
    char full[256];
    int n = snprintf(full, sizeof full, "%s%s", prefix, name);
    return n > 0 && (size_t)n < sizeof full ? sx_tensor_file_find(source->tensors, full) : -1;
}

bool sx_layout_place(struct sx_sae_layout *layout, const struct sx_sae_source *source,
                     enum sx_slot slot, const char *prefix, const char *name, bool transposed)
{
    int64_t i = sx_source_find(source, prefix, name);
    if (i < 0)
        return false;
    layout->slot[slot].tensor = i;
    layout->slot[slot].transposed = transposed;
    return true;
}

double sx_source_scalar(const struct sx_sae_source *source, const char *prefix, const char *name)
{
    int64_t i = sx_source_find(source, prefix, name);
    if (i < 0)
        return NAN;
    const struct sx_tensor_info *t = sx_tensor_file_info(source->tensors, (size_t)i);
    float value;
    if (t->count != 1 || !sx_dtype_is_number(t->dtype) ||
        sx_tensor_file_read_f32(source->tensors, (size_t)i, &value, NULL) != SX_OK)
        return NAN;
    return value;
}

enum sx_status sx_source_groups(const struct sx_sae_source *source, const char *prefix,
                                const char *name, struct sx_sae_info *info, struct sx_error *err)
{
    int64_t i = sx_source_find(source, prefix, name);
    if (i < 0)
        return SX_OK;
    const struct sx_tensor_info *t = sx_tensor_file_info(source->tensors, (size_t)i);
    int64_t sizes[sizeof info->group_sizes / sizeof *info->group_sizes];
    const uint64_t most = sizeof sizes / sizeof *sizes;
    if (t->count > most)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s has %llu groups, at most %llu are read",
                       source->file, name, (unsigned long long)t->count, (unsigned long long)most);
    SX_TRY(sx_tensor_file_read_i64(source->tensors, (size_t)i, sizes, err));
    for (uint64_t g = 0; g < t->count; g++) {
        if (sizes[g] < 1)
            return sx_fail(err, SX_ERR_FORMAT, "%s: %s[%llu] is %lld, expected a positive width",
                           source->file, name, (unsigned long long)g, (long long)sizes[g]);
        info->group_sizes[g] = (uint64_t)sizes[g];
    }
    info->n_groups = (size_t)t->count;
    return SX_OK;
}

enum sx_status sx_source_all_equal(const struct sx_sae_source *source, int64_t tensor, float value,
                                   bool *equal, struct sx_error *err)
{
    const struct sx_tensor_info *t = sx_tensor_file_info(source->tensors, (size_t)tensor);
    float *data = sx_alloc_big(t->count ? t->count : 1, sizeof *data);
    if (!data)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %s", source->file, t->name);
    enum sx_status status = sx_tensor_file_read_f32(source->tensors, (size_t)tensor, data, err);
    *equal = true;
    for (uint64_t i = 0; status == SX_OK && i < t->count; i++)
        if (!(fabsf(data[i] - value) <= 1e-5F))
            *equal = false;
    sx_free(data);
    return status;
}

/* --- info --------------------------------------------------------------------------------------
 */

void sx_sae_info_init(struct sx_sae_info *info)
{
    *info = (struct sx_sae_info){.k = -1,
                                 .seed = -1,
                                 .layer = -1,
                                 .lambda = NAN,
                                 .l1_activation = NAN,
                                 .threshold = NAN,
                                 .norm_factor = NAN};
}

void sx_sae_info_release(struct sx_sae_info *info)
{
    sx_free(info->path);
    sx_free(info->file);
    sx_free(info->name);
    sx_free(info->hook);
    sx_free(info->model);
    sx_free(info->library_class);
    sx_free(info->variant);
    for (size_t i = 0; i < info->n_warnings; i++)
        sx_free(info->warnings[i]);
    sx_sae_info_init(info);
}

void sx_sae_info_copy(struct sx_sae_info *dst, const struct sx_sae_info *src)
{
    *dst = *src;
    dst->path = sx_xstrdup(src->path);
    dst->file = sx_xstrdup(src->file);
    dst->name = sx_xstrdup(src->name);
    dst->hook = sx_xstrdup(src->hook);
    dst->model = sx_xstrdup(src->model);
    dst->library_class = sx_xstrdup(src->library_class);
    dst->variant = sx_xstrdup(src->variant);
    for (size_t i = 0; i < src->n_warnings; i++)
        dst->warnings[i] = sx_xstrdup(src->warnings[i]);
}

void sx_info_warn(struct sx_sae_info *info, const char *fmt, ...)
{
    if (info->n_warnings == SX_MAX_SAE_WARNINGS)
        return;
    char text[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n >= 0)
        info->warnings[info->n_warnings++] = sx_text_clean_dup(text, strlen(text), sizeof text);
}

void sx_info_set(char **field, const char *text)
{
    if (!text || !*text)
        return;
    sx_free(*field);
    *field = sx_text_clean_dup(text, strlen(text), 256);
}

void sx_info_set_penalty(struct sx_sae_info *info, enum sx_penalty penalty, double lambda)
{
    info->penalty_known = true;
    info->penalty = lambda == 0 ? SX_PENALTY_NONE : penalty;
    info->lambda = lambda;
}

static void trainer_penalty(struct sx_sae_info *info, const struct sx_value *trainer)
{
    double l2 = sx_value_real_or(sx_value_get(trainer, "l2_w"), NAN);
    double l1 = sx_value_real_or(sx_value_get(trainer, "l1_w"), NAN);
    if (!isnan(l2) && !isnan(l1) && l2 != 0 && l1 != 0)
        sx_info_warn(info, "the configuration has both l1_w = %g and l2_w = %g; l2_w is shown", l1,
                     l2);
    if (!isnan(l2) && !(l2 == 0 && !isnan(l1)))
        sx_info_set_penalty(info, SX_PENALTY_L2, l2);
    else if (!isnan(l1))
        sx_info_set_penalty(info, SX_PENALTY_L1, l1);
    else if (sx_value_string_or(sx_value_get(trainer, "trainer_class"), NULL))
        info->penalty_known = true; /* upstream's trainers have none */
}

void sx_info_from_trainer(struct sx_sae_info *info, const struct sx_value *trainer)
{
    trainer_penalty(info, trainer);
    info->seed = sx_value_int_or(sx_value_get(trainer, "seed"), info->seed);
    info->layer = sx_value_int_or(sx_value_get(trainer, "layer"), info->layer);
    info->k = sx_value_int_or(sx_value_get(trainer, "k"), info->k);
    info->l1_activation =
        sx_value_real_or(sx_value_get(trainer, "l1_penalty"), info->l1_activation);
    info->norm_factor = sx_value_real_or(sx_value_get(trainer, "norm_factor"), info->norm_factor);
    sx_info_set(&info->model, sx_value_string_or(sx_value_get(trainer, "lm_name"), NULL));
    sx_info_set(&info->hook, sx_value_string_or(sx_value_get(trainer, "submodule_name"), NULL));
}

static void show_tensors(const struct sx_tensor_file *file, struct sx_sae_info *info)
{
    size_t n = sx_tensor_file_count(file);
    info->n_tensors = n < SX_MAX_TENSORS_SHOWN ? n : SX_MAX_TENSORS_SHOWN;
    for (size_t i = 0; i < info->n_tensors; i++) {
        const struct sx_tensor_info *t = sx_tensor_file_info(file, i);
        struct sx_tensor_row *row = &info->tensors[i];
        (void)sx_text_clean(row->name, sizeof row->name, t->name, strlen(t->name));
        const char *dtype = sx_dtype_name(t->dtype);
        (void)sx_text_clean(row->dtype, sizeof row->dtype, dtype, strlen(dtype));
        row->rank = t->rank;
        memcpy(row->shape, t->shape, sizeof row->shape);
        memcpy(row->strides, t->strides, sizeof row->strides);
        row->contiguous = t->contiguous;
    }
    if (n > SX_MAX_TENSORS_SHOWN)
        sx_info_warn(info, "%zu tensors, the first %d are listed", n, SX_MAX_TENSORS_SHOWN);
}

static void warn_strides(const struct sx_tensor_file *file, const struct sx_sae_layout *layout,
                         struct sx_sae_info *info)
{
    static const enum sx_slot slots[] = {SX_SLOT_W_ENC, SX_SLOT_W_DEC};
    static const char *const names[] = {"encoder", "decoder"};
    for (size_t i = 0; i < 2; i++) {
        if (layout->slot[slots[i]].tensor < 0)
            continue;
        const struct sx_tensor_info *t =
            sx_tensor_file_info(file, (size_t)layout->slot[slots[i]].tensor);
        if (t->rank == 2 && !t->contiguous)
            sx_info_warn(info,
                         "%s stored transposed (%s has strides %llu, %llu): strides honoured; a "
                         "reader that assumes row-major order would scramble it",
                         names[i], t->name, (unsigned long long)t->strides[0],
                         (unsigned long long)t->strides[1]);
    }
}

/* "ae" in "…/trainer_3/ae.pt" says little; the folder's name says more. */
static char *label_of(const struct sx_sae_source *s)
{
    static const char *const dull[] = {"ae",     "ae_normalized", "sae",
                                       "params", "sae_weights",   "model"};
    char *stem = sx_path_base(s->file);
    char *dot = strrchr(stem, '.');
    if (dot && dot != stem)
        *dot = '\0';
    if (ends_with(stem, ".sae"))
        stem[strlen(stem) - 4] = '\0';
    for (size_t i = 0; i < sizeof dull / sizeof *dull; i++)
        if (strcmp(stem, dull[i]) == 0) {
            char *folder = sx_path_base(s->folder);
            bool is_seed = strncmp(folder, "seed", 4) == 0;
            char *up = sx_path_dir(s->folder);
            char *parent = sx_path_base(up);
            sx_free(stem);
            stem = is_seed ? sx_xasprintf("%s/%s", parent, folder) : sx_xstrdup(folder);
            sx_free(folder);
            sx_free(parent);
            sx_free(up);
            break;
        }
    char *clean = sx_text_clean_dup(stem, strlen(stem), 128);
    sx_free(stem);
    return clean;
}

/* --- checks common to all readers --------------------------------------------------------------
 */

static enum sx_status check_slot(const struct sx_sae_source *s, const struct sx_sae_info *info,
                                 enum sx_slot slot, int64_t tensor, bool transposed,
                                 struct sx_error *err)
{
    const struct sx_tensor_info *t = sx_tensor_file_info(s->tensors, (size_t)tensor);
    uint64_t want[2] = {0, 0};
    int rank = sx_slot_shape(slot, info->activation_dim, info->dict_size, want);
    if (transposed) {
        uint64_t swap = want[0];
        want[0] = want[1];
        want[1] = swap;
    }
    bool ok = t->rank == rank;
    for (int i = 0; ok && i < rank; i++)
        ok = t->shape[i] == want[i];
    if (!ok && rank == 1)
        return sx_fail(err, SX_ERR_SHAPE, "%s: %s has rank %d and %llu elements, expected [%llu]",
                       s->file, t->name, t->rank, (unsigned long long)t->count,
                       (unsigned long long)want[0]);
    if (!ok)
        return sx_fail(err, SX_ERR_SHAPE, "%s: %s is [%llu, %llu] (rank %d), expected [%llu, %llu]",
                       s->file, t->name, (unsigned long long)(t->rank > 0 ? t->shape[0] : 0),
                       (unsigned long long)(t->rank > 1 ? t->shape[1] : 0), t->rank,
                       (unsigned long long)want[0], (unsigned long long)want[1]);
    /* Strides of 0 can make a small storage look huge; no SAE is stored so. */
    if (sx_tensor_file_container(s->tensors) == SX_CONTAINER_TORCH_ZIP &&
        t->count > info->bytes / sx_dtype_size(t->dtype))
        return sx_fail(err, SX_ERR_FORMAT, "%s: %s claims %llu numbers, more than the file holds",
                       s->file, t->name, (unsigned long long)t->count);
    if (!sx_dtype_is_number(t->dtype))
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s holds %s, which is not computed with",
                       s->file, t->name, sx_dtype_name(t->dtype));
    return SX_OK;
}

static enum sx_status take_sizes(const struct sx_sae_source *s, const struct sx_sae_layout *layout,
                                 struct sx_sae_info *info, struct sx_error *err)
{
    int64_t w = layout->slot[SX_SLOT_W_ENC].tensor;
    if (w < 0 || layout->slot[SX_SLOT_W_DEC].tensor < 0)
        return sx_fail(err, SX_ERR_FORMAT, "%s: no %s weight", s->file,
                       w < 0 ? "encoder" : "decoder");
    const struct sx_tensor_info *t = sx_tensor_file_info(s->tensors, (size_t)w);
    if (t->rank != 2)
        return sx_fail(err, SX_ERR_SHAPE, "%s: %s has rank %d, expected 2", s->file, t->name,
                       t->rank);
    bool transposed = layout->slot[SX_SLOT_W_ENC].transposed;
    info->dict_size = t->shape[transposed ? 1 : 0];
    info->activation_dim = t->shape[transposed ? 0 : 1];
    if (info->dict_size == 0 || info->activation_dim == 0 || info->dict_size > INT32_MAX ||
        info->activation_dim > INT32_MAX)
        return sx_fail(err, SX_ERR_SHAPE, "%s: %s is [%llu, %llu]: not the size of an SAE", s->file,
                       t->name, (unsigned long long)t->shape[0], (unsigned long long)t->shape[1]);
    return SX_OK;
}

static enum sx_status check_info(const struct sx_sae_source *s, struct sx_sae_info *info,
                                 struct sx_error *err)
{
    uint64_t sum = 0;
    for (size_t g = 0; g < info->n_groups; g++) /* 16 widths below 2^63 / 16 cannot wrap */
        sum += info->group_sizes[g] < UINT64_MAX / 32 ? info->group_sizes[g] : UINT64_MAX / 32;
    if (info->n_groups > 0 && sum != info->dict_size)
        return sx_fail(err, SX_ERR_SHAPE, "%s: group_sizes sum to %llu, expected %llu latents",
                       s->file, (unsigned long long)sum, (unsigned long long)info->dict_size);
    bool uses_k = info->arch == SX_ARCH_TOPK || info->arch == SX_ARCH_GROUPMAX ||
                  info->arch == SX_ARCH_BATCHTOPK || info->arch == SX_ARCH_MATRYOSHKA;
    if (uses_k && info->k == 0)
        return sx_fail(err, SX_ERR_FORMAT, "%s: k is 0, expected at least 1", s->file);
    if (info->k >= 0 && (uint64_t)info->k > info->dict_size)
        return sx_fail(err, SX_ERR_SHAPE, "%s: k is %lld, but there are only %llu latents", s->file,
                       (long long)info->k, (unsigned long long)info->dict_size);
    if (info->arch == SX_ARCH_TOPK && info->k < 0)
        sx_info_warn(info, "top k, but the file does not say k: it can be browsed, not applied");
    bool batch = info->arch == SX_ARCH_BATCHTOPK || info->arch == SX_ARCH_MATRYOSHKA;
    if (batch && !(info->threshold >= 0))
        sx_info_warn(info, "the batch top-k threshold was not measured: applied as top k a row");
    if (info->norm == SX_NORM_EXPECTED_AVERAGE)
        sx_info_warn(info, "trained on inputs scaled to an expected norm; the factor belongs to "
                           "the data set and is not in the file: applied as 1");
    if (info->activation_dim == 784 && info->image_width == 0 && !info->model && !info->hook)
        info->image_width = info->image_height = 28;
    return SX_OK;
}

static const struct sx_sae_reader *reader_of(const struct sx_sae_source *s)
{
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (readers[i]->claims(s))
            return readers[i];
    return NULL;
}

/* Fill info and layout of an open source. */
static enum sx_status describe(const struct sx_sae_source *s, struct sx_sae_info *info,
                               struct sx_sae_layout *layout, struct sx_error *err)
{
    sx_sae_info_init(info);
    for (int i = 0; i < SX_N_SLOTS; i++) {
        layout->slot[i].tensor = -1;
        layout->slot[i].transposed = false;
    }
    const struct sx_sae_reader *reader = reader_of(s);
    if (!reader)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: tensors, but none of an SAE's names", s->file);
    info->format = reader->format;
    info->path = sx_xstrdup(s->path);
    info->file = sx_xstrdup(s->file);
    struct stat st;
    if (stat(s->file, &st) == 0)
        info->bytes = (uint64_t)st.st_size;
    enum sx_status status = reader->describe(s, info, layout, err);
    if (status == SX_OK)
        status = take_sizes(s, layout, info, err);
    for (int i = 0; i < SX_N_SLOTS && status == SX_OK; i++)
        if (layout->slot[i].tensor >= 0)
            status = check_slot(s, info, (enum sx_slot)i, layout->slot[i].tensor,
                                layout->slot[i].transposed, err);
    if (status == SX_OK)
        status = check_info(s, info, err);
    if (status != SX_OK) {
        sx_sae_info_release(info);
        return status;
    }
    if (reader->format != SX_SAE_SEXTANT) /* ours says it in an attribute */
        info->has_bias = layout->slot[SX_SLOT_B_ENC].tensor >= 0 ||
                         layout->slot[SX_SLOT_B_DEC].tensor >= 0 ||
                         layout->slot[SX_SLOT_B_GATE].tensor >= 0;
    if (!info->name)
        info->name = label_of(s);
    show_tensors(s->tensors, info);
    warn_strides(s->tensors, layout, info);
    return SX_OK;
}

enum sx_status sx_sae_probe(const char *path, struct sx_sae_info *info, struct sx_error *err)
{
    struct sx_sae_source source;
    struct sx_sae_layout layout;
    SX_TRY(source_open(path, &source, err));
    enum sx_status status = describe(&source, info, &layout, err);
    source_close(&source);
    return status;
}

/* --- weights -----------------------------------------------------------------------------------
 */

static void box_free(struct sae_box *box)
{
    for (int i = 0; i < SX_N_SLOTS; i++)
        sx_free(box->storage[i]);
    sx_tensor_file_close(box->file);
    sx_sae_info_release(&box->sae.info);
    sx_free(box);
}

static struct sae_box *box_new(void)
{
    struct sae_box *box = sx_xcalloc(1, sizeof *box);
    atomic_init(&box->refs, 1);
    box->sae.owned = box;
    sx_sae_info_init(&box->sae.info);
    return box;
}

struct sx_sae *sx_sae_ref(struct sx_sae *sae)
{
    atomic_fetch_add_explicit(&box_of(sae)->refs, 1, memory_order_relaxed);
    return sae;
}

void sx_sae_unref(struct sx_sae *sae)
{
    if (sae && atomic_fetch_sub_explicit(&box_of(sae)->refs, 1, memory_order_acq_rel) == 1)
        box_free(box_of(sae));
}

static enum sx_status slot_alloc(struct sae_box *box, enum sx_slot slot, struct sx_error *err)
{
    uint64_t count = slot_count(slot, &box->sae.info);
    float *data = sx_calloc_big(count, sizeof *data);
    if (!data)
        return sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %s, %llu numbers",
                       box->sae.info.file ? box->sae.info.file : "SAE", sx_slot_name(slot),
                       (unsigned long long)count);
    box->storage[slot] = data;
    *sx_slot_of(&box->sae, slot) = data;
    return SX_OK;
}

static enum sx_status slot_read(struct sae_box *box, enum sx_slot slot, int64_t tensor,
                                bool transposed, struct sx_error *err)
{
    const float *mapped = transposed ? NULL : sx_tensor_file_map_f32(box->file, (size_t)tensor);
    if (mapped) {
        *sx_slot_of(&box->sae, slot) = mapped;
        return SX_OK;
    }
    SX_TRY(slot_alloc(box, slot, err));
    if (transposed)
        return sx_tensor_file_read_f32_transposed(box->file, (size_t)tensor, box->storage[slot],
                                                  err);
    return sx_tensor_file_read_f32(box->file, (size_t)tensor, box->storage[slot], err);
}

/* Integer arithmetic on the bits: a loop that compilers turn into vector code. */
static bool all_finite(const float *x, uint64_t n)
{
    uint32_t bad = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bad |= (bits & 0x7f800000U) == 0x7f800000U;
    }
    return !bad;
}

static void check_finite(struct sae_box *box)
{
    box->finite = true;
    for (int i = 0; i < SX_N_SLOTS; i++) {
        const float *data = sx_slot_get(&box->sae, (enum sx_slot)i);
        if (data && !all_finite(data, slot_count((enum sx_slot)i, &box->sae.info))) {
            box->finite = false;
            sx_info_warn(&box->sae.info, "%s holds NaN or infinity: it cannot be applied",
                         sx_slot_name((enum sx_slot)i));
        }
    }
}

/* dictionary_learning's loader rescales a plain AutoEncoder unless told not to. */
static void warn_normalised_on_load(struct sx_sae *sae)
{
    struct sx_sae_info *info = &sae->info;
    if (info->format != SX_SAE_DICTIONARY_LEARNING || info->arch != SX_ARCH_RELU ||
        !info->subtract_b_dec)
        return;
    for (uint64_t j = 0; j < info->dict_size; j++) {
        double sum = 0;
        const float *row = sae->W_dec + j * info->activation_dim;
        for (uint64_t e = 0; e < info->activation_dim; e++)
            sum += (double)row[e] * row[e];
        if (fabs(sqrt(sum) - 1) > 1e-4) {
            sx_info_warn(info, "decoder rows are not of unit norm; dictionary_learning rescales "
                               "them when it loads (normalize_decoder=True), here latents keep "
                               "the scale of the file");
            return;
        }
    }
}

static void apply_override(struct sx_sae_info *info, const struct sx_sae_override *override)
{
    if (override->subtract_b_dec >= 0)
        info->subtract_b_dec = override->subtract_b_dec > 0;
    if (override->k > 0)
        info->k = override->k;
    if (override->norm_factor > 0) {
        info->norm = SX_NORM_DIVIDE;
        info->norm_factor = override->norm_factor;
    }
}

enum sx_status sx_sae_load_as(const char *path, const struct sx_sae_override *override,
                              struct sx_sae **sae, struct sx_error *err)
{
    struct sx_sae_source source;
    struct sx_sae_layout layout;
    *sae = NULL;
    SX_TRY(source_open(path, &source, err));
    struct sae_box *box = box_new();
    enum sx_status status = describe(&source, &box->sae.info, &layout, err);
    box->file = source.tensors;
    source.tensors = NULL;
    for (int i = 0; i < SX_N_SLOTS && status == SX_OK; i++) {
        if (layout.slot[i].tensor >= 0)
            status = slot_read(box, (enum sx_slot)i, layout.slot[i].tensor,
                               layout.slot[i].transposed, err);
        else if (i == SX_SLOT_B_ENC || i == SX_SLOT_B_DEC)
            status = slot_alloc(box, (enum sx_slot)i, err);
    }
    source_close(&source);
    if (status != SX_OK) {
        box_free(box);
        return status;
    }
    check_finite(box);
    warn_normalised_on_load(&box->sae);
    status = sx_sae_check_whole(&box->sae, err);
    if (status != SX_OK) {
        box_free(box);
        return status;
    }
    if (override)
        apply_override(&box->sae.info, override);
    *sae = &box->sae;
    return SX_OK;
}

enum sx_status sx_sae_load(const char *path, struct sx_sae **sae, struct sx_error *err)
{
    return sx_sae_load_as(path, NULL, sae, err);
}

enum sx_status sx_sae_new(const struct sx_sae *parts, struct sx_sae **sae, struct sx_error *err)
{
    SX_ASSERT(parts->W_enc && parts->W_dec);
    struct sae_box *box = box_new();
    sx_sae_info_release(&box->sae.info);
    sx_sae_info_copy(&box->sae.info, &parts->info);
    *sae = NULL;
    for (int i = 0; i < SX_N_SLOTS; i++) {
        const float *from = sx_slot_get(parts, (enum sx_slot)i);
        if (!from && i != SX_SLOT_B_ENC && i != SX_SLOT_B_DEC)
            continue;
        enum sx_status status = slot_alloc(box, (enum sx_slot)i, err);
        if (status != SX_OK) {
            box_free(box);
            return status;
        }
        if (from)
            memcpy(box->storage[i], from,
                   slot_count((enum sx_slot)i, &box->sae.info) * sizeof(float));
    }
    check_finite(box);
    *sae = &box->sae;
    return SX_OK;
}
