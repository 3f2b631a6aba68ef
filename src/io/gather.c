#include "gather.h"

#include <string.h>

#include "sextant/base/alloc.h"

enum { BLOCK_BYTES = 4 << 20, TILE = 16 };

struct run {
    const struct sx_gather *g;
    size_t size;    /* bytes an element in the file */
    size_t width;   /* and in the result */
    uint64_t block; /* elements of the file read at once */
    uint8_t *raw;   /* block * size bytes */
    uint8_t *cells; /* block * width bytes, converted */
    struct sx_error *err;
};

static bool is_wanted_already(const struct sx_gather *g)
{
    return g->dtype == (g->as_integers ? SX_DTYPE_I64 : SX_DTYPE_F32);
}

static void convert(const struct sx_gather *g, const void *src, size_t n, void *dst)
{
    if (g->as_integers)
        sx_dtype_to_i64(g->dtype, src, n, dst);
    else
        sx_dtype_to_f32(g->dtype, src, n, dst);
}

/* Elements from the first to the last of dimensions [dim, rank), with `first` in dimension dim. */
static uint64_t span(const struct sx_gather *g, int dim, uint64_t first)
{
    uint64_t last = 0;
    for (int i = dim; i < g->rank; i++)
        last += ((i == dim ? first : g->n[i]) - 1) * g->in[i];
    return last + 1;
}

/* Tiles keep both the rows read and the rows written in cache. `width` is a constant where this is
 * called, so that the copies become plain moves. */
static inline void scatter_plane(const uint8_t *src, uint8_t *dst, size_t width, uint64_t rows,
                                 uint64_t columns, const uint64_t *in, const uint64_t *out)
{
    for (uint64_t r0 = 0; r0 < rows; r0 += TILE)
        for (uint64_t c0 = 0; c0 < columns; c0 += TILE)
            for (uint64_t c = c0; c < columns && c < c0 + TILE; c++)
                for (uint64_t r = r0; r < rows && r < r0 + TILE; r++)
                    memcpy(dst + (r * out[0] + c * out[1]) * width,
                           src + (r * in[0] + c * in[1]) * width, width);
}

static void scatter(const struct run *run, int dim, uint64_t first, const uint8_t *src,
                    uint8_t *dst)
{
    const struct sx_gather *g = run->g;
    if (g->rank == dim) {
        memcpy(dst, src, run->width);
        return;
    }
    if (g->rank - dim > 2) {
        for (uint64_t i = 0; i < first; i++)
            scatter(run, dim + 1, g->n[dim + 1], src + i * g->in[dim] * run->width,
                    dst + i * g->out[dim] * run->width);
        return;
    }
    bool plane = g->rank - dim == 2;
    uint64_t in[2] = {g->in[dim], plane ? g->in[dim + 1] : 0};
    uint64_t out[2] = {g->out[dim], plane ? g->out[dim + 1] : 0};
    uint64_t columns = plane ? g->n[dim + 1] : 1;
    if (run->width == 4)
        scatter_plane(src, dst, 4, first, columns, in, out);
    else
        scatter_plane(src, dst, 8, first, columns, in, out);
}

static enum sx_status visit(const struct run *run, int dim, uint64_t in, uint64_t out)
{
    const struct sx_gather *g = run->g;
    uint64_t inner = span(g, dim + 1, dim + 1 < g->rank ? g->n[dim + 1] : 1);
    uint64_t n = dim < g->rank ? g->n[dim] : 1;
    uint64_t stride = dim < g->rank ? g->in[dim] : 0;
    uint64_t step = 1;
    bool fits = inner <= run->block;
    if (fits)
        step = stride == 0 ? n : (run->block - inner) / stride + 1;
    for (uint64_t i = 0; i < n; i += step) {
        uint64_t now = n - i < step ? n - i : step;
        uint64_t from = in + i * stride;
        uint64_t to = dim < g->rank ? out + i * g->out[dim] : out;
        if (!fits) {
            SX_TRY(visit(run, dim + 1, from, to));
            continue;
        }
        size_t elements = (size_t)((now - 1) * stride + inner);
        SX_TRY(sx_bytes_read(g->bytes, g->at + from * run->size, elements * run->size, run->raw,
                             run->err));
        if (run->cells != run->raw)
            convert(g, run->raw, elements, run->cells);
        scatter(run, dim, now, run->cells, (uint8_t *)g->dst + to * run->width);
    }
    return SX_OK;
}

/* Dimensions in the order in which they are stored, those of one element left out. */
static void sort_dimensions(struct sx_gather *g)
{
    int rank = 0;
    for (int i = 0; i < g->rank; i++) {
        if (g->n[i] == 1)
            continue;
        uint64_t n = g->n[i], in = g->in[i], out = g->out[i];
        int j = rank++;
        for (; j > 0 && g->in[j - 1] < in; j--) {
            g->n[j] = g->n[j - 1];
            g->in[j] = g->in[j - 1];
            g->out[j] = g->out[j - 1];
        }
        g->n[j] = n;
        g->in[j] = in;
        g->out[j] = out;
    }
    g->rank = rank;
}

/* One run of elements on both sides? */
static bool is_dense(const struct sx_gather *g, uint64_t *count)
{
    *count = 1;
    for (int i = g->rank; i-- > 0;) {
        if (g->in[i] != *count || g->out[i] != *count)
            return false;
        *count *= g->n[i];
    }
    return true;
}

static enum sx_status run_dense(const struct run *run, uint64_t count)
{
    const struct sx_gather *g = run->g;
    for (uint64_t i = 0; i < count; i += run->block) {
        size_t now = (size_t)(count - i < run->block ? count - i : run->block);
        uint8_t *dst = (uint8_t *)g->dst + i * run->width;
        uint8_t *raw = is_wanted_already(g) ? dst : run->raw;
        SX_TRY(sx_bytes_read(g->bytes, g->at + i * run->size, now * run->size, raw, run->err));
        if (raw != dst)
            convert(g, raw, now, dst);
    }
    return SX_OK;
}

enum sx_status sx_gather_run(struct sx_gather *g, struct sx_error *err)
{
    uint64_t count;
    for (int i = 0; i < g->rank; i++)
        if (g->n[i] == 0)
            return SX_OK;
    sort_dimensions(g);
    bool dense = is_dense(g, &count);
    struct run run = {.g = g,
                      .size = sx_dtype_size(g->dtype),
                      .width = g->as_integers ? sizeof(int64_t) : sizeof(float),
                      .err = err};
    uint64_t all = span(g, 0, g->rank ? g->n[0] : 1);
    run.block = BLOCK_BYTES / run.size;
    if (run.block > all)
        run.block = all;
    if (!dense || !is_wanted_already(g))
        run.raw = sx_alloc_big((size_t)run.block, run.size);
    run.cells = is_wanted_already(g) ? run.raw : NULL;
    if (!dense && !run.cells)
        run.cells = sx_alloc_big((size_t)run.block, run.width);
    enum sx_status status;
    if ((!run.raw && !(dense && is_wanted_already(g))) || (!dense && !run.cells))
        status = sx_fail(err, SX_ERR_NOMEM, "%s: no memory to read a tensor", g->bytes->label);
    else
        status = dense ? run_dense(&run, count) : visit(&run, 0, 0, 0);
    if (run.cells != run.raw)
        sx_free(run.cells);
    sx_free(run.raw);
    return status;
}
