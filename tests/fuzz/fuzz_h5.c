/* HDF5. The input is a plan: datasets, attributes and a curve are written as it says, read back and
 * compared; then the file is cut at a place that it chooses and opened again. The library's own
 * parsing of hostile bytes is not fuzzed here: version 1.10 does not survive it. */
#include <stdio.h>
#include <unistd.h>

#include "fuzz_support.h"
#include "sextant/io/h5.h"

enum { MOST_DATASETS = 4, CELLS = 4096 };

struct plan {
    const uint8_t *p;
    size_t left;
};

static unsigned next(struct plan *plan)
{
    if (plan->left == 0)
        return 0;
    plan->left--;
    return *plan->p++;
}

static void must(enum sx_status status)
{
    if (status != SX_OK)
        abort();
}

/* A name without '/' and zero bytes that is not "." and not empty. */
static void next_name(struct plan *plan, char name[16])
{
    size_t n = 1 + next(plan) % 8;
    for (size_t i = 0; i < n; i++) {
        unsigned c = next(plan);
        name[i] = (char)(c == 0 || c == '/' || c == '.' ? 'a' : c);
    }
    name[n] = '\0';
}

static struct sx_value *next_value(struct plan *plan, int depth)
{
    char name[16];
    switch (next(plan) % (depth ? 5 : 6)) {
    case 0:
        return sx_value_int((int64_t)next(plan) << (next(plan) % 56));
    case 1:
        return sx_value_real((double)next(plan) / (1 + next(plan)));
    case 2:
        return sx_value_bool(next(plan) & 1);
    case 3:
        next_name(plan, name);
        return sx_value_string(name);
    case 4:
        return sx_value_null();
    default: {
        struct sx_value *list = sx_value_list();
        for (unsigned n = next(plan) % 8; n > 0; n--)
            sx_value_append(list, next_value(plan, depth + 1));
        return list;
    }
    }
}

static void write_attributes(struct plan *plan, struct sx_h5 *h5, const char *object)
{
    struct sx_value *map = sx_value_map();
    struct sx_value *got = NULL;
    struct sx_error err;
    for (unsigned n = next(plan) % 4; n > 0; n--) {
        char name[16];
        next_name(plan, name);
        sx_value_set(map, name, next_value(plan, 0));
    }
    if (sx_h5_write_attributes(h5, object, map, &err) == SX_OK) {
        must(sx_h5_read_attributes(h5, object, &got, &err));
        if (sx_value_count(got) != sx_value_count(map))
            abort();
        sx_value_free(got);
    }
    sx_value_free(map);
}

static void write_dataset(struct plan *plan, struct sx_h5 *h5, const char *path)
{
    static uint64_t data[CELLS];
    static uint64_t back[CELLS];
    enum sx_dtype dtype = (enum sx_dtype)(next(plan) % (SX_DTYPE_F64 + 1));
    int rank = (int)(next(plan) % 5);
    uint64_t shape[4];
    uint64_t count = 1;
    struct sx_error err;
    for (int i = 0; i < rank; i++)
        count *= shape[i] = next(plan) % 9;
    if (count > CELLS)
        return;
    size_t bytes = (size_t)count * sx_dtype_size(dtype);
    uint8_t *cells = (uint8_t *)data;
    for (size_t i = 0; i < bytes; i++)
        cells[i] = (uint8_t)(dtype == SX_DTYPE_BOOL ? next(plan) & 1 : next(plan));
    if (sx_h5_write(h5, path, dtype, rank, shape, data, (int)(next(plan) % 10), &err) != SX_OK)
        return; /* the name exists */
    must(sx_h5_read(h5, path, dtype, count, back, &err));
    if (memcmp(data, back, bytes) != 0)
        abort();
    write_attributes(plan, h5, path);
}

static void write_file(struct plan *plan, const char *path)
{
    struct sx_h5 *h5 = NULL;
    struct sx_error err;
    must(sx_h5_create(path, &h5, &err));
    for (unsigned n = next(plan) % MOST_DATASETS; n > 0; n--) {
        char name[16];
        char full[64];
        next_name(plan, name);
        snprintf(full, sizeof full, next(plan) & 1 ? "/g/%s" : "/%s", name);
        write_dataset(plan, h5, full);
    }
    write_attributes(plan, h5, "/");
    must(sx_h5_commit(h5, &err));
}

static void write_table(struct plan *plan, const char *path)
{
    static const char *const columns[] = {"a", "b", "c"};
    struct sx_h5_table *table = NULL;
    struct sx_value *names = NULL;
    struct sx_value *attributes = NULL;
    double *data = NULL;
    uint64_t rows = 0;
    struct sx_error err;
    size_t n = 1 + next(plan) % 3;
    unsigned first = next(plan) % 8;
    unsigned keep = next(plan) % 8;
    double row[3] = {1, 2, 3};
    must(sx_h5_table_create(path, columns, n, NULL, &table, &err));
    for (unsigned i = 0; i < first; i++)
        must(sx_h5_table_append(table, row, &err));
    sx_h5_table_close(table);
    enum sx_status status = sx_h5_table_resume(path, keep, &table, &err);
    if ((status == SX_OK) != (keep <= first))
        abort();
    if (status == SX_OK) {
        must(sx_h5_table_append(table, row, &err));
        sx_h5_table_close(table);
    }
    must(sx_h5_table_read(path, &names, &data, &rows, &attributes, &err));
    if (rows != (status == SX_OK ? keep + 1 : first) || sx_value_count(names) != n)
        abort();
    sx_free(data);
    sx_value_free(names);
    sx_value_free(attributes);
}

static void read_cut(const char *path, unsigned where)
{
    static uint8_t bytes[1 << 18];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        fclose(f);
    fuzz_tensor_file("f.h5", bytes, n);
    fuzz_tensor_file("f.h5", bytes, n * where / 65536);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    struct plan plan = {data, size};
    if (!path[0])
        snprintf(path, sizeof path, "%s/sextant-fuzz-%ld.h5", P_tmpdir, (long)getpid());
    unsigned where = next(&plan) << 8 | next(&plan);
    if (next(&plan) & 1)
        write_table(&plan, path);
    else
        write_file(&plan, path);
    read_cut(path, where);
    unlink(path);
    return 0;
}
