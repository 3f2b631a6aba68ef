/* A pass on its way through the layers. Header of the model module alone. */
#ifndef SEXTANT_SRC_MODEL_FORWARD_PRIVATE_H
#define SEXTANT_SRC_MODEL_FORWARD_PRIVATE_H

#include <stdatomic.h>

#include "hook_index.h"
#include "sextant/core/gang.h"
#include "sextant/model/forward.h"

enum {
    SX_ROW_ALIGN = 16, /* chunks of rows and leading dimensions of keys */
    SX_MAX_CHUNK_ROWS = 128,
    SX_QUERY_BLOCK = 64, /* queries of one head that one member takes */
};

/* Products of the pass, to find their packed weights by. */
enum sx_product {
    SX_PRODUCT_Q,
    SX_PRODUCT_K,
    SX_PRODUCT_V,
    SX_PRODUCT_OUT,
    SX_PRODUCT_UP,
    SX_PRODUCT_DOWN,
    SX_PRODUCT_LAYER,     /* so many in a layer */
    SX_PRODUCT_DENSE = 0, /* of the head, behind the last layer */
    SX_PRODUCT_UNEMBED,
    SX_PRODUCT_HEAD
};

/* ESM-2's ids with a meaning of their own. */
enum { SX_ESM2_PAD = 1, SX_ESM2_EOS = 2, SX_ESM2_MASK = 32 };

/* One sequence of the pass. */
struct sx_span {
    const struct sx_sequence *in;
    size_t first;             /* its first row */
    size_t n, past, n_keys;   /* n_keys = past + n */
    float scale;              /* of embeddings */
    const uint8_t *forbidden; /* [n] pads, or NULL */
    float *kt;                /* [D, ldk] keys transposed, when there is no cache */
    size_t ldk;
    size_t first_item; /* attention: items are numbered through the spans */
    size_t blocks;     /* of queries */
};

/* Rows that go through a layer together. */
struct sx_chunk {
    size_t first, n;
    bool few; /* products by sx_linear_few on the stored weights */
};

/* A row of the final residual stream that the head is wanted of. */
struct sx_head_row {
    size_t row;
    float *logits; /* [V]; NULL: not wanted */
    bool again;    /* an earlier head row is the same: nothing is captured */
};

struct sx_rotation { /* of a position override: [rows, bands] */
    float *cosine, *sine;
};

/* What one member works in; of all members but the first unused when products are split by
 * columns. */
struct sx_scratch {
    float *y, *u;         /* [chunk, ld] */
    float *h;             /* [chunk, ld_mlp] */
    float *sigma;         /* [chunk] */
    float *cosine, *sine; /* [chunk, bands] */
    float *attention;
};

struct sx_contact_sum;

/* What the pass costs, in multiply-adds, for saying how far it is. */
struct sx_pass_work {
    double total;                      /* 0: too quick to be looked at */
    double before, after;              /* attention, the rows of a layer */
    double attention;                  /* a layer's */
    double last_after, last_attention; /* of the last layer, which may be for a few rows only */
    double head;
};

struct sx_forward {
    const struct sx_pass *pass;
    const struct sx_model_info *info;
    const struct sx_model_weights *weights;
    struct sx_task *task;
    struct sx_hook_index hooks;
    struct sx_contact_sum *contacts; /* or NULL */

    struct sx_span *spans;
    size_t n_spans, rows;
    uint32_t *span_of; /* [rows] */
    struct sx_chunk *chunks;
    size_t n_chunks, chunk_rows; /* rows of the largest */
    bool by_columns; /* members share the columns of every product instead of the chunks */
    size_t first_layer, last_layer;
    size_t n_items; /* of attention in a layer */

    struct sx_head_row *head_rows;
    size_t n_head_rows;
    /* When the head wants a few rows and nobody else looks: in the last layer only these have
     * queries, attention and MLP; a chunk a row. NULL: all rows go through it. */
    struct sx_chunk *last_chunks;
    size_t n_last_chunks;
    struct sx_chunk *head_chunks; /* rows are indices of head_rows */
    size_t n_head_chunks;
    bool head_by_columns;
    float *extra_logits; /* rows wanted only by captures */

    struct sx_pass_work work;

    float *memory;      /* the runner's; everything below lies in it */
    float *resid;       /* [rows, D] */
    float *q, *v, *ctx; /* [rows, ld] */
    /* Leading dimensions, chosen such that rows under each other do not meet in the same set of a
     * cache. */
    size_t ld, ld_mlp;
    float *const *packed;    /* the runner's: [L * SX_PRODUCT_LAYER + SX_PRODUCT_HEAD] */
    const void *const *near; /* the runner's: stored weights by product, or NULL */
    float *kt;
    float *cosine, *sine; /* [rows, bands] */
    struct sx_scratch scratch[SX_GANG_MAX];
    struct sx_rotation *rotations; /* one for each position override */

    atomic_size_t *turns;    /* [2 * layers + 2]: next chunk or item of each phase */
    atomic_bool stop;        /* cancelled or not finite: members only meet at barriers any more */
    atomic_size_t bad_layer; /* SIZE_MAX: none; n + 1: after layer n; 0: in the embedding */
};

/* A member's view of the pass. */
struct sx_member {
    struct sx_forward *f;
    struct sx_gang *gang;
    int number;
    size_t layer;
    struct sx_scratch *s;
    bool columns; /* products are shared by columns: meet before and after */
    bool lead;    /* does what is not a product */
};

bool sx_forward_stopped(struct sx_forward *f); /* also asks the task */

/* forward_layer.c */
void sx_forward_rows(struct sx_member *m, size_t layer); /* what stands between two attentions */
void sx_forward_attention(struct sx_member *m, size_t layer);
struct sx_hook_token sx_forward_token(const struct sx_forward *f, size_t row);
void sx_forward_meet(struct sx_member *m);
/* y = x W^T + bias for the rows of a chunk, or the member's share of it. */
void sx_forward_multiply(struct sx_member *m, size_t product, const struct sx_chunk *c,
                         const float *x, size_t ldx, float *y, size_t ldy);
const struct sx_weight *sx_forward_weight(const struct sx_forward *f, size_t product);

/* forward_progress.c: what a member says to the task when it takes piece `piece` of `n`. Nothing is
 * counted twice and nobody waits: members may overtake each other by a piece. */
void sx_forward_plan_work(struct sx_forward *f);
void sx_forward_tell_rows(const struct sx_forward *f, size_t layer, size_t piece, size_t n);
void sx_forward_tell_attention(const struct sx_forward *f, size_t layer, size_t piece, size_t n);
void sx_forward_tell_head(const struct sx_forward *f, size_t piece, size_t n);

/* forward_head.c */
void sx_forward_head(struct sx_member *m);
/* Rows of the final residual stream that captures and callers want, and how they are cut. */
enum sx_status sx_forward_plan_head(struct sx_forward *f, struct sx_error *err) SX_MUST_CHECK;

/* cache.c */
enum sx_status sx_cache_reserve(struct sx_cache *cache, const struct sx_model_info *info,
                                size_t length, struct sx_error *err) SX_MUST_CHECK;
void sx_cache_commit(struct sx_cache *cache, size_t length);
float *sx_cache_keys(const struct sx_cache *cache, size_t layer, size_t head, size_t *ld);
float *sx_cache_values(const struct sx_cache *cache, size_t layer); /* [length, D] */

/* contacts.c */
void sx_contact_row(struct sx_contact_sum *sum, int member, size_t channel, size_t query,
                    const float *row);

/* forward.c: a pass, with its attention maps folded into contacts when they are given. */
enum sx_status sx_forward_run(struct sx_runner *runner, const struct sx_pass *pass,
                              struct sx_contact_sum *contacts, struct sx_task *task,
                              struct sx_error *err) SX_MUST_CHECK;
int sx_runner_threads(const struct sx_runner *runner);

#endif
