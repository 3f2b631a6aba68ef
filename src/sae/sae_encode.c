/* Latents and reconstructions of a batch, in blocks of rows: one product, the activation row by
 * row, and a decode that is sparse when the latents are. */
#include <math.h>
#include <string.h>

#include "arch.h"
#include "checkpoint.h"
#include "sextant/base/alloc.h"
#include "sextant/core/blas.h"
#include "sextant/core/kernels.h"
#include "sextant/sae/sae.h"

enum {
    BLOCK_BYTES = 32 << 20, /* of pre-activations; smaller blocks pack W_enc more often */
    MAX_BLOCK_ROWS = 1024,
    /* A sparse row costs nnz*D at memory speed, a dense one F*D at GEMM speed, about 20 times
     * faster a flop on two cores. */
    DENSE_SHARE = 20,
};

/* Row normalisation and its inverse: in(x) = (x - shift) * in, out(y) = y * out + shift_out. */
struct row_scale {
    float shift, in, out, shift_out;
};

struct encoder {
    const struct sx_sae *sae;
    const struct sx_sae_arch_ops *ops;
    struct sx_arch_state state;
    uint64_t d, f, block;
    struct row_scale *scale; /* [block] */
    float *x;                /* [block,D] normalised input, pre subtracted */
    float *z;                /* [block,F] pre-activations */
    float *norm;             /* [F] decoder norms, when latents are scaled by them */
    float *inverse;          /* [F] 1/norm */
    uint32_t *indices;       /* [F] one row's latents */
    float *values;           /* [F] */
    struct sx_sae_acts acts; /* of the block, when the caller wants none */
};

void sx_sae_acts_release(struct sx_sae_acts *acts)
{
    sx_free(acts->indptr);
    sx_free(acts->indices);
    sx_free(acts->values);
    *acts = (struct sx_sae_acts){0};
}

/* Room for `need` entries, doubling; the old entries stay. */
static enum sx_status acts_reserve(struct sx_sae_acts *acts, uint64_t used, uint64_t need,
                                   struct sx_error *err)
{
    if (need <= acts->capacity)
        return SX_OK;
    uint64_t capacity = acts->capacity * 2 > need ? acts->capacity * 2 : need;
    uint32_t *indices = sx_alloc_big(capacity, sizeof *indices);
    float *values = sx_alloc_big(capacity, sizeof *values);
    if (!indices || !values) {
        sx_free(indices);
        sx_free(values);
        return sx_fail(err, SX_ERR_NOMEM, "no memory for %llu latent activations",
                       (unsigned long long)capacity);
    }
    if (used > 0) {
        memcpy(indices, acts->indices, used * sizeof *indices);
        memcpy(values, acts->values, used * sizeof *values);
    }
    sx_free(acts->indices);
    sx_free(acts->values);
    acts->indices = indices;
    acts->values = values;
    acts->capacity = capacity;
    return SX_OK;
}

static enum sx_status acts_start(struct sx_sae_acts *acts, uint64_t rows, struct sx_error *err)
{
    if (acts->rows != rows || !acts->indptr) {
        sx_free(acts->indptr);
        acts->rows = 0;
        acts->indptr = sx_alloc_big((size_t)rows + 1, sizeof *acts->indptr);
        if (!acts->indptr)
            return sx_fail(err, SX_ERR_NOMEM, "no memory for %llu rows of latents",
                           (unsigned long long)rows);
        acts->rows = rows;
    }
    memset(acts->indptr, 0, ((size_t)rows + 1) * sizeof *acts->indptr);
    return acts_reserve(acts, 0, rows + 1, err); /* never NULL, also when nothing fires */
}

/* --- input normalisation -----------------------------------------------------------------------
 */

static double row_norm(const float *x, uint64_t d)
{
    double sum = 0;
    for (uint64_t e = 0; e < d; e++)
        sum += (double)x[e] * x[e];
    return sqrt(sum);
}

static struct row_scale scale_layer(const float *x, uint64_t d)
{
    double mean = 0, var = 0;
    for (uint64_t e = 0; e < d; e++)
        mean += x[e];
    mean /= (double)d;
    for (uint64_t e = 0; e < d; e++)
        var += (x[e] - mean) * (x[e] - mean);
    double std = sqrt(var / (double)(d - 1));
    return (struct row_scale){(float)mean, (float)(1 / (std + 1e-5)), (float)std, (float)mean};
}

/* A zero row: the limit, a zero input and a zero output. */
static struct row_scale scale_to_norm(const float *x, uint64_t d)
{
    double norm = row_norm(x, d), root = sqrt((double)d);
    return (struct row_scale){0, norm > 0 ? (float)(root / norm) : 0.0F, (float)(norm / root), 0};
}

static struct row_scale scale_of(const struct sx_sae_info *info, const float *x)
{
    const uint64_t d = info->activation_dim;
    switch (info->norm) {
    case SX_NORM_LAYER:
        return scale_layer(x, d);
    case SX_NORM_CONSTANT_NORM:
    case SX_NORM_SQRT_D:
        return scale_to_norm(x, d);
    case SX_NORM_DIVIDE:
        return (struct row_scale){0, (float)(1 / info->norm_factor), (float)info->norm_factor, 0};
    case SX_NORM_NONE:
    case SX_NORM_EXPECTED_AVERAGE:
        break;
    }
    return (struct row_scale){0, 1, 1, 0};
}

static bool scale_needs_x(enum sx_sae_norm norm)
{
    return norm == SX_NORM_LAYER || norm == SX_NORM_CONSTANT_NORM || norm == SX_NORM_SQRT_D;
}

static enum sx_status check_usable(const struct sx_sae *sae, struct sx_error *err)
{
    const struct sx_sae_info *info = &sae->info;
    const char *file = info->file ? info->file : "SAE";
    SX_TRY(sx_sae_check_whole(sae, err));
    if (!sx_sae_is_finite(sae))
        return sx_fail(err, SX_ERR_NUMERIC,
                       "%s: weights hold NaN or infinity: it cannot be applied", file);
    if (info->norm == SX_NORM_LAYER && info->activation_dim < 2)
        return sx_fail(err, SX_ERR_SHAPE, "%s: layer_norm needs at least 2 inputs", file);
    return SX_OK;
}

/* --- the machine -------------------------------------------------------------------------------
 */

static void encoder_release(struct encoder *m)
{
    sx_arch_state_release(&m->state);
    sx_free(m->scale);
    sx_free(m->x);
    sx_free(m->z);
    sx_free(m->norm);
    sx_free(m->inverse);
    sx_free(m->indices);
    sx_free(m->values);
    sx_sae_acts_release(&m->acts);
    *m = (struct encoder){0};
}

static void decoder_norms(const struct sx_sae *sae, float *norm, float *inverse)
{
    sx_sae_latent_norms(sae, NULL, norm, NULL);
    for (uint64_t j = 0; j < sae->info.dict_size; j++)
        inverse[j] = norm[j] > 0 ? 1 / norm[j] : 0;
}

/* Buffers shared by encoding and decoding; `with_input`: the product's operands too. */
static enum sx_status encoder_init(struct encoder *m, const struct sx_sae *sae, uint64_t n,
                                   bool with_input, struct sx_error *err)
{
    *m = (struct encoder){.sae = sae,
                          .ops = sx_sae_arch_of(sae->info.arch),
                          .d = sae->info.activation_dim,
                          .f = sae->info.dict_size};
    enum sx_status status = SX_OK;
    SX_TRY(check_usable(sae, err));
    m->block = BLOCK_BYTES / (m->f * sizeof(float));
    m->block = m->block < 8 ? 8 : m->block > MAX_BLOCK_ROWS ? MAX_BLOCK_ROWS : m->block;
    m->block = n > 0 && n < m->block ? n : m->block;
    m->scale = sx_alloc_big(m->block, sizeof *m->scale);
    m->z = sx_alloc_big(m->block * m->f, sizeof *m->z);
    bool ok = m->scale && m->z;
    if (with_input) {
        status = sx_arch_state_init(&m->state, sae, err);
        m->x = sx_alloc_big(m->block * m->d, sizeof *m->x);
        m->indices = sx_alloc_big(m->f, sizeof *m->indices);
        m->values = sx_alloc_big(m->f, sizeof *m->values);
        ok = ok && m->x && m->indices && m->values;
    }
    if (sae->info.scale_by_decoder_norm) {
        m->norm = sx_alloc_big(m->f, sizeof *m->norm);
        m->inverse = sx_alloc_big(m->f, sizeof *m->inverse);
        ok = ok && m->norm && m->inverse;
    }
    if (status == SX_OK && !ok)
        status = sx_fail(err, SX_ERR_NOMEM, "no memory for a block of %llu x %llu latents",
                         (unsigned long long)m->block, (unsigned long long)m->f);
    if (status != SX_OK) {
        encoder_release(m);
        return status;
    }
    if (m->norm)
        decoder_norms(sae, m->norm, m->inverse);
    return SX_OK;
}

/* x[rows,D] to m->x, and the row scales. */
static enum sx_status take_input(struct encoder *m, const float *x, uint64_t first, uint64_t rows,
                                 struct sx_error *err)
{
    const struct sx_sae *sae = m->sae;
    const float *pre = sae->info.subtract_b_dec ? sae->b_dec : NULL;
    for (uint64_t r = 0; r < rows; r++) {
        const float *in = x + r * m->d;
        float *out = m->x + r * m->d;
        if (!isfinite(row_norm(in, m->d)))
            return sx_fail(err, SX_ERR_NUMERIC, "input row %llu holds NaN or infinity",
                           (unsigned long long)(first + r));
        struct row_scale s = scale_of(&sae->info, in);
        m->scale[r] = s;
        for (uint64_t e = 0; e < m->d; e++)
            out[e] = (in[e] - s.shift) * s.in - (pre ? pre[e] : 0.0F);
    }
    return SX_OK;
}

static enum sx_status pre_activations(struct encoder *m, uint64_t rows, const struct sx_task *task)
{
    const struct sx_sae *sae = m->sae;
    for (uint64_t r = 0; r < rows; r++)
        memcpy(m->z + r * m->f, sae->b_enc, m->f * sizeof *m->z);
    SX_TRY(sx_gemm_task(false, true, rows, m->f, m->d, 1, m->x, m->d, sae->W_enc, m->d, 1, m->z,
                        m->f, task));
    if (m->norm)
        for (uint64_t r = 0; r < rows; r++)
            for (uint64_t j = 0; j < m->f; j++)
                m->z[r * m->f + j] *= m->norm[j];
    return SX_OK;
}

/* The latents of a block, appended to acts at its row `at`. */
static enum sx_status append_latents(struct encoder *m, uint64_t rows, struct sx_sae_acts *acts,
                                     uint64_t at, struct sx_error *err)
{
    for (uint64_t r = 0; r < rows; r++) {
        uint64_t used = acts->indptr[at + r];
        uint64_t count = m->ops->activate(&m->state, m->z + r * m->f, m->indices, m->values);
        SX_TRY(acts_reserve(acts, used, used + count, err));
        memcpy(acts->indices + used, m->indices, count * sizeof *m->indices);
        memcpy(acts->values + used, m->values, count * sizeof *m->values);
        acts->indptr[at + r + 1] = used + count;
    }
    return SX_OK;
}

/* --- decode ------------------------------------------------------------------------------------
 */

static void decode_sparse(const struct encoder *m, const struct sx_sae_acts *acts, uint64_t at,
                          uint64_t rows, float *out)
{
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t i = acts->indptr[at + r]; i < acts->indptr[at + r + 1]; i++) {
            uint32_t j = acts->indices[i];
            float a = m->inverse ? acts->values[i] * m->inverse[j] : acts->values[i];
            sx_axpy(m->d, a, m->sae->W_dec + j * m->d, out + r * m->d);
        }
}

static enum sx_status decode_dense(struct encoder *m, const struct sx_sae_acts *acts, uint64_t at,
                                   uint64_t rows, float *out, const struct sx_task *task)
{
    memset(m->z, 0, rows * m->f * sizeof *m->z);
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t i = acts->indptr[at + r]; i < acts->indptr[at + r + 1]; i++) {
            uint32_t j = acts->indices[i];
            m->z[r * m->f + j] = m->inverse ? acts->values[i] * m->inverse[j] : acts->values[i];
        }
    return sx_gemm_task(false, false, rows, m->d, m->f, 1, m->z, m->f, m->sae->W_dec, m->d, 1, out,
                        m->d, task);
}

/* Rows [at, at+rows) of acts to out[rows,D]; x: their inputs, or NULL. m->scale is filled. */
static enum sx_status decode_block(struct encoder *m, const struct sx_sae_acts *acts, uint64_t at,
                                   uint64_t rows, const float *x, float *out,
                                   const struct sx_task *task)
{
    const struct sx_sae *sae = m->sae;
    for (uint64_t r = 0; r < rows; r++)
        memcpy(out + r * m->d, sae->b_dec, m->d * sizeof *out);
    uint64_t nnz = acts->indptr[at + rows] - acts->indptr[at];
    if (nnz > rows * m->f / DENSE_SHARE)
        SX_TRY(decode_dense(m, acts, at, rows, out, task));
    else
        decode_sparse(m, acts, at, rows, out);
    if (sae->W_skip)
        SX_TRY(sx_gemm_task(false, true, rows, m->d, m->d, 1, x, m->d, sae->W_skip, m->d, 1, out,
                            m->d, task));
    if (sae->info.sigmoid_out)
        for (uint64_t i = 0; i < rows * m->d; i++)
            out[i] = 1 / (1 + expf(-out[i]));
    if (sae->info.norm != SX_NORM_NONE)
        for (uint64_t r = 0; r < rows; r++)
            for (uint64_t e = 0; e < m->d; e++)
                out[r * m->d + e] = out[r * m->d + e] * m->scale[r].out + m->scale[r].shift_out;
    return SX_OK;
}

/* --- public ------------------------------------------------------------------------------------
 */

enum sx_status sx_sae_encode(const struct sx_sae *sae, const float *x, uint64_t n,
                             struct sx_sae_acts *acts, float *recon, struct sx_task *task,
                             struct sx_error *err)
{
    struct encoder m;
    SX_TRY(encoder_init(&m, sae, n, true, err));
    enum sx_status status = acts ? acts_start(acts, n, err) : acts_start(&m.acts, m.block, err);
    for (uint64_t first = 0; first < n && status == SX_OK; first += m.block) {
        uint64_t rows = n - first < m.block ? n - first : m.block;
        struct sx_sae_acts *into = acts ? acts : &m.acts;
        uint64_t at = acts ? first : 0;
        status = sx_task_step(task, first, n);
        if (status == SX_OK)
            status = take_input(&m, x + first * m.d, first, rows, err);
        if (status == SX_OK)
            status = pre_activations(&m, rows, task);
        if (status == SX_OK)
            status = append_latents(&m, rows, into, at, err);
        if (status == SX_OK && recon)
            status = decode_block(&m, into, at, rows, x + first * m.d, recon + first * m.d, task);
    }
    encoder_release(&m);
    if (status == SX_OK)
        status = sx_sae_check_whole(sae, err);
    return status == SX_OK ? sx_task_step(task, n, n) : status;
}

enum sx_status sx_sae_encode_dense(const struct sx_sae *sae, const float *x, uint64_t n,
                                   float *acts, struct sx_task *task, struct sx_error *err)
{
    struct encoder m;
    SX_TRY(encoder_init(&m, sae, n, true, err));
    enum sx_status status = SX_OK;
    for (uint64_t first = 0; first < n && status == SX_OK; first += m.block) {
        uint64_t rows = n - first < m.block ? n - first : m.block;
        status = sx_task_step(task, first, n);
        if (status == SX_OK)
            status = take_input(&m, x + first * m.d, first, rows, err);
        if (status == SX_OK)
            status = pre_activations(&m, rows, task);
        for (uint64_t r = 0; r < rows && status == SX_OK; r++) {
            float *out = acts + (first + r) * m.f;
            uint64_t count = m.ops->activate(&m.state, m.z + r * m.f, m.indices, m.values);
            memset(out, 0, m.f * sizeof *out);
            for (uint64_t i = 0; i < count; i++)
                out[m.indices[i]] = m.values[i];
        }
    }
    encoder_release(&m);
    if (status == SX_OK)
        status = sx_sae_check_whole(sae, err);
    return status == SX_OK ? sx_task_step(task, n, n) : status;
}

enum sx_status sx_sae_decode(const struct sx_sae *sae, const struct sx_sae_acts *acts,
                             const float *x, float *recon, struct sx_task *task,
                             struct sx_error *err)
{
    if (!x && (sae->W_skip || scale_needs_x(sae->info.norm)))
        return sx_fail(err, SX_ERR_USAGE,
                       "%s: its output depends on the input, which was not given",
                       sae->info.file ? sae->info.file : "SAE");
    struct encoder m;
    SX_TRY(encoder_init(&m, sae, acts->rows, false, err));
    enum sx_status status = SX_OK;
    for (uint64_t first = 0; first < acts->rows && status == SX_OK; first += m.block) {
        uint64_t rows = acts->rows - first < m.block ? acts->rows - first : m.block;
        const float *in = x ? x + first * m.d : NULL;
        for (uint64_t r = 0; r < rows; r++)
            m.scale[r] = scale_of(&sae->info, in ? in + r * m.d : NULL);
        status = sx_task_step(task, first, acts->rows);
        if (status == SX_OK)
            status = decode_block(&m, acts, first, rows, in, recon + first * m.d, task);
    }
    encoder_release(&m);
    if (status == SX_OK)
        status = sx_sae_check_whole(sae, err);
    return status == SX_OK ? sx_task_step(task, acts->rows, acts->rows) : status;
}

void sx_sae_fit(const float *x, const float *recon, const struct sx_sae_acts *acts, uint64_t n,
                uint64_t d, struct sx_sae_fit *fit)
{
    *fit = (struct sx_sae_fit){NAN, NAN, NAN, NAN};
    if (n == 0 || d == 0)
        return;
    double *sums = sx_xcalloc(2 * (size_t)d, sizeof *sums); /* of x, of x - recon */
    double squares = 0, errors = 0, cosine = 0, mean_x = 0, mean_e = 0;
    for (uint64_t r = 0; r < n; r++) {
        const float *a = x + r * d, *b = recon + r * d;
        double aa = 0, bb = 0, ab = 0;
        for (uint64_t e = 0; e < d; e++) {
            double diff = (double)a[e] - b[e];
            sums[e] += a[e];
            sums[d + e] += diff;
            errors += diff * diff;
            aa += (double)a[e] * a[e];
            bb += (double)b[e] * b[e];
            ab += (double)a[e] * b[e];
        }
        squares += aa;
        cosine += aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
    }
    for (uint64_t e = 0; e < d; e++) {
        mean_x += sums[e] * sums[e] / (double)n;
        mean_e += sums[d + e] * sums[d + e] / (double)n;
    }
    fit->mse = errors / ((double)n * (double)d);
    fit->fvu = squares > mean_x ? (errors - mean_e) / (squares - mean_x) : NAN;
    fit->cosine = cosine / (double)n;
    if (acts)
        fit->l0 = (double)(acts->indptr[acts->rows] - acts->indptr[0]) / (double)n;
    sx_free(sums);
}
