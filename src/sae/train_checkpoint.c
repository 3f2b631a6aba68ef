#include <stdio.h>
#include <string.h>

#include "sextant/base/alloc.h"
#include "sextant/base/str.h"
#include "sextant/io/json.h"
#include "sextant/io/yaml.h"
#include "train_private.h"

enum { VERSION = 1 };

/* Keys that may differ between a checkpoint and the run that goes on from it: they change neither
 * the batches nor the updates. */
static const char *const free_keys[] = {"name",         "data",        "epochs",          "steps",
                                        "log_every",    "mmcs_every",  "dead_after",      "threads",
                                        "image_height", "image_width", "checkpoint_every"};

char *sx_train_config_text(const struct sx_train_config *config)
{
    struct sx_str text = SX_STR_INIT;
    struct sx_value *map = sx_train_config_describe(config);
    sx_yaml_write(map, &text);
    sx_value_free(map);
    return sx_str_take(&text);
}

/* --- tensors of a state ------------------------------------------------------------------------
 */

struct tensor {
    const char *name;
    enum sx_dtype dtype;
    int rank;
    uint64_t shape[2];
    void *data;
};
enum { TENSORS = 15 };

static void list_tensors(const struct sx_train_state *s, struct tensor out[TENSORS])
{
    const struct {
        const char *w, *m, *v;
        struct sx_train_param p;
        int rank;
        uint64_t rows, cols;
    } params[] = {
        {"W_enc", "W_enc_m", "W_enc_v", s->W_enc, 2, s->F, s->D},
        {"W_dec", "W_dec_m", "W_dec_v", s->W_dec, 2, s->F, s->D},
        {"b_enc", "b_enc_m", "b_enc_v", s->b_enc, 1, s->F, 1},
        {"b_dec", "b_dec_m", "b_dec_v", s->b_dec, 1, s->D, 1},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        struct tensor t = {
            NULL, SX_DTYPE_F32, params[i].rank, {params[i].rows, params[i].cols}, NULL};
        t.name = params[i].w, t.data = params[i].p.w, out[n++] = t;
        t.name = params[i].m, t.data = params[i].p.m, out[n++] = t;
        t.name = params[i].v, t.data = params[i].p.v, out[n++] = t;
    }
    out[n++] = (struct tensor){"quiet", SX_DTYPE_U32, 1, {s->F, 1}, s->quiet};
    out[n++] = (struct tensor){"sq_enc", SX_DTYPE_F64, 1, {s->F, 1}, s->sq_enc};
    out[n++] = (struct tensor){"sq_dec", SX_DTYPE_F64, 1, {s->F, 1}, s->sq_dec};
    SX_ASSERT(n == TENSORS);
}

static void tensor_path(char *out, size_t size, size_t seed, const struct tensor *t)
{
    snprintf(out, size, "/seeds/%zu/%s", seed, t->name);
}

/* --- write -------------------------------------------------------------------------------------
 */

static struct sx_value *head(const struct sx_train_config *config, const struct sx_train_data *data,
                             uint64_t step)
{
    struct sx_value *map = sx_value_map();
    char *text = sx_train_config_text(config);
    sx_value_set(map, "kind", sx_value_string("sextant training checkpoint"));
    sx_value_set(map, "version", sx_value_int(VERSION));
    sx_value_set(map, "code_version", sx_value_string(SX_VERSION));
    sx_value_set(map, "step", sx_value_int((int64_t)step));
    sx_value_set(map, "samples", sx_value_int((int64_t)data->n));
    sx_value_set(map, "dimension", sx_value_int((int64_t)data->d));
    sx_value_set(map, "config", sx_value_string(text));
    sx_free(text);
    return map;
}

static enum sx_status write_state(struct sx_h5 *h5, size_t seed, const struct sx_train_state *state,
                                  struct sx_error *err)
{
    struct tensor tensors[TENSORS];
    list_tensors(state, tensors);
    for (size_t i = 0; i < TENSORS; i++) {
        char path[64];
        tensor_path(path, sizeof path, seed, &tensors[i]);
        SX_TRY(sx_h5_write(h5, path, tensors[i].dtype, tensors[i].rank, tensors[i].shape,
                           tensors[i].data, 0, err));
    }
    return SX_OK;
}

static enum sx_status write_all(struct sx_h5 *h5, const struct sx_value *attributes,
                                const struct sx_train_state *states, size_t n_states,
                                const struct sx_train_curve *curve, struct sx_error *err)
{
    SX_TRY(sx_h5_write_attributes(h5, "/", attributes, err));
    for (size_t i = 0; i < n_states; i++)
        SX_TRY(write_state(h5, i, &states[i], err));
    if (curve->rows == 0)
        return SX_OK;
    const uint64_t shape[2] = {curve->rows, curve->columns};
    return sx_h5_write(h5, "/curve", SX_DTYPE_F64, 2, shape, curve->values, 0, err);
}

enum sx_status sx_train_checkpoint_write(const char *path, const struct sx_train_config *config,
                                         const struct sx_train_data *data,
                                         const struct sx_train_state *states, size_t n_states,
                                         const struct sx_train_curve *curve, struct sx_error *err)
{
    struct sx_h5 *h5;
    SX_TRY(sx_h5_create(path, &h5, err));
    struct sx_value *attributes = head(config, data, states[0].step);
    enum sx_status status = write_all(h5, attributes, states, n_states, curve, err);
    sx_value_free(attributes);
    if (status == SX_OK)
        return sx_h5_commit(h5, err);
    sx_h5_close(h5);
    return status;
}

/* --- read --------------------------------------------------------------------------------------
 */

static bool is_free(const char *key)
{
    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        if (strcmp(key, free_keys[i]) == 0)
            return true;
    return false;
}

/* Compared as text: both sides went through the same writer. */
static enum sx_status same_value(const char *path, const char *key, const struct sx_value *then,
                                 const struct sx_value *now, struct sx_error *err)
{
    struct sx_str a = SX_STR_INIT, b = SX_STR_INIT;
    sx_json_write(then, 0, &a);
    sx_json_write(now, 0, &b);
    enum sx_status status = SX_OK;
    if (strcmp(a.data, b.data) != 0)
        status = sx_fail(err, SX_ERR_USAGE,
                         "%s: was written with %s: %s, the configuration now says %s; a run can "
                         "only go on as it began",
                         path, key, a.data, b.data);
    sx_str_release(&a);
    sx_str_release(&b);
    return status;
}

static enum sx_status check_config(const char *path, const char *saved,
                                   const struct sx_train_config *config, struct sx_error *err)
{
    char *text = sx_train_config_text(config);
    struct sx_value *then = NULL, *now = NULL;
    enum sx_status status = sx_yaml_parse(path, saved, strlen(saved), &then, err);
    if (status == SX_OK)
        status = sx_yaml_parse(path, text, strlen(text), &now, err);
    for (size_t i = 0; i < sx_value_count(now) && status == SX_OK; i++) {
        const char *key = sx_value_key(now, i);
        if (!is_free(key))
            status = same_value(path, key, sx_value_get(then, key), sx_value_item(now, i), err);
    }
    sx_value_free(then);
    sx_value_free(now);
    sx_free(text);
    return status;
}

static enum sx_status check_head(const char *path, const struct sx_value *attributes,
                                 const struct sx_train_config *config,
                                 const struct sx_train_data *data, struct sx_error *err)
{
    const char *saved = sx_value_string_or(sx_value_get(attributes, "config"), NULL);
    int64_t version = sx_value_int_or(sx_value_get(attributes, "version"), -1);
    if (!saved || version != VERSION || sx_value_int_or(sx_value_get(attributes, "step"), -1) < 0)
        return sx_fail(err, SX_ERR_FORMAT, "%s: not a training checkpoint of version %d", path,
                       (int)VERSION);
    SX_TRY(check_config(path, saved, config, err));
    int64_t n = sx_value_int_or(sx_value_get(attributes, "samples"), -1);
    int64_t d = sx_value_int_or(sx_value_get(attributes, "dimension"), -1);
    if (n != (int64_t)data->n || d != (int64_t)data->d)
        return sx_fail(err, SX_ERR_SHAPE,
                       "%s: was written on data [%lld,%lld], the data now are [%llu,%llu]", path,
                       (long long)n, (long long)d, (unsigned long long)data->n,
                       (unsigned long long)data->d);
    return SX_OK;
}

static enum sx_status read_state(struct sx_h5 *h5, size_t seed, uint64_t step,
                                 struct sx_train_state *state, struct sx_error *err)
{
    struct tensor tensors[TENSORS];
    list_tensors(state, tensors);
    for (size_t i = 0; i < TENSORS; i++) {
        char path[64];
        tensor_path(path, sizeof path, seed, &tensors[i]);
        SX_TRY(sx_h5_read(h5, path, tensors[i].dtype, tensors[i].shape[0] * tensors[i].shape[1],
                          tensors[i].data, err));
    }
    state->step = step;
    return SX_OK;
}

static enum sx_status read_curve(struct sx_h5 *h5, const char *path, struct sx_train_curve *curve,
                                 struct sx_error *err)
{
    enum sx_dtype dtype;
    int rank;
    uint64_t shape[8];
    curve->rows = 0;
    if (!sx_h5_exists(h5, "/curve"))
        return SX_OK;
    SX_TRY(sx_h5_shape(h5, "/curve", &dtype, &rank, shape, err));
    if (rank != 2 || shape[1] != curve->columns || shape[0] > UINT32_MAX)
        return sx_fail(err, SX_ERR_SHAPE, "%s: the curve has %llu columns, expected %zu", path,
                       (unsigned long long)(rank == 2 ? shape[1] : 0), curve->columns);
    size_t cells = shape[0] * curve->columns;
    SX_GROW(curve->values, curve->capacity, cells);
    SX_TRY(sx_h5_read(h5, "/curve", SX_DTYPE_F64, cells, curve->values, err));
    curve->rows = shape[0];
    return SX_OK;
}

enum sx_status sx_train_checkpoint_read(const char *path, const struct sx_train_config *config,
                                        const struct sx_train_data *data,
                                        struct sx_train_state *states, size_t n_states,
                                        struct sx_train_curve *curve, struct sx_error *err)
{
    struct sx_h5 *h5;
    struct sx_value *attributes = NULL;
    SX_TRY(sx_h5_open(path, &h5, err));
    enum sx_status status = sx_h5_read_attributes(h5, "/", &attributes, err);
    if (status == SX_OK)
        status = check_head(path, attributes, config, data, err);
    for (size_t i = 0; i < n_states && status == SX_OK; i++)
        status = read_state(h5, i, (uint64_t)sx_value_int_or(sx_value_get(attributes, "step"), 0),
                            &states[i], err);
    if (status == SX_OK)
        status = read_curve(h5, path, curve, err);
    sx_value_free(attributes);
    sx_h5_close(h5);
    return status;
}
