#include "sextant/io/h5.h"

#include <hdf5.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "outfile.h"
#include "sextant/base/alloc.h"

enum {
    MAX_RANK = 8,
    MAX_PATH_BYTES = 1024,
    MAX_ATTRIBUTES = 4096,
    MAX_ATTRIBUTE_BYTES = 1 << 20,
    MAX_CHILDREN = 1 << 20,
    CHUNK_BYTES = 1 << 20,
    TABLE_CHUNK_ROWS = 256,
    MAX_COLUMNS = 1024,
    OPEN_ATTEMPTS = 5,
};

/* A compressed dataset expands at most this much (deflate's bound), plus what fill values need. */
#define MAX_EXPANSION 1100ULL
#define MAX_UNSTORED (64ULL << 20)

struct sx_h5 {
    hid_t file;
    char *path;
    char *temporary; /* NULL: opened for reading */
};

struct sx_h5_table {
    hid_t file;
    hid_t data;
    char *path;
    uint64_t rows;
    uint64_t columns;
};

/* The library may be built without thread safety, and where it has it every call waits for one
 * lock anyway. Public functions lock; static ones expect it held. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void enter(void)
{
    static bool ready;
    pthread_mutex_lock(&lock);
    if (!ready) {
        H5open();
        H5PLset_loading_state(0); /* a file must not choose code to load */
        ready = true;
    }
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* per thread: messages go to sx_error, not stderr */
    H5Eclear2(H5E_DEFAULT);
}

static void leave(void)
{
    pthread_mutex_unlock(&lock);
}

static herr_t innermost(unsigned n, const H5E_error2_t *error, void *text)
{
    (void)n;
    snprintf(text, 200, "%s", error->desc ? error->desc : "unknown HDF5 error");
    return 1; /* the walk goes upward from the innermost: the first is enough */
}

static enum sx_status fail_h5(struct sx_error *err, enum sx_status status, const char *path,
                              const char *what)
{
    char why[200] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, why);
    H5Eclear2(H5E_DEFAULT);
    return sx_fail(err, status, "%s: %s%s%s", path, what, why[0] ? ": " : "", why);
}

/* ---- types ---- */

static hid_t make_float16(size_t mantissa, size_t exponent_bits, size_t bias)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, mantissa, exponent_bits, 0, mantissa);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, bias);
    return type;
}

static hid_t make_bool(void)
{
    hid_t type = H5Tenum_create(H5T_STD_I8LE); /* the form that h5py writes and reads as bool */
    signed char value = 0;
    H5Tenum_insert(type, "FALSE", &value);
    value = 1;
    H5Tenum_insert(type, "TRUE", &value);
    return type;
}

/* A type of our own to close, or -1 for types that are only parsed. */
static hid_t make_type(enum sx_dtype dtype)
{
    switch (dtype) {
    case SX_DTYPE_BOOL:
        return make_bool();
    case SX_DTYPE_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case SX_DTYPE_I8:
        return H5Tcopy(H5T_STD_I8LE);
    case SX_DTYPE_I16:
        return H5Tcopy(H5T_STD_I16LE);
    case SX_DTYPE_U16:
        return H5Tcopy(H5T_STD_U16LE);
    case SX_DTYPE_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case SX_DTYPE_U32:
        return H5Tcopy(H5T_STD_U32LE);
    case SX_DTYPE_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case SX_DTYPE_U64:
        return H5Tcopy(H5T_STD_U64LE);
    case SX_DTYPE_F16:
        return make_float16(10, 5, 15);
    case SX_DTYPE_BF16:
        return make_float16(7, 8, 127);
    case SX_DTYPE_F32:
        return H5Tcopy(H5T_IEEE_F32LE);
    case SX_DTYPE_F64:
        return H5Tcopy(H5T_IEEE_F64LE);
    case SX_DTYPE_OTHER8:
    case SX_DTYPE_OTHER64:
        break;
    }
    return -1;
}

static bool is_bool_type(hid_t type)
{
    hid_t want = make_bool();
    bool same = H5Tequal(type, want) > 0;
    H5Tclose(want);
    return same;
}

static bool float_dtype(hid_t type, enum sx_dtype *dtype)
{
    size_t size = H5Tget_size(type);
    if (size == 2) {
        size_t spos;
        size_t epos;
        size_t esize;
        size_t mpos;
        size_t msize;
        if (H5Tget_fields(type, &spos, &epos, &esize, &mpos, &msize) < 0)
            return false;
        *dtype = msize == 7 ? SX_DTYPE_BF16 : SX_DTYPE_F16;
        return (msize == 7 && esize == 8) || (msize == 10 && esize == 5);
    }
    *dtype = size == 4 ? SX_DTYPE_F32 : SX_DTYPE_F64;
    return size == 4 || size == 8;
}

static bool dtype_of(hid_t type, enum sx_dtype *dtype)
{
    static const enum sx_dtype with_sign[] = {SX_DTYPE_I8, SX_DTYPE_I16, SX_DTYPE_I32,
                                              SX_DTYPE_I64};
    static const enum sx_dtype without[] = {SX_DTYPE_U8, SX_DTYPE_U16, SX_DTYPE_U32, SX_DTYPE_U64};
    switch (H5Tget_class(type)) {
    case H5T_FLOAT:
        return float_dtype(type, dtype);
    case H5T_INTEGER:
        for (size_t i = 0; i < 4; i++)
            if (H5Tget_size(type) == (size_t)1 << i) {
                *dtype = H5Tget_sign(type) == H5T_SGN_NONE ? without[i] : with_sign[i];
                return true;
            }
        return false;
    case H5T_ENUM:
        *dtype = SX_DTYPE_BOOL;
        return is_bool_type(type);
    default:
        return false;
    }
}

/* ---- paths ---- */

/* Whether `path` leads somewhere through hard links alone: external and soft links of a stranger's
 * file may point at any other file of the machine. */
static bool path_is_safe(hid_t file, const char *path)
{
    char prefix[MAX_PATH_BYTES];
    size_t len = strlen(path);
    if (len >= sizeof prefix)
        return false;
    for (size_t i = 0; i < len;) {
        while (path[i] == '/')
            i++;
        size_t end = i + strcspn(path + i, "/");
        if (end == i)
            break;
        memcpy(prefix, path, end);
        prefix[end] = '\0';
        H5L_info_t link;
        if (H5Lexists(file, prefix, H5P_DEFAULT) <= 0 ||
            H5Lget_info(file, prefix, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
            return false;
        i = end;
    }
    return true;
}

static bool is_root(const char *path)
{
    return strspn(path, "/") == strlen(path);
}

static hid_t open_object(hid_t file, const char *path)
{
    if (is_root(path))
        return H5Oopen(file, "/", H5P_DEFAULT);
    return path_is_safe(file, path) ? H5Oopen(file, path, H5P_DEFAULT) : -1;
}

static enum sx_status open_dataset(struct sx_h5 *h5, const char *name, hid_t *dataset,
                                   struct sx_error *err)
{
    hid_t object = open_object(h5->file, name);
    if (object < 0)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: no dataset %s", h5->path, name);
    if (H5Iget_type(object) != H5I_DATASET) {
        H5Oclose(object);
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: %s is not a dataset", h5->path, name);
    }
    hid_t plist = H5Dget_create_plist(object);
    bool elsewhere =
        plist < 0 || H5Pget_external_count(plist) != 0 || H5Pget_layout(plist) == H5D_VIRTUAL;
    H5Pclose(plist);
    if (elsewhere) {
        H5Oclose(object);
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s keeps its data in another file", h5->path,
                       name);
    }
    *dataset = object;
    return SX_OK;
}

static bool shape_of(hid_t dataset, int *rank, uint64_t shape[MAX_RANK], uint64_t *count)
{
    hsize_t dims[H5S_MAX_RANK];
    hid_t space = H5Dget_space(dataset);
    int n = H5Sget_simple_extent_ndims(space);
    bool ok = n >= 0 && n <= MAX_RANK && H5Sget_simple_extent_type(space) != H5S_NULL &&
              H5Sget_simple_extent_dims(space, dims, NULL) == n;
    H5Sclose(space);
    if (!ok)
        return false;
    *rank = n;
    *count = 1;
    for (int i = 0; i < n; i++) {
        shape[i] = dims[i];
        if (__builtin_mul_overflow(*count, shape[i], count))
            return false;
    }
    return true;
}

/* Rank, type and size within bounds; the size against what the file really stores, so that a few
 * bytes cannot ask for terabytes. */
static enum sx_status inspect(struct sx_h5 *h5, hid_t dataset, const char *name,
                              enum sx_dtype *dtype, int *rank, uint64_t shape[MAX_RANK],
                              uint64_t *count, struct sx_error *err)
{
    hid_t type = H5Dget_type(dataset);
    bool known = type >= 0 && dtype_of(type, dtype);
    H5Tclose(type);
    if (!known)
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s is not made of numbers", h5->path, name);
    if (!shape_of(dataset, rank, shape, count))
        return sx_fail(err, SX_ERR_UNSUPPORTED, "%s: %s: rank above %d, empty or overflowing shape",
                       h5->path, name, MAX_RANK);
    uint64_t stored = H5Dget_storage_size(dataset);
    uint64_t bytes;
    uint64_t cap;
    if (__builtin_mul_overflow(stored, MAX_EXPANSION, &cap))
        cap = UINT64_MAX / 2;
    if (__builtin_mul_overflow(*count, sx_dtype_size(*dtype), &bytes) || bytes > cap + MAX_UNSTORED)
        return sx_fail(err, SX_ERR_FORMAT,
                       "%s: %s claims %llu elements, the file stores %llu bytes", h5->path, name,
                       (unsigned long long)*count, (unsigned long long)stored);
    return SX_OK;
}

/* ---- files ---- */

static hid_t file_access(bool swmr)
{
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(fapl, 0, 1);
#endif
    /* SWMR needs the 1.10 format; everything else stays readable by older programs. */
    if (swmr)
        H5Pset_libver_bounds(fapl, H5F_LIBVER_V110, H5F_LIBVER_V110);
    return fapl;
}

enum sx_status sx_h5_create(const char *path, struct sx_h5 **h5, struct sx_error *err)
{
    enter();
    char *temporary = sx_temporary_name(path);
    hid_t fapl = file_access(false);
    hid_t file = H5Fcreate(temporary, H5F_ACC_TRUNC, H5P_DEFAULT, fapl);
    H5Pclose(fapl);
    enum sx_status status = SX_OK;
    if (file < 0) {
        status = fail_h5(err, SX_ERR_IO, path, "cannot create");
        sx_free(temporary);
    } else {
        *h5 = sx_xcalloc(1, sizeof **h5);
        **h5 = (struct sx_h5){.file = file, .path = sx_xstrdup(path), .temporary = temporary};
    }
    leave();
    return status;
}

/* Plainly; or, where a writer is at work or was killed, as a SWMR reader. The two are tried in turn
 * because the writer may begin or end between them. */
static hid_t open_for_reading(const char *path)
{
    hid_t file = -1;
    hid_t fapl = file_access(false);
    for (int i = 0; i < OPEN_ATTEMPTS && file < 0; i++) {
        H5Eclear2(H5E_DEFAULT);
        file = H5Fopen(path, i % 2 ? H5F_ACC_RDONLY | H5F_ACC_SWMR_READ : H5F_ACC_RDONLY, fapl);
    }
    H5Pclose(fapl);
    return file;
}

/* A pipe must not be waited for and a missing file deserves the system's words. */
static enum sx_status open_checked(const char *path, hid_t *file, struct sx_error *err)
{
    struct sx_bytes bytes;
    SX_TRY(sx_bytes_open(path, &bytes, err));
    sx_bytes_close(&bytes);
    *file = open_for_reading(path);
    return *file < 0 ? fail_h5(err, SX_ERR_FORMAT, path, "not a readable HDF5 file") : SX_OK;
}

enum sx_status sx_h5_open(const char *path, struct sx_h5 **h5, struct sx_error *err)
{
    hid_t file = -1;
    enter();
    enum sx_status status = open_checked(path, &file, err);
    if (status == SX_OK) {
        *h5 = sx_xcalloc(1, sizeof **h5);
        **h5 = (struct sx_h5){.file = file, .path = sx_xstrdup(path)};
    }
    leave();
    return status;
}

enum sx_status sx_h5_open_memory(const char *label, const void *bytes, size_t len,
                                 struct sx_h5 **h5, struct sx_error *err)
{
    enter();
    hid_t fapl = file_access(false);
    H5Pset_fapl_core(fapl, 1 << 16, 0);
    enum sx_status status = SX_OK;
    hid_t file = -1;
    /* The library copies the image but does not say const. */
    void *image;
    memcpy(&image, &bytes, sizeof image);
    if (H5Pset_file_image(fapl, image, len) >= 0)
        file = H5Fopen(label, H5F_ACC_RDONLY, fapl);
    H5Pclose(fapl);
    if (file < 0) {
        status = fail_h5(err, SX_ERR_FORMAT, label, "not a readable HDF5 file");
    } else {
        *h5 = sx_xcalloc(1, sizeof **h5);
        **h5 = (struct sx_h5){.file = file, .path = sx_xstrdup(label)};
    }
    leave();
    return status;
}

static void free_h5(struct sx_h5 *h5)
{
    sx_free(h5->path);
    sx_free(h5->temporary);
    sx_free(h5);
}

enum sx_status sx_h5_commit(struct sx_h5 *h5, struct sx_error *err)
{
    SX_ASSERT(h5->temporary);
    enter();
    enum sx_status status = SX_OK;
    bool flushed = H5Fflush(h5->file, H5F_SCOPE_GLOBAL) >= 0;
    if (H5Fclose(h5->file) < 0 || !flushed) {
        status = fail_h5(err, SX_ERR_IO, h5->path, "cannot write");
        unlink(h5->temporary);
    } else {
        status = sx_rename_into_place(h5->temporary, h5->path, err);
    }
    leave();
    free_h5(h5);
    return status;
}

void sx_h5_close(struct sx_h5 *h5)
{
    if (!h5)
        return;
    enter();
    H5Fclose(h5->file);
    leave();
    if (h5->temporary)
        unlink(h5->temporary);
    free_h5(h5);
}

/* ---- datasets ---- */

static hid_t intermediate_groups(void)
{
    hid_t lcpl = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(lcpl, 1);
    return lcpl;
}

/* Chunks of at most 1 MiB that are whole rows where rows fit. */
static void chunk_shape(int rank, const hsize_t *dims, size_t size, hsize_t *chunk)
{
    hsize_t bytes = size;
    for (int i = 0; i < rank; i++) {
        chunk[i] = dims[i];
        bytes *= dims[i];
    }
    for (int i = 0; i < rank; i++)
        while (bytes > CHUNK_BYTES && chunk[i] > 1) {
            bytes = bytes / chunk[i] * ((chunk[i] + 1) / 2);
            chunk[i] = (chunk[i] + 1) / 2;
        }
}

static hid_t creation_list(enum sx_dtype dtype, int rank, const hsize_t *dims, int deflate)
{
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(plist, false); /* the same content gives the same bytes */
    hsize_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    if (deflate == 0 || rank == 0 || count == 0)
        return plist;
    hsize_t chunk[MAX_RANK];
    chunk_shape(rank, dims, sx_dtype_size(dtype), chunk);
    H5Pset_chunk(plist, rank, chunk);
    H5Pset_shuffle(plist);
    H5Pset_deflate(plist, (unsigned)deflate);
    return plist;
}

static hid_t make_space(int rank, const hsize_t *dims)
{
    return rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, dims, NULL);
}

enum sx_status sx_h5_write(struct sx_h5 *h5, const char *dataset, enum sx_dtype dtype, int rank,
                           const uint64_t *shape, const void *data, int deflate,
                           struct sx_error *err)
{
    SX_ASSERT(h5->temporary && rank >= 0 && rank <= MAX_RANK && deflate >= 0 && deflate <= 9);
    SX_ASSERT(sx_dtype_is_number(dtype));
    hsize_t dims[MAX_RANK];
    for (int i = 0; i < rank; i++)
        dims[i] = shape[i];
    enter();
    enum sx_status status = SX_OK;
    hid_t type = make_type(dtype);
    hid_t space = make_space(rank, dims);
    hid_t lcpl = intermediate_groups();
    hid_t dcpl = creation_list(dtype, rank, dims, deflate);
    hid_t set = H5Dcreate2(h5->file, dataset, type, space, lcpl, dcpl, H5P_DEFAULT);
    if (set < 0 || (H5Sget_simple_extent_npoints(space) > 0 &&
                    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0))
        status = fail_h5(err, SX_ERR_IO, h5->path, dataset);
    if (set >= 0)
        H5Dclose(set);
    H5Pclose(dcpl);
    H5Pclose(lcpl);
    H5Sclose(space);
    H5Tclose(type);
    leave();
    return status;
}

enum sx_h5_kind sx_h5_kind(struct sx_h5 *h5, const char *path)
{
    enum sx_h5_kind kind = SX_H5_NOTHING;
    enter();
    hid_t object = open_object(h5->file, path);
    if (object >= 0) {
        H5I_type_t type = H5Iget_type(object);
        if (type == H5I_GROUP)
            kind = SX_H5_GROUP;
        else if (type == H5I_DATASET)
            kind = SX_H5_DATASET;
        H5Oclose(object);
    }
    leave();
    return kind;
}

bool sx_h5_exists(struct sx_h5 *h5, const char *path)
{
    return sx_h5_kind(h5, path) != SX_H5_NOTHING;
}

enum sx_status sx_h5_shape(struct sx_h5 *h5, const char *dataset, enum sx_dtype *dtype, int *rank,
                           uint64_t shape[8], struct sx_error *err)
{
    hid_t set = -1;
    uint64_t count;
    enter();
    enum sx_status status = open_dataset(h5, dataset, &set, err);
    if (status == SX_OK) {
        status = inspect(h5, set, dataset, dtype, rank, shape, &count, err);
        H5Dclose(set);
    }
    leave();
    return status;
}

bool sx_h5_extent(struct sx_h5 *h5, const char *dataset, uint64_t *offset)
{
    hid_t set = -1;
    bool known = false;
    enum sx_dtype dtype = SX_DTYPE_F32;
    int rank = 0;
    uint64_t shape[MAX_RANK] = {0};
    uint64_t count = 0;
    enter();
    if (open_dataset(h5, dataset, &set, NULL) == SX_OK) {
        hid_t plist = H5Dget_create_plist(set);
        hid_t type = H5Dget_type(set);
        if (inspect(h5, set, dataset, &dtype, &rank, shape, &count, NULL) == SX_OK &&
            H5Pget_layout(plist) == H5D_CONTIGUOUS) {
            hid_t want = make_type(dtype);
            haddr_t address = H5Dget_offset(set);
            known = address != HADDR_UNDEF && H5Tequal(type, want) > 0;
            *offset = address;
            H5Tclose(want);
        }
        H5Tclose(type);
        H5Pclose(plist);
        H5Dclose(set);
    }
    leave();
    return known;
}

/* The library does not convert h5py's bool enumeration to other numbers: read bytes and widen. */
static herr_t read_bools(hid_t set, hid_t memory, hid_t space, uint64_t count, enum sx_dtype dtype,
                         void *data)
{
    int8_t *flags = sx_alloc_big((size_t)count, 1);
    if (!flags)
        return -1;
    hid_t type = make_bool();
    herr_t got = H5Dread(set, type, memory, space, H5P_DEFAULT, flags);
    H5Tclose(type);
    for (uint64_t i = 0; got >= 0 && i < count; i++) {
        if (dtype == SX_DTYPE_F32)
            ((float *)data)[i] = (float)flags[i];
        else if (dtype == SX_DTYPE_F64)
            ((double *)data)[i] = (double)flags[i];
        else
            ((int64_t *)data)[i] = (int)flags[i];
    }
    sx_free(flags);
    return got;
}

static herr_t read_as(hid_t set, hid_t memory, hid_t space, uint64_t count, enum sx_dtype stored,
                      enum sx_dtype dtype, void *data)
{
    bool widen = dtype == SX_DTYPE_F32 || dtype == SX_DTYPE_F64 || dtype == SX_DTYPE_I64;
    if (stored == SX_DTYPE_BOOL && widen)
        return read_bools(set, memory, space, count, dtype, data);
    bool byte = dtype == SX_DTYPE_U8 || dtype == SX_DTYPE_I8;
    hid_t type = make_type(stored == SX_DTYPE_BOOL && byte ? SX_DTYPE_BOOL : dtype);
    herr_t got = H5Dread(set, type, memory, space, H5P_DEFAULT, data);
    H5Tclose(type);
    return got;
}

enum sx_status sx_h5_read(struct sx_h5 *h5, const char *dataset, enum sx_dtype dtype,
                          uint64_t count, void *data, struct sx_error *err)
{
    hid_t set = -1;
    enum sx_dtype stored = SX_DTYPE_F32;
    int rank = 0;
    uint64_t shape[MAX_RANK] = {0};
    uint64_t n = 0;
    SX_ASSERT(sx_dtype_is_number(dtype));
    enter();
    enum sx_status status = open_dataset(h5, dataset, &set, err);
    if (status != SX_OK)
        goto out;
    status = inspect(h5, set, dataset, &stored, &rank, shape, &n, err);
    if (status == SX_OK && n != count)
        status = sx_fail(err, SX_ERR_SHAPE, "%s: %s has %llu elements, expected %llu", h5->path,
                         dataset, (unsigned long long)n, (unsigned long long)count);
    if (status == SX_OK && n > 0 && read_as(set, H5S_ALL, H5S_ALL, n, stored, dtype, data) < 0)
        status = fail_h5(err, SX_ERR_FORMAT, h5->path, dataset);
    H5Dclose(set);
out:
    leave();
    return status;
}

enum sx_status sx_h5_read_block(struct sx_h5 *h5, const char *dataset, enum sx_dtype dtype,
                                const uint64_t *start, const uint64_t *size, void *data,
                                struct sx_error *err)
{
    hid_t set = -1;
    enum sx_dtype stored = SX_DTYPE_F32;
    int rank = 0;
    uint64_t shape[MAX_RANK] = {0};
    uint64_t n = 0, count = 1;
    hsize_t from[MAX_RANK] = {0}, sides[MAX_RANK] = {0};
    SX_ASSERT(sx_dtype_is_number(dtype));
    enter();
    enum sx_status status = open_dataset(h5, dataset, &set, err);
    if (status != SX_OK)
        goto out;
    status = inspect(h5, set, dataset, &stored, &rank, shape, &n, err);
    for (int i = 0; i < rank && status == SX_OK; i++) {
        from[i] = start[i];
        sides[i] = size[i];
        count *= size[i];
        if (start[i] > shape[i] || size[i] > shape[i] - start[i])
            status = sx_fail(err, SX_ERR_SHAPE, "%s: %s: side %d ends at %llu, asked for %llu",
                             h5->path, dataset, i, (unsigned long long)shape[i],
                             (unsigned long long)(start[i] + size[i]));
    }
    if (status == SX_OK && rank > 0 && count > 0) {
        hid_t memory = H5Screate_simple(rank, sides, NULL);
        hid_t space = H5Dget_space(set);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, sides, NULL);
        if (read_as(set, memory, space, count, stored, dtype, data) < 0)
            status = fail_h5(err, SX_ERR_FORMAT, h5->path, dataset);
        H5Sclose(space);
        H5Sclose(memory);
    }
    H5Dclose(set);
out:
    leave();
    return status;
}

enum sx_status sx_h5_read_rows(struct sx_h5 *h5, const char *dataset, enum sx_dtype dtype,
                               uint64_t first, uint64_t rows, void *data, struct sx_error *err)
{
    enum sx_dtype stored;
    int rank = 0;
    uint64_t size[MAX_RANK] = {0};
    const uint64_t start[MAX_RANK] = {first};
    SX_TRY(sx_h5_shape(h5, dataset, &stored, &rank, size, err));
    if (rank < 1 || first > size[0] || rows > size[0] - first)
        return sx_fail(err, SX_ERR_SHAPE, "%s: %s has no %llu rows from %llu on", h5->path, dataset,
                       (unsigned long long)rows, (unsigned long long)first);
    size[0] = rows;
    return sx_h5_read_block(h5, dataset, dtype, start, size, data, err);
}

/* ---- attributes ---- */

static hid_t make_string_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static bool write_attribute(hid_t object, const char *name, hid_t type, hid_t space,
                            const void *data)
{
    if (H5Aexists(object, name) > 0 && H5Adelete(object, name) < 0)
        return false;
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attribute >= 0 && (!data || H5Awrite(attribute, type, data) >= 0);
    if (attribute >= 0)
        H5Aclose(attribute);
    return ok;
}

static bool write_scalar(hid_t object, const char *name, const struct sx_value *v)
{
    int64_t i = sx_value_int_or(v, 0);
    double d = sx_value_real_or(v, 0);
    int8_t b = sx_value_bool_or(v, false);
    const char *s = sx_value_string_or(v, "");
    const void *data = NULL;
    hid_t type = -1;
    hid_t space = H5Screate(H5S_SCALAR);
    switch (sx_value_kind(v)) {
    case SX_VALUE_BOOL:
        type = make_bool();
        data = &b;
        break;
    case SX_VALUE_INT:
        type = make_type(SX_DTYPE_I64);
        data = &i;
        break;
    case SX_VALUE_STRING:
        type = make_string_type();
        data = &s;
        break;
    case SX_VALUE_REAL:
        type = make_type(SX_DTYPE_F64);
        data = &d;
        break;
    default: /* null: an empty attribute */
        type = make_type(SX_DTYPE_F64);
        H5Sclose(space);
        space = H5Screate(H5S_NULL);
    }
    bool ok = write_attribute(object, name, type, space, data);
    H5Sclose(space);
    H5Tclose(type);
    return ok;
}

/* The one kind of a list's items (ints among reals are reals); SX_VALUE_NULL when they are mixed.
 */
static enum sx_value_kind kind_of_items(const struct sx_value *list)
{
    enum sx_value_kind kind =
        sx_value_count(list) ? sx_value_kind(sx_value_item(list, 0)) : SX_VALUE_REAL;
    for (size_t i = 0; i < sx_value_count(list); i++) {
        enum sx_value_kind one = sx_value_kind(sx_value_item(list, i));
        if (one == kind)
            continue;
        bool numbers = (one == SX_VALUE_INT || one == SX_VALUE_REAL) &&
                       (kind == SX_VALUE_INT || kind == SX_VALUE_REAL);
        if (!numbers)
            return SX_VALUE_NULL;
        kind = SX_VALUE_REAL;
    }
    return kind == SX_VALUE_LIST || kind == SX_VALUE_MAP ? SX_VALUE_NULL : kind;
}

static bool write_list(hid_t object, const char *name, const struct sx_value *list)
{
    size_t n = sx_value_count(list);
    enum sx_value_kind kind = kind_of_items(list);
    hid_t type = kind == SX_VALUE_STRING ? make_string_type()
                 : kind == SX_VALUE_BOOL
                     ? make_bool()
                     : make_type(kind == SX_VALUE_INT ? SX_DTYPE_I64 : SX_DTYPE_F64);
    char *data = sx_xcalloc(n, 8);
    for (size_t i = 0; i < n; i++) {
        const struct sx_value *item = sx_value_item(list, i);
        const char *s = sx_value_string_or(item, "");
        int64_t whole = sx_value_int_or(item, 0);
        double real = sx_value_real_or(item, 0);
        int8_t flag = sx_value_bool_or(item, false);
        if (kind == SX_VALUE_STRING)
            memcpy(data + 8 * i, &s, sizeof s);
        else if (kind == SX_VALUE_BOOL)
            memcpy(data + i, &flag, 1);
        else if (kind == SX_VALUE_INT)
            memcpy(data + 8 * i, &whole, 8);
        else
            memcpy(data + 8 * i, &real, 8);
    }
    hsize_t dims[1] = {n};
    hid_t space = H5Screate_simple(1, dims, NULL);
    bool ok = write_attribute(object, name, type, space, n ? data : NULL);
    H5Sclose(space);
    H5Tclose(type);
    sx_free(data);
    return ok;
}

_Static_assert(sizeof(char *) == 8, "strings of a list are written as an array of pointers");

static bool can_be_attribute(const struct sx_value *v)
{
    enum sx_value_kind kind = sx_value_kind(v);
    if (kind == SX_VALUE_MAP)
        return false;
    return kind != SX_VALUE_LIST || kind_of_items(v) != SX_VALUE_NULL;
}

enum sx_status sx_h5_write_attributes(struct sx_h5 *h5, const char *object,
                                      const struct sx_value *map, struct sx_error *err)
{
    SX_ASSERT(h5->temporary);
    enter();
    enum sx_status status = SX_OK;
    hid_t at = open_object(h5->file, object);
    if (at < 0)
        status = sx_fail(err, SX_ERR_NOTFOUND, "%s: no object %s", h5->path, object);
    for (size_t i = 0; status == SX_OK && i < sx_value_count(map); i++) {
        const char *name = sx_value_key(map, i);
        const struct sx_value *v = sx_value_item(map, i);
        if (!can_be_attribute(v))
            status =
                sx_fail(err, SX_ERR_USAGE, "%s: attribute %s: a map or a mixed list cannot be one",
                        h5->path, name);
        else if (!(sx_value_kind(v) == SX_VALUE_LIST ? write_list(at, name, v)
                                                     : write_scalar(at, name, v)))
            status = fail_h5(err, SX_ERR_IO, h5->path, name);
    }
    if (at >= 0)
        H5Oclose(at);
    leave();
    return status;
}

static struct sx_value *value_of(enum sx_dtype dtype, const char *bytes)
{
    if (dtype == SX_DTYPE_BOOL)
        return sx_value_bool(*bytes != 0);
    if (!sx_dtype_is_integer(dtype))
        return sx_value_real(sx_dtype_to_f64(dtype, bytes));
    int64_t i;
    sx_dtype_to_i64(dtype, bytes, 1, &i);
    return sx_value_int(i);
}

/* Numbers of an attribute as one value (scalar) or a list. */
static struct sx_value *read_numbers(hid_t attribute, enum sx_dtype dtype, size_t n, bool scalar)
{
    size_t size = sx_dtype_size(dtype);
    char *data = sx_xcalloc(n, size);
    hid_t type = make_type(dtype);
    struct sx_value *v = NULL;
    if (H5Aread(attribute, type, data) >= 0) {
        if (scalar) {
            v = value_of(dtype, data);
        } else {
            v = sx_value_list();
            for (size_t i = 0; i < n; i++)
                sx_value_append(v, value_of(dtype, data + i * size));
        }
    }
    H5Tclose(type);
    sx_free(data);
    return v;
}

static struct sx_value *read_fixed_strings(hid_t attribute, hid_t type, size_t n, bool scalar)
{
    size_t size = H5Tget_size(type);
    struct sx_value *v = NULL;
    size_t bytes;
    if (!sx_mul_size(n, size, &bytes) || bytes > MAX_ATTRIBUTE_BYTES)
        return NULL;
    char *data = sx_xcalloc(bytes + 1, 1);
    if (H5Aread(attribute, type, data) >= 0) {
        v = scalar ? NULL : sx_value_list();
        for (size_t i = 0; i < n; i++) {
            struct sx_value *one =
                sx_value_string_len(data + i * size, strnlen(data + i * size, size));
            if (scalar)
                v = one;
            else
                sx_value_append(v, one);
        }
    }
    sx_free(data);
    return v;
}

static struct sx_value *read_variable_strings(hid_t attribute, hid_t space, size_t n, bool scalar)
{
    struct sx_value *v = NULL;
    char **data = sx_xcalloc(n, sizeof *data);
    hid_t type = make_string_type();
    hid_t stored = H5Aget_type(attribute);
    H5Tset_cset(type, H5Tget_cset(stored));
    if (H5Aread(attribute, type, data) >= 0) {
        v = scalar ? sx_value_string(data[0] ? data[0] : "") : sx_value_list();
        for (size_t i = 0; !scalar && i < n; i++)
            sx_value_append(v, sx_value_string(data[i] ? data[i] : ""));
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, data);
    }
    H5Tclose(stored);
    H5Tclose(type);
    sx_free(data);
    return v;
}

/* NULL: of a kind that is not read, or too large. */
static struct sx_value *read_attribute(hid_t attribute)
{
    struct sx_value *v = NULL;
    enum sx_dtype dtype;
    hid_t type = H5Aget_type(attribute);
    hid_t space = H5Aget_space(attribute);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    H5S_class_t class = H5Sget_simple_extent_type(space);
    bool scalar = class == H5S_SCALAR;
    if (type < 0 || space < 0 || n < 0 || n > MAX_ATTRIBUTE_BYTES / 16)
        v = NULL;
    else if (class == H5S_NULL)
        v = sx_value_null();
    else if (H5Tget_class(type) == H5T_STRING)
        v = n == 0 ? sx_value_list()
            : H5Tis_variable_str(type) > 0
                ? read_variable_strings(attribute, space, (size_t)n, scalar)
                : read_fixed_strings(attribute, type, (size_t)n, scalar);
    else if (dtype_of(type, &dtype))
        v = n == 0 ? sx_value_list() : read_numbers(attribute, dtype, (size_t)n, scalar);
    H5Sclose(space);
    H5Tclose(type);
    return v;
}

static herr_t add_attribute(hid_t object, const char *name, const H5A_info_t *info, void *map)
{
    (void)info;
    if (sx_value_count(map) >= MAX_ATTRIBUTES)
        return 1;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return 0;
    struct sx_value *v = read_attribute(attribute);
    if (v)
        sx_value_set(map, name, v);
    H5Aclose(attribute);
    return 0;
}

static enum sx_status attributes_of(hid_t file, const char *path, const char *object,
                                    struct sx_value **map, struct sx_error *err)
{
    hid_t at = open_object(file, object);
    if (at < 0)
        return sx_fail(err, SX_ERR_NOTFOUND, "%s: no object %s", path, object);
    struct sx_value *found = sx_value_map();
    enum sx_status status = SX_OK;
    if (H5Aiterate2(at, H5_INDEX_NAME, H5_ITER_INC, NULL, add_attribute, found) < 0) {
        status = fail_h5(err, SX_ERR_FORMAT, path, "cannot read attributes");
        sx_value_free(found);
    } else {
        *map = found;
    }
    H5Oclose(at);
    return status;
}

enum sx_status sx_h5_read_attributes(struct sx_h5 *h5, const char *object, struct sx_value **map,
                                     struct sx_error *err)
{
    enter();
    enum sx_status status = attributes_of(h5->file, h5->path, object, map, err);
    leave();
    return status;
}

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *info, void *list)
{
    (void)group;
    (void)info;
    if (sx_value_count(list) >= MAX_CHILDREN)
        return 1;
    sx_value_append(list, sx_value_string(name));
    return 0;
}

enum sx_status sx_h5_list(struct sx_h5 *h5, const char *group, struct sx_value **names,
                          struct sx_error *err)
{
    enter();
    enum sx_status status = SX_OK;
    hid_t at = open_object(h5->file, group);
    if (at < 0 || H5Iget_type(at) != H5I_GROUP) {
        status = sx_fail(err, SX_ERR_NOTFOUND, "%s: no group %s", h5->path, group);
        goto out;
    }
    struct sx_value *found = sx_value_list();
    if (H5Literate(at, H5_INDEX_NAME, H5_ITER_INC, NULL, add_name, found) < 0) {
        status = fail_h5(err, SX_ERR_FORMAT, h5->path, group);
        sx_value_free(found);
        goto out;
    }
    *names = found;
out:
    if (at >= 0)
        H5Oclose(at);
    leave();
    return status;
}

/* ---- growing tables ---- */

static enum sx_status append_rows(struct sx_h5_table *t, const double *rows, uint64_t n,
                                  struct sx_error *err)
{
    hsize_t size[2] = {t->rows + n, t->columns};
    hsize_t start[2] = {t->rows, 0};
    hsize_t block[2] = {n, t->columns};
    if (n == 0)
        return SX_OK;
    bool ok = H5Dset_extent(t->data, size) >= 0;
    hid_t space = H5Dget_space(t->data);
    hid_t memory = H5Screate_simple(2, block, NULL);
    ok = ok && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, block, NULL) >= 0 &&
         H5Dwrite(t->data, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, rows) >= 0 &&
         H5Dflush(t->data) >= 0;
    H5Sclose(memory);
    H5Sclose(space);
    if (!ok)
        return fail_h5(err, SX_ERR_IO, t->path, "cannot append a row");
    t->rows += n;
    return SX_OK;
}

static hid_t create_table_data(hid_t file, uint64_t columns)
{
    hsize_t size[2] = {0, columns};
    hsize_t most[2] = {H5S_UNLIMITED, columns};
    hsize_t chunk[2] = {TABLE_CHUNK_ROWS, columns};
    hid_t space = H5Screate_simple(2, size, most);
    hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(dcpl, false);
    H5Pset_chunk(dcpl, 2, chunk);
    hid_t lcpl = intermediate_groups();
    hid_t data = H5Dcreate2(file, "/table/data", H5T_IEEE_F64LE, space, lcpl, dcpl, H5P_DEFAULT);
    H5Pclose(lcpl);
    H5Pclose(dcpl);
    H5Sclose(space);
    return data;
}

static bool write_table_attributes(hid_t file, const struct sx_value *columns,
                                   const struct sx_value *attributes)
{
    hid_t group = H5Oopen(file, "/table", H5P_DEFAULT);
    bool ok = group >= 0 && write_list(group, "columns", columns);
    if (group >= 0)
        H5Oclose(group);
    hid_t root = H5Oopen(file, "/", H5P_DEFAULT);
    for (size_t i = 0; ok && i < sx_value_count(attributes); i++) {
        const struct sx_value *v = sx_value_item(attributes, i);
        const char *name = sx_value_key(attributes, i);
        ok = can_be_attribute(v) &&
             (sx_value_kind(v) == SX_VALUE_LIST ? write_list(root, name, v)
                                                : write_scalar(root, name, v));
    }
    if (root >= 0)
        H5Oclose(root);
    return ok;
}

/* The file appears under its name only once it can be watched: readers never see half of one. */
static enum sx_status make_table(const char *path, const struct sx_value *columns,
                                 const struct sx_value *attributes, const double *rows,
                                 uint64_t n_rows, struct sx_h5_table **out, struct sx_error *err)
{
    struct sx_h5_table *t = sx_xcalloc(1, sizeof *t);
    *t = (struct sx_h5_table){
        .file = -1, .data = -1, .path = sx_xstrdup(path), .columns = sx_value_count(columns)};
    char *temporary = sx_temporary_name(path);
    enum sx_status status = SX_OK;
    hid_t fapl = file_access(true);
    t->file = H5Fcreate(temporary, H5F_ACC_TRUNC, H5P_DEFAULT, fapl);
    H5Pclose(fapl);
    if (t->file < 0) {
        status = fail_h5(err, SX_ERR_IO, path, "cannot create");
        goto out;
    }
    t->data = create_table_data(t->file, t->columns);
    if (t->data < 0 || !write_table_attributes(t->file, columns, attributes))
        status = fail_h5(err, SX_ERR_IO, path, "cannot write the table's head");
    if (status == SX_OK)
        status = append_rows(t, rows, n_rows, err);
    if (status == SX_OK && H5Fstart_swmr_write(t->file) < 0)
        status = fail_h5(err, SX_ERR_IO, path, "cannot start writing for readers");
    if (status == SX_OK)
        status = sx_rename_into_place(temporary, path, err);
    if (status != SX_OK) {
        if (t->data >= 0)
            H5Dclose(t->data);
        H5Fclose(t->file);
        unlink(temporary);
    }
out:
    sx_free(temporary);
    if (status != SX_OK) {
        sx_free(t->path);
        sx_free(t);
        return status;
    }
    *out = t;
    return SX_OK;
}

enum sx_status sx_h5_table_create(const char *path, const char *const *columns, size_t n_columns,
                                  const struct sx_value *attributes, struct sx_h5_table **table,
                                  struct sx_error *err)
{
    SX_ASSERT(n_columns > 0 && n_columns <= MAX_COLUMNS);
    struct sx_value *names = sx_value_list();
    for (size_t i = 0; i < n_columns; i++)
        sx_value_append(names, sx_value_string(columns[i]));
    enter();
    enum sx_status status = make_table(path, names, attributes, NULL, 0, table, err);
    leave();
    sx_value_free(names);
    return status;
}

static enum sx_status read_table(const char *path, struct sx_value **columns, double **data,
                                 uint64_t *rows, struct sx_value **attributes, struct sx_error *err)
{
    struct sx_h5 h5 = {.file = -1};
    struct sx_value *head = NULL;
    double *cells = NULL;
    hid_t set = -1;
    enum sx_dtype dtype = SX_DTYPE_F32;
    int rank = 0;
    uint64_t shape[MAX_RANK] = {0};
    uint64_t count = 0;
    enum sx_status status = open_checked(path, &h5.file, err);
    if (status != SX_OK)
        return status;
    h5.path = sx_xstrdup(path);
    *attributes = NULL;
    status = attributes_of(h5.file, path, "/table", &head, err);
    if (status == SX_OK)
        status = attributes_of(h5.file, path, "/", attributes, err);
    if (status == SX_OK)
        status = open_dataset(&h5, "/table/data", &set, err);
    if (status == SX_OK)
        status = inspect(&h5, set, "/table/data", &dtype, &rank, shape, &count, err);
    if (status != SX_OK)
        goto out;
    const struct sx_value *names = sx_value_get(head, "columns");
    if (rank != 2 || sx_value_kind(names) != SX_VALUE_LIST || sx_value_count(names) != shape[1]) {
        status = sx_fail(err, SX_ERR_FORMAT, "%s: /table is not a table with named columns", path);
        goto out;
    }
    cells = sx_alloc_big((size_t)count, sizeof *cells);
    if (!cells)
        status = sx_fail(err, SX_ERR_NOMEM, "%s: no memory for %llu numbers", path,
                         (unsigned long long)count);
    else if (count > 0 && read_as(set, H5S_ALL, H5S_ALL, count, dtype, SX_DTYPE_F64, cells) < 0)
        status = fail_h5(err, SX_ERR_FORMAT, path, "/table/data");
    if (status != SX_OK)
        goto out;
    *columns = sx_value_dup(names);
    *rows = shape[0];
    *data = cells;
    cells = NULL;
out:
    if (status != SX_OK) {
        sx_value_free(*attributes);
        *attributes = NULL;
    }
    sx_free(cells);
    sx_value_free(head);
    if (set >= 0)
        H5Dclose(set);
    H5Fclose(h5.file);
    sx_free(h5.path);
    return status;
}

enum sx_status sx_h5_table_read(const char *path, struct sx_value **columns, double **data,
                                uint64_t *rows, struct sx_value **attributes, struct sx_error *err)
{
    enter();
    enum sx_status status = read_table(path, columns, data, rows, attributes, err);
    leave();
    return status;
}

/* The rows to keep are copied into a new file that takes the old one's place: a file whose writer
 * was killed is never changed, only read. */
enum sx_status sx_h5_table_resume(const char *path, uint64_t keep_rows, struct sx_h5_table **table,
                                  struct sx_error *err)
{
    struct sx_value *columns = NULL;
    struct sx_value *attributes = NULL;
    double *data = NULL;
    uint64_t rows = 0;
    enter();
    enum sx_status status = read_table(path, &columns, &data, &rows, &attributes, err);
    if (status == SX_OK && rows < keep_rows)
        status = sx_fail(err, SX_ERR_FORMAT, "%s: %llu rows, expected at least %llu", path,
                         (unsigned long long)rows, (unsigned long long)keep_rows);
    if (status == SX_OK)
        status = make_table(path, columns, attributes, data, keep_rows, table, err);
    leave();
    sx_value_free(columns);
    sx_value_free(attributes);
    sx_free(data);
    return status;
}

enum sx_status sx_h5_table_append(struct sx_h5_table *t, const double *row, struct sx_error *err)
{
    enter();
    enum sx_status status = append_rows(t, row, 1, err);
    leave();
    return status;
}

void sx_h5_table_close(struct sx_h5_table *t)
{
    if (!t)
        return;
    enter();
    H5Dclose(t->data);
    H5Fclose(t->file);
    leave();
    sx_free(t->path);
    sx_free(t);
}

const char *sx_h5_version(void)
{
    static char text[32];
    unsigned major;
    unsigned minor;
    unsigned release;
    enter();
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    leave();
    return text;
}
