/* The largest |difference| per canonical tensor of two SAEs. */
#include <math.h>
#include <stdio.h>

#include "arch.h"
#include "checkpoint.h"
#include "sextant/base/alloc.h"

/* A tensor of one side: stored, or a scalar threshold standing for every latent. */
struct side {
    const float *data; /* NULL: `constant` everywhere */
    float constant;
    bool present;
    int rank;
    uint64_t shape[2], count;
};

static struct side side_of(const struct sx_sae *sae, enum sx_slot slot)
{
    struct side s = {.shape = {1, 1}, .data = sx_slot_get(sae, slot)};
    s.rank = sx_slot_shape(slot, sae->info.activation_dim, sae->info.dict_size, s.shape);
    s.count = s.shape[0] * s.shape[1];
    s.present = s.data != NULL;
    bool batch = sae->info.arch == SX_ARCH_BATCHTOPK || sae->info.arch == SX_ARCH_MATRYOSHKA;
    if (slot == SX_SLOT_THRESHOLD && batch && sx_sae_threshold_measured(&sae->info)) {
        s.present = true;
        s.constant = (float)sae->info.threshold;
    }
    return s;
}

static struct sx_value *shape_of(const struct side *s)
{
    if (!s->present)
        return sx_value_null();
    struct sx_value *v = sx_value_list();
    for (int i = 0; i < s->rank; i++)
        sx_value_append(v, sx_value_int((int64_t)s->shape[i]));
    return v;
}

/* NAN as soon as one side is not a number where the other is another one. */
static double largest(const struct side *a, const struct side *b)
{
    double max = 0;
    for (uint64_t i = 0; i < a->count; i++) {
        float x = a->data ? a->data[i] : a->constant, y = b->data ? b->data[i] : b->constant;
        if (x == y || (isnan(x) && isnan(y)))
            continue;
        double diff = fabs((double)x - y);
        if (isnan(diff))
            return NAN;
        max = fmax(max, diff);
    }
    return max;
}

/* True when the tensors are equal; sets the entry of the document. */
static bool compare_slot(const struct sx_sae *a, const struct sx_sae *b, enum sx_slot slot,
                         struct sx_value *tensors)
{
    struct side x = side_of(a, slot), y = side_of(b, slot);
    if (!x.present && !y.present)
        return true;
    struct sx_value *v = sx_value_set(tensors, sx_slot_name(slot), sx_value_map());
    bool same_shape =
        x.present && y.present && x.shape[0] == y.shape[0] && x.shape[1] == y.shape[1];
    double max = same_shape ? largest(&x, &y) : NAN;
    sx_value_set(v, "max_abs", sx_value_real(max));
    sx_value_set(v, "a_shape", shape_of(&x));
    sx_value_set(v, "b_shape", shape_of(&y));
    if (!x.present || !y.present)
        sx_value_set(v, "why", sx_value_string(x.present ? "only in a" : "only in b"));
    else if (!same_shape)
        sx_value_set(v, "why", sx_value_string("shapes differ"));
    else if (!isfinite(max))
        sx_value_set(v, "why", sx_value_string("not finite on one side only"));
    return max == 0;
}

static void note(struct sx_value *list, bool differ, const char *what, const char *a, const char *b)
{
    if (!differ)
        return;
    char text[128];
    (void)snprintf(text, sizeof text, "%s: %s, %s", what, a, b);
    sx_value_append(list, sx_value_string(text));
}

static void note_info(const struct sx_sae_info *a, const struct sx_sae_info *b,
                      struct sx_value *list)
{
    char ka[24], kb[24];
    (void)snprintf(ka, sizeof ka, "%lld", (long long)a->k);
    (void)snprintf(kb, sizeof kb, "%lld", (long long)b->k);
    note(list, a->arch != b->arch, "arch", sx_sae_arch_name(a->arch), sx_sae_arch_name(b->arch));
    note(list, a->k != b->k, "k", ka, kb);
    note(list, a->norm != b->norm, "normalization", sx_sae_norm_name(a->norm),
         sx_sae_norm_name(b->norm));
    note(list, a->subtract_b_dec != b->subtract_b_dec, "subtract_b_dec",
         a->subtract_b_dec ? "true" : "false", b->subtract_b_dec ? "true" : "false");
    note(list, a->scale_by_decoder_norm != b->scale_by_decoder_norm, "scale_by_decoder_norm",
         a->scale_by_decoder_norm ? "true" : "false", b->scale_by_decoder_norm ? "true" : "false");
}

enum sx_status sx_sae_compare(const struct sx_sae *a, const struct sx_sae *b, struct sx_value **doc,
                              struct sx_error *err)
{
    *doc = sx_value_map();
    sx_value_set(*doc, "a", sx_value_string(a->info.path));
    sx_value_set(*doc, "b", sx_value_string(b->info.path));
    struct sx_value *tensors = sx_value_set(*doc, "tensors", sx_value_map());
    bool equal = true;
    for (int i = 0; i < SX_N_SLOTS; i++)
        if (i != SX_SLOT_RESCALE) /* not part of the function */
            equal = compare_slot(a, b, (enum sx_slot)i, tensors) && equal;
    sx_value_set(*doc, "equal", sx_value_bool(equal));
    note_info(&a->info, &b->info, sx_value_set(*doc, "differences", sx_value_list()));
    SX_TRY(sx_sae_check_whole(a, err));
    return sx_sae_check_whole(b, err);
}
