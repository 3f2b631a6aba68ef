#include "sextant/io/h5.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io_support.h"
#include "sextant/base/alloc.h"

static struct sx_error err;

TestSuite(h5, .init = io_enter_scratch, .fini = io_leave_scratch);

static struct sx_h5 *create(const char *name)
{
    struct sx_h5 *h5 = NULL;
    cr_assert_eq(sx_h5_create(name, &h5, &err), SX_OK, "%s", err.message);
    return h5;
}

static struct sx_h5 *reopen(struct sx_h5 *h5, const char *name)
{
    cr_assert_eq(sx_h5_commit(h5, &err), SX_OK, "%s", err.message);
    struct sx_h5 *again = NULL;
    cr_assert_eq(sx_h5_open(name, &again, &err), SX_OK, "%s", err.message);
    return again;
}

Test(h5, datasets_come_back_plain_and_compressed)
{
    float data[6][5];
    for (int i = 0; i < 30; i++)
        data[i / 5][i % 5] = (float)i / 3;
    uint64_t shape[2] = {6, 5};
    struct sx_h5 *h5 = create("a.h5");
    cr_assert_eq(sx_h5_write(h5, "/g/plain", SX_DTYPE_F32, 2, shape, data, 0, &err), SX_OK);
    cr_assert_eq(sx_h5_write(h5, "/g/packed", SX_DTYPE_F32, 2, shape, data, 4, &err), SX_OK);
    cr_assert_neq(sx_h5_write(h5, "/g/packed", SX_DTYPE_F32, 2, shape, data, 4, &err), SX_OK);
    cr_assert_neq(access("a.h5", F_OK), 0, "the name must not exist before commit");
    h5 = reopen(h5, "a.h5");
    const char *names[] = {"/g/plain", "/g/packed"};
    for (int k = 0; k < 2; k++) {
        enum sx_dtype dtype;
        int rank;
        uint64_t got_shape[8];
        float got[30];
        cr_assert_eq(sx_h5_shape(h5, names[k], &dtype, &rank, got_shape, &err), SX_OK);
        cr_assert_eq(dtype, SX_DTYPE_F32);
        cr_assert(rank == 2 && got_shape[0] == 6 && got_shape[1] == 5);
        cr_assert_eq(sx_h5_read(h5, names[k], SX_DTYPE_F32, 30, got, &err), SX_OK);
        cr_assert_arr_eq(got, data, sizeof data);
        double rows[10];
        cr_assert_eq(sx_h5_read_rows(h5, names[k], SX_DTYPE_F64, 2, 2, rows, &err), SX_OK);
        for (int i = 0; i < 10; i++)
            cr_assert_eq(rows[i], (double)data[2 + i / 5][i % 5]);
        cr_assert_eq(sx_h5_read_rows(h5, names[k], SX_DTYPE_F64, 5, 2, rows, &err), SX_ERR_SHAPE);
        cr_assert_eq(sx_h5_read(h5, names[k], SX_DTYPE_F32, 29, got, &err), SX_ERR_SHAPE);
    }
    uint64_t offset = 0;
    cr_assert_not(sx_h5_extent(h5, "/g/packed", &offset));
    cr_assert(sx_h5_extent(h5, "/g/plain", &offset));
    float raw[30];
    FILE *f = fopen("a.h5", "rb");
    fseek(f, (long)offset, SEEK_SET);
    cr_assert_eq(fread(raw, sizeof *raw, 30, f), 30);
    fclose(f);
    cr_assert_arr_eq(raw, data, sizeof data);
    cr_assert_eq(sx_h5_kind(h5, "/g"), SX_H5_GROUP);
    cr_assert_eq(sx_h5_kind(h5, "/g/plain"), SX_H5_DATASET);
    cr_assert_eq(sx_h5_kind(h5, "/g/nothing/deeper"), SX_H5_NOTHING);
    cr_assert_eq(sx_h5_read(h5, "/g", SX_DTYPE_F32, 30, raw, &err), SX_ERR_NOTFOUND);
    struct sx_value *list = NULL;
    cr_assert_eq(sx_h5_list(h5, "/g", &list, &err), SX_OK);
    cr_assert_eq(sx_value_count(list), 2);
    cr_assert_str_eq(sx_value_string_or(sx_value_item(list, 1), ""), "plain");
    sx_value_free(list);
    sx_h5_close(h5);
}

Test(h5, every_number_type_and_rank_zero_come_back)
{
    static const enum sx_dtype types[] = {SX_DTYPE_BOOL, SX_DTYPE_U8,  SX_DTYPE_I8,   SX_DTYPE_I16,
                                          SX_DTYPE_U16,  SX_DTYPE_I32, SX_DTYPE_U32,  SX_DTYPE_I64,
                                          SX_DTYPE_U64,  SX_DTYPE_F16, SX_DTYPE_BF16, SX_DTYPE_F32,
                                          SX_DTYPE_F64};
    struct sx_h5 *h5 = create("t.h5");
    uint8_t one[13][8];
    for (int i = 0; i < 13; i++) {
        char name[16];
        memset(one[i], 0, 8);
        if (types[i] <= SX_DTYPE_U64)
            one[i][0] = 1;
        else if (types[i] == SX_DTYPE_F16)
            memcpy(one[i], "\x00\x3c", 2);
        else if (types[i] == SX_DTYPE_BF16)
            memcpy(one[i], "\x80\x3f", 2);
        else if (types[i] == SX_DTYPE_F32)
            memcpy(one[i], "\x00\x00\x80\x3f", 4);
        else
            memcpy(one[i], "\x00\x00\x00\x00\x00\x00\xf0\x3f", 8);
        snprintf(name, sizeof name, "/t%d", i);
        cr_assert_eq(sx_h5_write(h5, name, types[i], 0, NULL, one[i], 0, &err), SX_OK, "%s",
                     err.message);
    }
    h5 = reopen(h5, "t.h5");
    for (int i = 0; i < 13; i++) {
        char name[16];
        enum sx_dtype dtype;
        int rank;
        uint64_t shape[8];
        float f = 0;
        uint8_t raw[8] = {0};
        snprintf(name, sizeof name, "/t%d", i);
        cr_assert_eq(sx_h5_shape(h5, name, &dtype, &rank, shape, &err), SX_OK);
        cr_assert_eq(dtype, types[i]);
        cr_assert_eq(rank, 0);
        cr_assert_eq(sx_h5_read(h5, name, SX_DTYPE_F32, 1, &f, &err), SX_OK, "%s", err.message);
        cr_assert_eq(f, 1.0F, "type %d", i);
        cr_assert_eq(sx_h5_read(h5, name, types[i], 1, raw, &err), SX_OK);
        cr_assert_arr_eq(raw, one[i], sx_dtype_size(types[i]));
    }
    sx_h5_close(h5);
}

Test(h5, attributes_come_back_with_their_kinds)
{
    struct sx_value *map = sx_value_map();
    sx_value_set(map, "arch", sx_value_string("topk \xce\xbb"));
    sx_value_set(map, "k", sx_value_int(-40));
    sx_value_set(map, "lambda", sx_value_real(1e-5));
    sx_value_set(map, "nan", sx_value_real((double)NAN));
    sx_value_set(map, "tied", sx_value_bool(true));
    sx_value_set(map, "none", sx_value_null());
    struct sx_value *list = sx_value_set(map, "groups", sx_value_list());
    sx_value_append(list, sx_value_int(3));
    sx_value_append(list, sx_value_real(0.5));
    struct sx_value *words = sx_value_set(map, "words", sx_value_list());
    sx_value_append(words, sx_value_string("a"));
    sx_value_append(words, sx_value_string(""));
    sx_value_set(map, "empty", sx_value_list());
    struct sx_h5 *h5 = create("m.h5");
    cr_assert_eq(sx_h5_write_attributes(h5, "/", map, &err), SX_OK, "%s", err.message);
    cr_assert_eq(sx_h5_write_attributes(h5, "/", map, &err), SX_OK, "writing again replaces");
    struct sx_value *bad = sx_value_map();
    sx_value_set(bad, "m", sx_value_map());
    cr_assert_eq(sx_h5_write_attributes(h5, "/", bad, &err), SX_ERR_USAGE);
    cr_assert_eq(sx_h5_write_attributes(h5, "/nowhere", map, &err), SX_ERR_NOTFOUND);
    h5 = reopen(h5, "m.h5");
    struct sx_value *got = NULL;
    cr_assert_eq(sx_h5_read_attributes(h5, "/", &got, &err), SX_OK);
    cr_assert_eq(sx_value_count(got), 9);
    cr_assert_str_eq(sx_value_string_or(sx_value_get(got, "arch"), ""), "topk \xce\xbb");
    cr_assert_eq(sx_value_int_or(sx_value_get(got, "k"), 0), -40);
    cr_assert_eq(sx_value_real_or(sx_value_get(got, "lambda"), 0), 1e-5);
    cr_assert(isnan(sx_value_real_or(sx_value_get(got, "nan"), 0)));
    cr_assert_eq(sx_value_kind(sx_value_get(got, "tied")), SX_VALUE_BOOL);
    cr_assert(sx_value_bool_or(sx_value_get(got, "tied"), false));
    cr_assert_eq(sx_value_kind(sx_value_get(got, "none")), SX_VALUE_NULL);
    const struct sx_value *groups = sx_value_get(got, "groups");
    cr_assert_eq(sx_value_count(groups), 2);
    cr_assert_eq(sx_value_real_or(sx_value_item(groups, 0), 0), 3.0);
    cr_assert_eq(sx_value_real_or(sx_value_item(groups, 1), 0), 0.5);
    cr_assert_str_eq(sx_value_string_or(sx_value_item(sx_value_get(got, "words"), 0), ""), "a");
    cr_assert_eq(sx_value_kind(sx_value_get(got, "empty")), SX_VALUE_LIST);
    sx_value_free(got);
    sx_value_free(bad);
    sx_value_free(map);
    sx_h5_close(h5);
}

Test(h5, a_file_closed_without_commit_leaves_nothing)
{
    sx_h5_close(create("gone.h5"));
    cr_assert_eq(io_files_in_scratch(), 0);
}

Test(h5, what_is_not_hdf5_is_refused_in_one_line)
{
    struct sx_h5 *h5 = NULL;
    cr_assert_eq(sx_h5_open("missing.h5", &h5, &err), SX_ERR_IO);
    io_write("text.h5", "not hdf5 at all", 15);
    cr_assert_eq(sx_h5_open("text.h5", &h5, &err), SX_ERR_FORMAT);
    cr_assert(strstr(err.message, "text.h5"));
    cr_assert_eq(sx_h5_open(".", &h5, &err), SX_ERR_IO);
    cr_assert_null(h5);
}

static const char *const columns[] = {"step", "loss"};

static uint64_t rows_of(const char *path, double *last)
{
    struct sx_value *names = NULL;
    struct sx_value *attributes = NULL;
    double *data = NULL;
    uint64_t rows = 0;
    cr_assert_eq(sx_h5_table_read(path, &names, &data, &rows, &attributes, &err), SX_OK, "%s",
                 err.message);
    cr_assert_eq(sx_value_count(names), 2);
    cr_assert_eq(sx_value_int_or(sx_value_get(attributes, "seed"), -1), 7);
    if (rows > 0)
        *last = data[2 * rows - 1];
    for (uint64_t i = 0; i < rows; i++)
        cr_assert_eq(data[2 * i], (double)i);
    sx_free(data);
    sx_value_free(names);
    sx_value_free(attributes);
    return rows;
}

static struct sx_h5_table *new_table(const char *path)
{
    struct sx_value *attributes = sx_value_map();
    struct sx_h5_table *t = NULL;
    sx_value_set(attributes, "seed", sx_value_int(7));
    cr_assert_eq(sx_h5_table_create(path, columns, 2, attributes, &t, &err), SX_OK, "%s",
                 err.message);
    sx_value_free(attributes);
    return t;
}

static void append(struct sx_h5_table *t, double step, double loss)
{
    double row[2] = {step, loss};
    cr_assert_eq(sx_h5_table_append(t, row, &err), SX_OK, "%s", err.message);
}

Test(h5, a_table_is_read_in_the_process_that_writes_it)
{
    double last = 0;
    struct sx_h5_table *t = new_table("t.h5");
    cr_assert_eq(rows_of("t.h5", &last), 0);
    append(t, 0, 5);
    cr_assert_eq(rows_of("t.h5", &last), 1);
    append(t, 1, 4);
    cr_assert_eq(rows_of("t.h5", &last), 2);
    cr_assert_eq(last, 4.0);
    sx_h5_table_close(t);
    cr_assert_eq(rows_of("t.h5", &last), 2);
    cr_assert_eq(io_files_in_scratch(), 1);
}

/* A child appends rows until it is killed. */
static pid_t start_writer(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sx_h5_table *t = new_table(path);
        for (int i = 0; i < 100000; i++) {
            append(t, i, 100 - i);
            usleep(500);
        }
        _exit(0);
    }
    return pid;
}

Test(h5, a_table_is_watched_while_another_process_writes_and_resumed_after_its_death)
{
    double last = 0;
    pid_t writer = start_writer("curve.h5");
    while (access("curve.h5", F_OK) != 0)
        usleep(1000);
    uint64_t before = rows_of("curve.h5", &last);
    uint64_t now = before;
    for (int i = 0; i < 2000 && now < before + 300; i++) {
        uint64_t seen = rows_of("curve.h5", &last);
        cr_assert_geq(seen, now, "a table never shrinks");
        now = seen;
        usleep(1000);
    }
    cr_assert_geq(now, before + 300);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    uint64_t left = rows_of("curve.h5", &last);
    cr_assert_geq(left, now);
    struct sx_h5_table *t = NULL;
    cr_assert_eq(sx_h5_table_resume("curve.h5", left + 1, &t, &err), SX_ERR_FORMAT);
    cr_assert_eq(sx_h5_table_resume("curve.h5", 10, &t, &err), SX_OK, "%s", err.message);
    cr_assert_eq(rows_of("curve.h5", &last), 10);
    append(t, 10, -1);
    cr_assert_eq(rows_of("curve.h5", &last), 11);
    cr_assert_eq(last, -1.0);
    sx_h5_table_close(t);
    cr_assert_eq(rows_of("curve.h5", &last), 11);
}
