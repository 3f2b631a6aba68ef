#include "sextant/sae/train.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/rng.h"
#include "sextant/io/h5.h"
#include "sextant/io/tensor_write.h"
#include "sextant/sae/sae.h"

/* Runs on 100 small images, 4 batches an epoch (the last one of 4). */
enum { N = 100, SIDE = 4, D = SIDE * SIDE, F = 24 };

static char folder[64];
static struct sx_error error;

static char *in_folder(const char *name)
{
    return sx_xasprintf("%s/%s", folder, name);
}

static void write_images(void)
{
    const uint8_t head[16] = {0, 0, 8, 3, 0, 0, 0, N, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    char *path = in_folder("images-idx3-ubyte");
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    fwrite(head, 1, sizeof head, f);
    struct sx_rng rng = sx_rng_make(1, 1);
    for (int i = 0; i < N * D; i++)
        fputc((int)sx_rng_below(&rng, 256), f);
    fclose(f);
    sx_free(path);
}

static void set_up(void)
{
    strcpy(folder, "/tmp/sx_train_XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    write_images();
}

static void clean_up(void)
{
    char *command = sx_xasprintf("rm -r '%s'", folder);
    cr_assert_eq(system(command), 0);
    sx_free(command);
}

TestSuite(train, .init = set_up, .fini = clean_up);

static const char *const common =
    "data: images-idx3-ubyte\nname: r\ndict_size: 24\nbatch: 32\nseeds: [0, 5]\nthreads: 2\n"
    "b_dec_init: geometric_median\ntied_init: true\nunit_norm_init: true\nlr: 1e-2\n"
    "decoder_constraint: renorm\npenalty_encoder: l2_unsquared\nlambda_encoder: 1e-3\n"
    "penalty_decoder: l1\nlambda_decoder: 1e-3\nlog_every: 3\nmmcs_every: 5\n";

static void configure(const char *override, struct sx_train_config *config)
{
    cr_assert_eq(sx_train_config_parse("test.yaml", common, strlen(common), folder, &override, 1,
                                       config, &error),
                 SX_OK, "%s", error.message);
}

/* Train into folder/name; more than one override as "a=1 b=2" is not needed here. */
static enum sx_status train(const char *name, const char *override, bool resume,
                            sx_train_on_row on_row, void *user, struct sx_task *task)
{
    struct sx_train_config config;
    char *out = in_folder(name);
    error.message[0] = '\0';
    configure(override, &config);
    enum sx_status status = sx_train_run(&config, out, resume, on_row, user, task, &error);
    sx_train_config_release(&config);
    sx_free(out);
    return status;
}

static bool exists(const char *name)
{
    char *path = in_folder(name);
    bool found = access(path, F_OK) == 0;
    sx_free(path);
    return found;
}

static void cr_same_sae(const char *a, const char *b, bool same)
{
    struct sx_sae *x, *y;
    char *path_a = in_folder(a), *path_b = in_folder(b);
    cr_assert_eq(sx_sae_load(path_a, &x, &error), SX_OK, "%s", error.message);
    cr_assert_eq(sx_sae_load(path_b, &y, &error), SX_OK, "%s", error.message);
    bool equal = memcmp(x->W_enc, y->W_enc, F * D * sizeof(float)) == 0 &&
                 memcmp(x->W_dec, y->W_dec, F * D * sizeof(float)) == 0 &&
                 memcmp(x->b_enc, y->b_enc, F * sizeof(float)) == 0 &&
                 memcmp(x->b_dec, y->b_dec, D * sizeof(float)) == 0;
    cr_assert_eq(equal, same, "%s, %s", a, b);
    sx_sae_unref(x);
    sx_sae_unref(y);
    sx_free(path_a);
    sx_free(path_b);
}

struct curve {
    struct sx_value *columns;
    double *data;
    uint64_t rows;
};

static struct curve read_curve(const char *name)
{
    struct curve c = {0};
    struct sx_value *attributes = NULL;
    char *path = in_folder(name);
    cr_assert_eq(sx_h5_table_read(path, &c.columns, &c.data, &c.rows, &attributes, &error), SX_OK,
                 "%s", error.message);
    cr_assert_str_eq(sx_value_string_or(sx_value_get(attributes, "name"), ""), "r");
    sx_value_free(attributes);
    sx_free(path);
    return c;
}

static void release_curve(struct curve *c)
{
    sx_value_free(c->columns);
    sx_free(c->data);
}

static void cr_same_curve(const char *a, const char *b)
{
    struct curve x = read_curve(a), y = read_curve(b);
    cr_assert_eq(x.rows, y.rows);
    cr_assert_eq(sx_value_count(x.columns), sx_value_count(y.columns));
    for (uint64_t i = 0; i < x.rows * sx_value_count(x.columns); i++)
        cr_assert(memcmp(&x.data[i], &y.data[i], sizeof(double)) == 0 ||
                      (isnan(x.data[i]) && isnan(y.data[i])),
                  "value %d", (int)i);
    release_curve(&x);
    release_curve(&y);
}

Test(train, same_configuration_gives_the_same_bytes_and_seeds_differ)
{
    cr_assert_eq(train("a", "epochs=5", false, NULL, NULL, NULL), SX_OK, "%s", error.message);
    cr_assert_eq(train("b", "epochs=5", false, NULL, NULL, NULL), SX_OK, "%s", error.message);
    cr_same_sae("a/r_s0.sae.h5", "b/r_s0.sae.h5", true);
    cr_same_sae("a/r_s5.sae.h5", "b/r_s5.sae.h5", true);
    cr_same_sae("a/r_s0.sae.h5", "a/r_s5.sae.h5", false);
    cr_same_curve("a/r.curve.h5", "b/r.curve.h5");
}

Test(train, a_seed_trained_alone_equals_the_one_in_the_family)
{
    cr_assert_eq(train("family", "steps=9", false, NULL, NULL, NULL), SX_OK, "%s", error.message);
    const char *overrides[] = {"steps=9", "seeds=5"};
    struct sx_train_config config;
    cr_assert_eq(
        sx_train_config_parse("t", common, strlen(common), folder, overrides, 2, &config, &error),
        SX_OK);
    char *out = in_folder("alone");
    cr_assert_eq(sx_train_run(&config, out, false, NULL, NULL, NULL, &error), SX_OK, "%s",
                 error.message);
    sx_free(out);
    sx_train_config_release(&config);
    cr_same_sae("family/r_s5.sae.h5", "alone/r_s5.sae.h5", true);
}

Test(train, data_seed_and_own_orders_change_the_outcome)
{
    cr_assert_eq(train("a", "steps=9", false, NULL, NULL, NULL), SX_OK, "%s", error.message);
    const char *overrides[] = {"steps=9", "data_seed=1"};
    for (int i = 0; i < 2; i++) {
        struct sx_train_config config;
        if (i == 1)
            overrides[1] = "shared_data_order=false";
        cr_assert_eq(sx_train_config_parse("t", common, strlen(common), folder, overrides, 2,
                                           &config, &error),
                     SX_OK);
        char *out = in_folder(i ? "own" : "other");
        cr_assert_eq(sx_train_run(&config, out, false, NULL, NULL, NULL, &error), SX_OK);
        sx_free(out);
        sx_train_config_release(&config);
    }
    cr_same_sae("a/r_s0.sae.h5", "other/r_s0.sae.h5", false);
    cr_same_sae("a/r_s0.sae.h5", "own/r_s0.sae.h5", false);
}

Test(train, twenty_steps_equal_ten_and_ten_more)
{
    cr_assert_eq(train("whole", "steps=20", false, NULL, NULL, NULL), SX_OK, "%s", error.message);
    cr_assert_eq(train("parts", "steps=10", false, NULL, NULL, NULL), SX_OK, "%s", error.message);
    cr_assert_eq(train("parts", "steps=20", true, NULL, NULL, NULL), SX_OK, "%s", error.message);
    cr_same_sae("whole/r_s0.sae.h5", "parts/r_s0.sae.h5", true);
    cr_same_sae("whole/r_s5.sae.h5", "parts/r_s5.sae.h5", true);
}

struct stopper {
    struct sx_task *task;
    uint64_t at;
    int rows;
};

static void stop_at(void *user, const struct sx_train_row *row)
{
    struct stopper *s = user;
    s->rows++;
    if (row->step >= s->at)
        sx_task_cancel(s->task);
}

/* Cancelled at step 6 of 20, then 12, in the middle of epochs: the same bytes, the same curve. */
Test(train, an_interrupted_run_resumes_bit_exactly)
{
    cr_assert_eq(train("whole", "steps=20", false, NULL, NULL, NULL), SX_OK, "%s", error.message);
    for (uint64_t at = 6; at <= 12; at += 6) {
        struct sx_task task;
        sx_task_init(&task);
        struct stopper stopper = {&task, at, 0};
        cr_assert_eq(train("cut", "steps=20", at > 6, stop_at, &stopper, &task), SX_CANCELLED);
        cr_assert(exists("cut/r.ckpt.h5"));
        cr_assert_not(exists("cut/r_s0.sae.h5"));
    }
    cr_assert_eq(train("cut", "steps=20", true, NULL, NULL, NULL), SX_OK, "%s", error.message);
    cr_same_sae("whole/r_s0.sae.h5", "cut/r_s0.sae.h5", true);
    cr_same_sae("whole/r_s5.sae.h5", "cut/r_s5.sae.h5", true);
    cr_same_curve("whole/r.curve.h5", "cut/r.curve.h5");
}

Test(train, resume_refuses_another_configuration_and_starts_without_a_checkpoint)
{
    cr_assert_eq(train("a", "steps=4", false, NULL, NULL, NULL), SX_OK, "%s", error.message);
    cr_assert_eq(train("a", "lr=0.5", true, NULL, NULL, NULL), SX_ERR_USAGE);
    cr_assert_not_null(strstr(error.message, "lr: 0.01"), "%s", error.message);
    cr_assert_eq(train("a", "steps=3", true, NULL, NULL, NULL), SX_ERR_USAGE);
    cr_assert_not_null(strstr(error.message, "step 4"), "%s", error.message);
    cr_assert_eq(train("fresh", "steps=4", true, NULL, NULL, NULL), SX_OK, "%s", error.message);
    cr_same_sae("a/r_s0.sae.h5", "fresh/r_s0.sae.h5", true);
}

Test(train, a_broken_checkpoint_is_an_error)
{
    cr_assert_eq(train("a", "steps=4", false, NULL, NULL, NULL), SX_OK, "%s", error.message);
    char *path = in_folder("a/r.ckpt.h5");
    cr_assert_eq(truncate(path, 3000), 0);
    sx_free(path);
    cr_assert_neq(train("a", "steps=8", true, NULL, NULL, NULL), SX_OK);
    cr_assert_not_null(strstr(error.message, "r.ckpt.h5"), "%s", error.message);
}

static void keep_last(void *user, const struct sx_train_row *row)
{
    *(struct sx_train_metrics *)user = row->metrics[0];
}

/* What the curve says of the last step, against the SAE that was written. */
Test(train, the_curve_is_right)
{
    struct sx_train_metrics last;
    cr_assert_eq(train("a", "steps=20", false, keep_last, &last, NULL), SX_OK, "%s", error.message);
    struct curve c = read_curve("a/r.curve.h5");
    size_t n = sx_value_count(c.columns);
    cr_assert_eq(n, 2 + 2 * 7 + 2);
    cr_assert_str_eq(sx_value_string_or(sx_value_item(c.columns, 2), ""), "s0.loss");
    cr_assert_str_eq(sx_value_string_or(sx_value_item(c.columns, 9), ""), "s5.loss");
    cr_assert_str_eq(sx_value_string_or(sx_value_item(c.columns, n - 2), ""), "mmcs.0-5");
    const uint64_t steps[] = {3, 5, 6, 9, 10, 12, 15, 18, 20};
    cr_assert_eq(c.rows, sizeof steps / sizeof *steps);
    for (size_t i = 0; i < c.rows; i++) {
        cr_assert_eq(c.data[i * n], (double)steps[i]);
        cr_assert_eq(c.data[i * n + 1], (double)steps[i] / 4);
        cr_assert_eq(isnan(c.data[i * n + n - 1]) == 0, steps[i] % 5 == 0);
    }
    const double *end = c.data + (c.rows - 1) * n;
    cr_assert_eq(end[3], last.mse);
    cr_assert_float_eq(end[2], end[3] + end[4] + end[5], 1e-12);
    cr_assert_lt(end[2], c.data[2]);

    struct sx_sae *sae;
    char *path = in_folder("a/r_s0.sae.h5");
    cr_assert_eq(sx_sae_load(path, &sae, &error), SX_OK, "%s", error.message);
    double alignment = 0, sq_enc = 0, abs_dec = 0;
    for (int j = 0; j < F; j++) {
        double ee = 0, dd = 0, ed = 0;
        for (int i = 0; i < D; i++) {
            double e = (double)sae->W_enc[j * D + i], d = (double)sae->W_dec[j * D + i];
            ee += e * e;
            dd += d * d;
            ed += e * d;
            abs_dec += fabs(d);
        }
        cr_assert_float_eq(dd, 1, 1e-5);
        alignment += ed / sqrt(ee * dd) / F;
        sq_enc += ee;
    }
    cr_assert_float_eq(end[8], alignment, 1e-5);
    cr_assert_float_eq(end[5], 1e-3 * sqrt(sq_enc) + 1e-3 * abs_dec / (F * D), 1e-6);
    cr_assert_eq(sae->info.seed, 0);
    cr_assert_eq(sae->info.dict_size, F);
    cr_assert_eq(sae->info.image_width, SIDE);
    cr_assert_eq(sae->info.constraint, SX_CONSTRAINT_RENORM);
    cr_assert(sae->info.subtract_b_dec);
    sx_sae_unref(sae);
    sx_free(path);
    release_curve(&c);
}

Test(train, progress_reaches_the_end)
{
    struct sx_task task;
    sx_task_init(&task);
    cr_assert_eq(train("a", "epochs=3", false, NULL, NULL, &task), SX_OK, "%s", error.message);
    cr_assert_eq(atomic_load(&task.done), 12);
    cr_assert_eq(atomic_load(&task.total), 12);
}

/* The same samples from every kind of file. */
static void write_as(const char *ending, const float *values)
{
    const struct sx_tensor_out tensor = {"x", SX_DTYPE_F32, 2, {N, D}, values};
    char *name = sx_xasprintf("x.%s", ending), *path = in_folder(name);
    if (strcmp(ending, "npy") == 0)
        cr_assert_eq(sx_npy_write(path, &tensor, &error), SX_OK, "%s", error.message);
    else if (strcmp(ending, "npz") == 0)
        cr_assert_eq(sx_npz_write(path, &tensor, 1, &error), SX_OK, "%s", error.message);
    else
        cr_assert_eq(sx_safetensors_write(path, &tensor, 1, NULL, &error), SX_OK, "%s",
                     error.message);
    sx_free(path);
    sx_free(name);
}

Test(train, npy_npz_and_safetensors_equal_idx)
{
    float values[N * D];
    struct sx_rng rng = sx_rng_make(1, 1);
    for (int i = 0; i < N * D; i++)
        values[i] = (float)sx_rng_below(&rng, 256) / 255.0F;
    cr_assert_eq(train("idx", "steps=5", false, NULL, NULL, NULL), SX_OK, "%s", error.message);
    const char *const endings[] = {"npy", "npz", "safetensors"};
    for (int i = 0; i < 3; i++) {
        write_as(endings[i], values);
        char *data = sx_xasprintf("data=%s/x.%s", folder, endings[i]);
        const char *overrides[] = {"steps=5", data};
        struct sx_train_config config;
        cr_assert_eq(sx_train_config_parse("t", common, strlen(common), folder, overrides, 2,
                                           &config, &error),
                     SX_OK);
        char *out = in_folder(endings[i]), *sae = sx_xasprintf("%s/r_s0.sae.h5", endings[i]);
        cr_assert_eq(sx_train_run(&config, out, false, NULL, NULL, NULL, &error), SX_OK, "%s",
                     error.message);
        cr_same_sae("idx/r_s0.sae.h5", sae, true);
        sx_train_config_release(&config);
        sx_free(data);
        sx_free(out);
        sx_free(sae);
    }
}

Test(train, data_that_are_not_finite_are_named)
{
    float values[N * D] = {0};
    values[3 * D + 2] = NAN;
    write_as("npy", values);
    char *data = sx_xasprintf("data=%s/x.npy", folder);
    cr_assert_eq(train("a", data, false, NULL, NULL, NULL), SX_ERR_NUMERIC);
    cr_assert_not_null(strstr(error.message, "row 3, column 2"), "%s", error.message);
    sx_free(data);
}

Test(train, the_bundled_images_train)
{
    struct sx_train_config config;
    struct sx_train_metrics last;
    const char *overrides[] = {"steps=3", "seeds=0"};
    cr_assert_eq(sx_train_config_load(SX_SOURCE_DIR "/examples/mnist/quick.yaml", overrides, 2,
                                      &config, &error),
                 SX_OK, "%s", error.message);
    cr_assert_eq(sx_train_run(&config, folder, false, keep_last, &last, NULL, &error), SX_OK, "%s",
                 error.message);
    sx_train_config_release(&config);
    cr_assert(exists("quick_s0.sae.h5"));
    cr_assert_lt(last.mse, 0.1);
}

Test(train, bad_data_is_named)
{
    cr_assert_eq(train("a", "data=/nowhere/x.npy", false, NULL, NULL, NULL), SX_ERR_IO);
    cr_assert_not_null(strstr(error.message, "/nowhere/x.npy"), "%s", error.message);
    cr_assert_eq(train("a", "image_width=5", false, NULL, NULL, NULL), SX_ERR_SHAPE);
    cr_assert_not_null(strstr(error.message, "16 values"), "%s", error.message);
}

Test(train, divergence_is_reported)
{
    cr_assert_eq(train("a", "lr=1e30", false, NULL, NULL, NULL), SX_ERR_NUMERIC);
    cr_assert_not_null(strstr(error.message, "diverged"), "%s", error.message);
}

Test(train, a_row_as_json)
{
    const int64_t seeds[2] = {4, 6};
    const struct sx_train_metrics metrics[2] = {{.loss = 1, .mse = 0.5}, {.l0 = 3}};
    const double mmcs[1] = {0.25};
    struct sx_train_row row = {.step = 7,
                               .steps = 9,
                               .epoch = 1.5,
                               .n_seeds = 2,
                               .seeds = seeds,
                               .metrics = metrics,
                               .n_pairs = 1,
                               .mmcs = mmcs,
                               .mmcs_mean = 0.25,
                               .eta = -1};
    struct sx_value *v = sx_train_row_describe(&row);
    cr_assert_eq(sx_value_int_or(sx_value_get(v, "schema"), 0), 1);
    cr_assert_eq(sx_value_int_or(sx_value_get(v, "step"), 0), 7);
    cr_assert_eq(sx_value_real_or(sx_value_get(v, "mmcs"), 0), 0.25);
    cr_assert_eq(sx_value_kind(sx_value_get(v, "eta")), SX_VALUE_NULL);
    const struct sx_value *one = sx_value_item(sx_value_get(v, "seeds"), 1);
    cr_assert_eq(sx_value_int_or(sx_value_get(one, "seed"), 0), 6);
    cr_assert_eq(sx_value_real_or(sx_value_get(one, "l0"), 0), 3);
    sx_value_free(v);
}
