#include "sextant/core/nn.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "sextant/base/status.h"

size_t sx_storage_size(enum sx_storage storage)
{
    return storage == SX_STORE_F32 ? 4 : 2;
}

static float half_value(uint16_t h)
{
    uint32_t magnitude = h & 0x7FFFU, sign = (uint32_t)(h & 0x8000U) << 16, bits;
    if (magnitude >= 0x7C00U) {
        bits = sign | 0x7F800000U | magnitude << 13;
    } else if (magnitude >= 0x0400U) {
        bits = sign | ((magnitude << 13) + (112U << 23));
    } else {
        float tiny = (float)magnitude * 0x1p-24F;
        return sign ? -tiny : tiny;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float bf16_value(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void sx_widen(enum sx_storage storage, const void *in, float *out, size_t n)
{
    if (storage == SX_STORE_F32) {
        memcpy(out, in, n * sizeof *out);
        return;
    }
    const unsigned char *p = in;
    for (size_t i = 0; i < n; i++) {
        uint16_t word;
        memcpy(&word, p + 2 * i, sizeof word);
        out[i] = storage == SX_STORE_F16 ? half_value(word) : bf16_value(word);
    }
}

void sx_layernorm_rows(const float *x, size_t ldx, const float *gamma, const float *beta, float eps,
                       size_t rows, size_t cols, float *out, size_t ldo, float *sigma)
{
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * ldx;
        float *to = out + r * ldo;
        double sum = 0, square = 0;
        for (size_t i = 0; i < cols; i++)
            sum += (double)in[i];
        double mean = sum / (double)cols;
        for (size_t i = 0; i < cols; i++) {
            double centred = (double)in[i] - mean;
            square += centred * centred;
        }
        double root = sqrt(square / (double)cols + (double)eps);
        for (size_t i = 0; i < cols; i++)
            to[i] = (float)((double)gamma[i] * (((double)in[i] - mean) / root) + (double)beta[i]);
        if (sigma)
            sigma[r] = (float)root;
    }
}

const char *sx_activation_name(enum sx_activation act)
{
    return act == SX_ACT_GELU ? "gelu" : "gelu_tanh";
}

void sx_activate(enum sx_activation act, float *x, size_t n)
{
    const float tanh_scale = 0.7978845608F;
    for (size_t i = 0; i < n; i++) {
        float t = x[i];
        x[i] = 0.5F * t *
               (1 + (act == SX_ACT_GELU ? erff(t * 0.7071067812F)
                                        : tanhf(tanh_scale * (t + 0.044715F * t * t * t))));
    }
}

void sx_add_row(float *y, const float *row, size_t rows, size_t cols, size_t ld)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < cols; i++)
            y[r * ld + i] += row[i];
}

void sx_add_rows(float *y, size_t ldy, const float *x, size_t ldx, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < cols; i++)
            y[r * ldy + i] += x[r * ldx + i];
}

double sx_softmax(float *x, size_t n)
{
    float peak = -INFINITY;
    for (size_t i = 0; i < n; i++)
        peak = x[i] > peak ? x[i] : peak;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = isinf(x[i]) && x[i] < 0 ? 0 : expf(x[i] - peak);
        sum += (double)x[i];
    }
    for (size_t i = 0; i < n && sum > 0; i++)
        x[i] = (float)((double)x[i] / sum);
    return log(sum) + (sum > 0 ? (double)peak : 0);
}

void sx_rotate_rows(float *x, size_t ld, size_t rows, size_t heads, size_t d_head, size_t bands,
                    const float *cosine, const float *sine)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t h = 0; h < heads; h++) {
            float *a = x + r * ld + h * d_head, *b = a + bands;
            for (size_t k = 0; k < bands; k++) {
                float c = cosine[r * bands + k], s = sine[r * bands + k], re = a[k], im = b[k];
                a[k] = re * c - im * s;
                b[k] = im * c + re * s;
            }
        }
}

void sx_rotation_table(const float *position, size_t rows, const float *frequency, size_t bands,
                       float *cosine, float *sine)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t b = 0; b < bands; b++) {
            float angle = position[r] * frequency[b];
            cosine[r * bands + b] = cosf(angle);
            sine[r * bands + b] = sinf(angle);
        }
}

size_t sx_attention_scratch(size_t n_k)
{
    return 8 * ((n_k + 15) / 16 * 16);
}

static bool sees(const struct sx_attention_head *head, size_t query, size_t key)
{
    bool early = head->causal == INT64_MAX || (int64_t)key <= (int64_t)query + head->causal;
    return early && !(head->forbidden && head->forbidden[key]);
}

void sx_attention_head(const struct sx_attention_head *head)
{
    float *row = head->scratch;
    for (size_t i = 0; i < head->n_q; i++) {
        for (size_t j = 0; j < head->n_k; j++) {
            float sum = 0;
            for (size_t c = 0; c < head->d; c++)
                sum += head->q[i * head->ldq + c] * head->kt[c * head->ldk + j];
            row[j] = sees(head, i, j) ? sum * head->scale : -INFINITY;
        }
        if (head->on_scores)
            head->on_scores(head->ctx, i, row);
        sx_softmax(row, head->n_k);
        if (head->on_pattern)
            head->on_pattern(head->ctx, i, row);
        if (head->pattern)
            memcpy(head->pattern + i * head->ldp, row, head->n_k * sizeof *row);
        float *out = head->out + i * head->ldo;
        memset(out, 0, head->d * sizeof *out);
        for (size_t j = 0; j < head->n_k; j++)
            for (size_t c = 0; c < head->d; c++)
                out[c] += row[j] * head->v[j * head->ldv + c];
    }
}

void sx_attention_keys(const float *k, size_t ld, size_t n, size_t d, float *kt, size_t ldk,
                       size_t first)
{
    size_t end = (first + n + 15) / 16 * 16;
    SX_ASSERT(end <= ldk);
    for (size_t c = 0; c < d; c++) {
        float *to = kt + c * ldk + first;
        for (size_t j = 0; j < n; j++)
            to[j] = k[j * ld + c];
        memset(to + n, 0, (end - first - n) * sizeof *to);
    }
}

void sx_linear_few(enum sx_storage storage, const void *w, size_t in, size_t first, size_t last,
                   const float *bias, const float *x, size_t ldx, size_t rows, float *y, size_t ldy)
{
    SX_ASSERT(rows <= SX_FEW_ROWS);
    const unsigned char *p = w;
    size_t size = sx_storage_size(storage);
    for (size_t o = first; o < last; o++) {
        float sum[SX_FEW_ROWS] = {0};
        for (size_t i = 0; i < in; i++) {
            float value;
            sx_widen(storage, p + (o * in + i) * size, &value, 1);
            for (size_t r = 0; r < rows; r++)
                sum[r] += value * x[r * ldx + i];
        }
        for (size_t r = 0; r < rows; r++)
            y[r * ldy + o] = sum[r] + (bias ? bias[o] : 0);
    }
}
