/* A lone tensor file whose keys are recognisable, whoever wrote it. What the keys leave open
 * (activation, k, input bias) is taken from metadata texts where there are any, else assumed and
 * said so in a warning. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "sextant/base/alloc.h"

/* Names under which people save the same four tensors; transposed as stored against [F,D]. */
struct naming {
    const char *w_enc, *w_dec, *b_enc, *b_dec;
    bool enc_transposed, dec_transposed;
    int subtract; /* 1: pre = b_dec, 0: not, -1: open */
    bool signed_topk;
};

static const struct naming namings[] = {
    {"W_enc", "W_dec", "b_enc", "b_dec", true, false, -1, false},
    {"encoder.weight", "decoder.weight", "encoder.bias", "bias", false, true, 1, false},
    {"encoder.weight", "decoder.weight", "encoder.bias", "b_dec", false, true, 1, false},
    {"encoder.weight", "decoder.weight", "encoder.bias", "decoder.bias", false, true, 0, false},
    {"encoder.weight", "W_dec", "encoder.bias", "b_dec", false, false, 1, false},
    /* prestoj/tinystories_sae: top k without a relu before it; k is in the file's name only */
    {"encoder_weights", "decoder_weights", "encoder_bias", "pre_bias", true, false, 1, true},
};

static const struct naming *naming_of(const struct sx_sae_source *s)
{
    const struct naming *found = NULL;
    for (size_t i = 0; i < sizeof namings / sizeof *namings; i++) {
        const struct naming *n = &namings[i];
        if (!sx_source_has(s, n->w_enc) || !sx_source_has(s, n->w_dec))
            continue;
        if (sx_source_has(s, n->b_dec))
            return n;
        if (!found)
            found = n;
    }
    return found;
}

static bool claims(const struct sx_sae_source *s)
{
    return naming_of(s) != NULL;
}

static uint64_t dim(const struct sx_sae_source *s, const char *name, int axis)
{
    int64_t i = sx_source_find(s, "", name);
    const struct sx_tensor_info *t = i < 0 ? NULL : sx_tensor_file_info(s->tensors, (size_t)i);
    return t && t->rank > axis ? t->shape[axis] : 0;
}

/* Biases tell which axis is F when the convention of the names does not fit. */
static bool is_transposed(const struct sx_sae_source *s, const struct naming *n, const char *weight,
                          bool by_convention)
{
    uint64_t rows = dim(s, weight, 0), columns = dim(s, weight, 1);
    uint64_t f = dim(s, n->b_enc, 0), d = dim(s, n->b_dec, 0);
    if (rows == columns || (f == 0 && d == 0))
        return by_convention;
    if (f == rows || d == columns)
        return false;
    if (f == columns || d == rows)
        return true;
    return by_convention;
}

/* "topk k=4", "k: 4" … -> 4, or -1. */
static int64_t k_in_text(const char *text)
{
    for (const char *at = text; (at = strchr(at, 'k')) != NULL; at++) {
        const char *p = at + 1;
        while (*p == ' ' || *p == '=' || *p == ':')
            p++;
        if (p > at + 1 && *p >= '0' && *p <= '9')
            return (int64_t)strtol(p, NULL, 10);
    }
    return -1;
}

/* A number that follows the latent count in the file's name: sae_1024_4 -> 4. */
static int64_t k_in_name(const struct sx_sae_source *s, uint64_t f)
{
    char *name = sx_path_base(s->file);
    int64_t k = -1;
    for (const char *at = name; (at = strchr(at, '_')) != NULL; at++) {
        char *end = NULL;
        if (at[1] >= '0' && at[1] <= '9' && strtoull(at + 1, &end, 10) == f && *end == '_' &&
            end[1] >= '0' && end[1] <= '9') {
            k = (int64_t)strtol(end + 1, NULL, 10);
            break;
        }
    }
    sx_free(name);
    return k;
}

static const char *note(const struct sx_sae_source *s)
{
    static const char *const keys[] = {"arch", "architecture", "activation", "activation_fn"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *v =
            sx_value_string_or(sx_value_get(sx_tensor_file_extra(s->tensors), keys[i]), NULL);
        if (v)
            return v;
    }
    return "";
}

static void read_activation(const struct sx_sae_source *s, const struct naming *n, uint64_t f,
                            struct sx_sae_info *info, struct sx_sae_layout *layout)
{
    const char *said = note(s);
    double k = sx_source_scalar(s, "", "k");
    info->k = k >= 1 && k < 2147483648.0 ? (int64_t)k : k_in_text(said);
    int64_t t = sx_source_find(s, "", "threshold");
    bool per_latent = t >= 0 && sx_tensor_file_info(s->tensors, (size_t)t)->rank == 1;
    if (strstr(said, "sigmoid")) {
        info->arch = SX_ARCH_SIGMOID;
        info->sigmoid_out = strstr(said, "both") != NULL;
    } else if (per_latent) {
        info->arch = SX_ARCH_JUMPRELU;
        sx_layout_place(layout, s, SX_SLOT_THRESHOLD, "", "threshold", false);
    } else if (info->k >= 1 || strstr(said, "topk") || n->signed_topk) {
        info->arch = SX_ARCH_TOPK;
        info->signed_topk = n->signed_topk || strstr(said, "no relu") != NULL;
        if (info->k < 1 && (info->k = k_in_name(s, f)) >= 1)
            sx_info_warn(info, "k = %lld is taken from the file's name", (long long)info->k);
    } else {
        info->arch = SX_ARCH_RELU;
        if (!strstr(said, "relu"))
            sx_info_warn(info, "the file does not say which activation it was trained with: read "
                               "as relu");
    }
    if (info->arch != SX_ARCH_TOPK)
        info->k = -1;
}

static enum sx_status describe(const struct sx_sae_source *s, struct sx_sae_info *info,
                               struct sx_sae_layout *layout, struct sx_error *err)
{
    (void)err;
    const struct naming *n = naming_of(s);
    bool swap = is_transposed(s, n, n->w_enc, n->enc_transposed);
    sx_layout_place(layout, s, SX_SLOT_W_ENC, "", n->w_enc, swap);
    sx_layout_place(layout, s, SX_SLOT_W_DEC, "", n->w_dec,
                    is_transposed(s, n, n->w_dec, n->dec_transposed));
    sx_layout_place(layout, s, SX_SLOT_B_ENC, "", n->b_enc, false);
    bool has_b_dec = sx_layout_place(layout, s, SX_SLOT_B_DEC, "", n->b_dec, false);
    read_activation(s, n, dim(s, n->w_enc, swap ? 1 : 0), info, layout);
    info->subtract_b_dec = n->subtract == 1 || (n->subtract < 0 && info->arch != SX_ARCH_JUMPRELU);
    if (info->arch == SX_ARCH_SIGMOID)
        info->subtract_b_dec = false;
    if (has_b_dec && n->subtract < 0 && !strstr(note(s), "x-b_dec"))
        sx_info_warn(info,
                     "the file does not say whether b_dec is subtracted from the input: "
                     "assumed that it is%s",
                     info->subtract_b_dec ? "" : " not");
    const struct sx_value *extra = sx_tensor_file_extra(s->tensors);
    info->seed = sx_value_int_or(sx_value_get(extra, "seed"), -1);
    sx_info_set(&info->library_class, note(s));
    return SX_OK;
}

const struct sx_sae_reader sx_sae_reader_plain = {
    .format = SX_SAE_PLAIN,
    .claims = claims,
    .describe = describe,
};
