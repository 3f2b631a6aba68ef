#include "match_file.h"

#include "document.h"
#include "sextant/base/alloc.h"
#include "sextant/io/h5.h"

static enum sx_status write_pair(struct sx_h5 *h5, const char *group,
                                 const struct sx_match_set *set, const struct sx_match_pair *pair,
                                 struct sx_error *err)
{
    const struct {
        const char *name;
        enum sx_dtype dtype;
        const void *data;
    } arrays[] = {
        {"partner_enc", SX_DTYPE_I32, pair->partner_enc},
        {"partner_dec", SX_DTYPE_I32, pair->partner_dec},
        {"sim_enc", SX_DTYPE_F32, pair->sim_enc},
        {"sim_dec", SX_DTYPE_F32, pair->sim_dec},
        {"margin", SX_DTYPE_F32, pair->margin},
        {"max_enc", SX_DTYPE_F32, pair->max_enc},
        {"max_dec", SX_DTYPE_F32, pair->max_dec},
        {"runner_up", SX_DTYPE_I32, pair->runner_up},
    };
    const uint64_t shape[1] = {pair->F_a};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        char *path = sx_xasprintf("%s/%s", group, arrays[i].name);
        enum sx_status status =
            sx_h5_write(h5, path, arrays[i].dtype, 1, shape, arrays[i].data, 0, err);
        sx_free(path);
        SX_TRY(status);
    }
    struct sx_value *attributes = sx_value_map();
    sx_document_int(attributes, "a", (int64_t)pair->a);
    sx_document_int(attributes, "b", (int64_t)pair->b);
    sx_document_text(attributes, "a_path", set->models[pair->a].name);
    sx_document_text(attributes, "b_path", set->models[pair->b].name);
    sx_document_int(attributes, "compared_a", (int64_t)pair->n_a);
    sx_document_int(attributes, "compared_b", (int64_t)pair->n_b);
    sx_value_set(attributes, "mmcs_enc", sx_value_real(pair->mmcs_enc));
    sx_value_set(attributes, "mmcs_dec", sx_value_real(pair->mmcs_dec));
    sx_value_set(attributes, "gap_enc", sx_value_real(pair->proof_enc.gap));
    sx_value_set(attributes, "gap_dec", sx_value_real(pair->proof_dec.gap));
    enum sx_status status = sx_h5_write_attributes(h5, group, attributes, err);
    sx_value_free(attributes);
    return status;
}

static enum sx_status write_pairs(struct sx_h5 *h5, const char *root,
                                  const struct sx_match_set *set, const struct sx_match_pair *pairs,
                                  struct sx_error *err)
{
    for (size_t i = 0; i < set->n_pairs; i++) {
        char *group = sx_xasprintf("%s/%zu", root, i);
        enum sx_status status = write_pair(h5, group, set, &pairs[i], err);
        sx_free(group);
        SX_TRY(status);
    }
    return SX_OK;
}

enum sx_status sx_match_write(const char *path, const struct sx_match_set *set, double tau,
                              bool alive, struct sx_error *err)
{
    struct sx_h5 *h5 = NULL;
    SX_TRY(sx_h5_create(path, &h5, err));
    /* Like the document: --alive compares alive latents alone; all of them stand in /all. */
    enum sx_status status = write_pairs(h5, "/pairs", set, alive ? set->alive : set->pairs, err);
    if (status == SX_OK && alive)
        status = write_pairs(h5, "/all", set, set->pairs, err);
    struct sx_value *attributes = sx_value_map();
    sx_document_text(attributes, "format", "sextant match");
    sx_document_int(attributes, "schema", 1);
    sx_document_text(attributes, "version", SX_VERSION);
    sx_value_set(attributes, "tau", sx_value_real(tau));
    if (alive)
        sx_value_set(attributes, "alive", sx_value_real(set->alive_cut));
    if (status == SX_OK)
        status = sx_h5_write_attributes(h5, "/", attributes, err);
    sx_value_free(attributes);
    if (status == SX_OK)
        return sx_h5_commit(h5, err);
    sx_h5_close(h5);
    return status;
}
