#include "sextant/model/hooks.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "hook_index.h"
#include "sextant/base/alloc.h"

enum width { WIDTH_D, WIDTH_HEADS, WIDTH_HEAD_OUT, WIDTH_KEYS, WIDTH_F, WIDTH_V, WIDTH_ONE };

static const struct point {
    const char *name;
    enum width width;
    bool once;         /* a run, not a layer */
    bool capture_only; /* it is a by-product: changing it would change nothing */
} points[SX_POINT_COUNT] = {
    [SX_POINT_RESID_PRE] = {"resid.pre", WIDTH_D, false, false},
    [SX_POINT_ATTN_LN] = {"attn.ln", WIDTH_D, false, false},
    [SX_POINT_Q] = {"q", WIDTH_HEADS, false, false},
    [SX_POINT_K] = {"k", WIDTH_HEADS, false, false},
    [SX_POINT_V] = {"v", WIDTH_HEADS, false, false},
    [SX_POINT_Q_ROT] = {"q.rot", WIDTH_HEADS, false, false},
    [SX_POINT_K_ROT] = {"k.rot", WIDTH_HEADS, false, false},
    [SX_POINT_SCORES] = {"scores", WIDTH_KEYS, false, false},
    [SX_POINT_ATTN] = {"attn", WIDTH_KEYS, false, false},
    [SX_POINT_CTX] = {"ctx", WIDTH_HEADS, false, false},
    [SX_POINT_HEAD_OUT] = {"head_out", WIDTH_HEAD_OUT, false, true},
    [SX_POINT_ATTN_OUT] = {"attn_out", WIDTH_D, false, false},
    [SX_POINT_RESID_MID] = {"resid.mid", WIDTH_D, false, false},
    [SX_POINT_MLP_LN] = {"mlp.ln", WIDTH_D, false, false},
    [SX_POINT_MLP_PRE] = {"mlp.pre", WIDTH_F, false, false},
    [SX_POINT_MLP_POST] = {"mlp.post", WIDTH_F, false, false},
    [SX_POINT_MLP_OUT] = {"mlp_out", WIDTH_D, false, false},
    [SX_POINT_RESID_POST] = {"resid.post", WIDTH_D, false, false},
    [SX_POINT_ATTN_LN_SIGMA] = {"attn.ln.sigma", WIDTH_ONE, false, true},
    [SX_POINT_MLP_LN_SIGMA] = {"mlp.ln.sigma", WIDTH_ONE, false, true},
    [SX_POINT_FINAL_LN] = {"final.ln", WIDTH_D, true, false},
    [SX_POINT_FINAL_LN_SIGMA] = {"final.ln.sigma", WIDTH_ONE, true, true},
    [SX_POINT_HEAD_DENSE] = {"head.dense", WIDTH_D, true, false},
    [SX_POINT_HEAD_GELU] = {"head.gelu", WIDTH_D, true, false},
    [SX_POINT_HEAD_LN] = {"head.ln", WIDTH_D, true, false},
    [SX_POINT_HEAD_LN_SIGMA] = {"head.ln.sigma", WIDTH_ONE, true, true},
    [SX_POINT_LOGITS] = {"logits", WIDTH_V, true, false},
};

const char *sx_point_name(enum sx_point point)
{
    SX_ASSERT((unsigned)point < SX_POINT_COUNT);
    return points[point].name;
}

bool sx_point_find(const char *name, enum sx_point *point)
{
    for (int p = 0; p < SX_POINT_COUNT; p++)
        if (strcmp(points[p].name, name) == 0) {
            *point = (enum sx_point)p;
            return true;
        }
    return false;
}

bool sx_point_per_layer(enum sx_point point)
{
    return !points[point].once;
}

static bool has_keys(enum sx_point point)
{
    return points[point].width == WIDTH_KEYS;
}

bool sx_point_has_heads(enum sx_point point)
{
    enum width width = points[point].width;
    return width == WIDTH_HEADS || width == WIDTH_HEAD_OUT || width == WIDTH_KEYS;
}

/* Floats of one token, of one head where there are heads. */
static size_t head_width(const struct sx_model_info *info, enum sx_point point, size_t n_keys)
{
    switch (points[point].width) {
    case WIDTH_D:
    case WIDTH_HEAD_OUT:
        return info->d_model;
    case WIDTH_HEADS:
        return info->d_head;
    case WIDTH_KEYS:
        return n_keys;
    case WIDTH_F:
        return info->d_mlp;
    case WIDTH_V:
        return info->vocab;
    case WIDTH_ONE:
        break;
    }
    return 1;
}

size_t sx_point_width(const struct sx_model_info *info, enum sx_point point, size_t n_keys)
{
    size_t heads = sx_point_has_heads(point) ? info->n_heads : 1;
    return heads * head_width(info, point, n_keys);
}

/* --- choices ------------------------------------------------------------------------------------
 */

/* Of the first in the list that is not below index. */
static size_t first_from(const struct sx_choice *choice, size_t index)
{
    size_t low = 0, high = choice->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (choice->list[mid] < index)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

uint32_t sx_choice_place(const struct sx_choice *choice, uint32_t index)
{
    if (!choice->list)
        return index;
    const size_t low = first_from(choice, index);
    return low < choice->n && choice->list[low] == index ? (uint32_t)low : SX_NOT_CHOSEN;
}

bool sx_choice_has(const struct sx_choice *choice, uint32_t index)
{
    return sx_choice_place(choice, index) != SX_NOT_CHOSEN;
}

size_t sx_choice_count(const struct sx_choice *choice, size_t total)
{
    return choice->list ? choice->n : total;
}

uint64_t sx_capture_count(const struct sx_model_info *info, const struct sx_capture *capture,
                          size_t T)
{
    enum sx_point point = capture->point;
    uint64_t n = sx_choice_count(&capture->tokens, T);
    if (sx_point_per_layer(point))
        n *= sx_choice_count(&capture->layers, info->n_layers);
    if (sx_point_has_heads(point))
        n *= sx_choice_count(&capture->heads, info->n_heads);
    return n * head_width(info, point, sx_choice_count(&capture->keys, T));
}

static size_t first_of(const struct sx_choice *layers, size_t n_layers)
{
    return !layers->list ? 0 : layers->n ? layers->list[0] : n_layers;
}

size_t sx_hooks_first_layer(const struct sx_model_info *info, const struct sx_hooks *hooks)
{
    size_t first = info->n_layers;
    for (size_t i = 0; i < hooks->n_interventions; i++) {
        const struct sx_intervention *iv = &hooks->interventions[i];
        size_t layer = points[iv->point].once ? first : first_of(&iv->layers, first);
        first = layer < first ? layer : first;
    }
    for (size_t i = 0; i < hooks->n_positions; i++) {
        size_t layer = first_of(&hooks->positions[i].layers, first);
        first = layer < first ? layer : first;
    }
    return first;
}

/* --- checks -------------------------------------------------------------------------------------
 */

static enum sx_status check_choice(const struct sx_choice *choice, uint64_t total, const char *what,
                                   const char *where, struct sx_error *err)
{
    for (size_t i = 0; choice->list && i < choice->n; i++) {
        if (choice->list[i] >= total)
            return sx_fail(err, SX_ERR_USAGE, "%s: %s %" PRIu32 ": there are %" PRIu64 ", from 0",
                           where, what, choice->list[i], total);
        if (i && choice->list[i] <= choice->list[i - 1])
            return sx_fail(err, SX_ERR_USAGE, "%s: %ss must be ascending, each once", where, what);
    }
    return SX_OK;
}

static enum sx_status check_place(const struct sx_model_info *info, enum sx_point point,
                                  const struct sx_choice *layers, const struct sx_choice *heads,
                                  struct sx_error *err)
{
    if ((unsigned)point >= SX_POINT_COUNT)
        return sx_fail(err, SX_ERR_USAGE, "there is no such hook point");
    bool esm_head = point >= SX_POINT_HEAD_DENSE && point <= SX_POINT_HEAD_LN_SIGMA;
    if (esm_head && info->family != SX_MODEL_ESM2)
        return sx_fail(err, SX_ERR_USAGE, "%s: only ESM-2's head has this point",
                       points[point].name);
    if ((esm_head || point == SX_POINT_LOGITS) && !info->has_lm_head)
        return sx_fail(err, SX_ERR_USAGE, "%s: the model has no language-model head",
                       points[point].name);
    SX_TRY(check_choice(layers, info->n_layers, "layer", points[point].name, err));
    return check_choice(heads, info->n_heads, "head", points[point].name, err);
}

static enum sx_status check_sequence(size_t sequence, size_t n, const char *where,
                                     struct sx_error *err)
{
    if (sequence < n)
        return SX_OK;
    return sx_fail(err, SX_ERR_USAGE, "%s: there is no sequence %zu in a batch of %zu", where,
                   sequence, n);
}

static bool has_bands(enum sx_point point)
{
    return point == SX_POINT_Q || point == SX_POINT_K || point == SX_POINT_Q_ROT ||
           point == SX_POINT_K_ROT;
}

static enum sx_status check_intervention(const struct sx_model_info *info,
                                         const struct sx_intervention *iv, size_t n_sequences,
                                         struct sx_error *err)
{
    SX_TRY(check_place(info, iv->point, &iv->layers, &iv->heads, err));
    const char *name = points[iv->point].name;
    if (points[iv->point].capture_only)
        return sx_fail(err, SX_ERR_USAGE, "%s can be captured but not changed", name);
    if (iv->sequence != SIZE_MAX)
        SX_TRY(check_sequence(iv->sequence, n_sequences, name, err));
    if (iv->band >= 0 && !has_bands(iv->point))
        return sx_fail(err, SX_ERR_USAGE, "%s has no rotary bands; q, k, q.rot and k.rot have",
                       name);
    if (iv->band >= 0 && (uint64_t)iv->band >= info->n_bands)
        return sx_fail(err, SX_ERR_USAGE, "%s: band %d: there are %" PRIu64 ", from 0", name,
                       iv->band, info->n_bands);
    if (iv->action == SX_DO_FORBID && iv->point != SX_POINT_SCORES)
        return sx_fail(err, SX_ERR_USAGE, "%s: only edges of scores can be forbidden", name);
    bool needs = iv->action == SX_DO_REPLACE || iv->action == SX_DO_ADD;
    if (needs && !iv->values)
        return sx_fail(err, SX_ERR_USAGE, "%s: no values to write", name);
    return SX_OK;
}

enum sx_status sx_hooks_check(const struct sx_model_info *info, const struct sx_hooks *hooks,
                              size_t n_sequences, struct sx_error *err)
{
    for (size_t i = 0; i < hooks->n_captures; i++) {
        const struct sx_capture *c = &hooks->captures[i];
        SX_TRY(check_place(info, c->point, &c->layers, &c->heads, err));
        SX_TRY(check_sequence(c->sequence, n_sequences, points[c->point].name, err));
        SX_ASSERT(c->out);
    }
    for (size_t i = 0; i < hooks->n_interventions; i++)
        SX_TRY(check_intervention(info, &hooks->interventions[i], n_sequences, err));
    for (size_t i = 0; i < hooks->n_positions; i++) {
        const struct sx_position_override *o = &hooks->positions[i];
        if (o->sequence != SIZE_MAX)
            SX_TRY(check_sequence(o->sequence, n_sequences, "positions", err));
        SX_TRY(check_choice(&o->layers, info->n_layers, "layer", "positions", err));
        SX_TRY(check_choice(&o->heads, info->n_heads, "head", "positions", err));
        SX_TRY(check_choice(&o->bands, info->n_bands, "band", "positions", err));
        SX_ASSERT(o->positions);
    }
    return SX_OK;
}

enum sx_status sx_hooks_check_tokens(const struct sx_hooks *hooks, size_t sequence, size_t past,
                                     size_t n, struct sx_error *err)
{
    for (size_t i = 0; i < hooks->n_captures; i++) {
        const struct sx_capture *c = &hooks->captures[i];
        if (c->sequence != sequence)
            continue;
        const char *name = points[c->point].name;
        SX_TRY(check_choice(&c->tokens, past + n, "token", name, err));
        if (c->tokens.list && c->tokens.n && c->tokens.list[0] < past)
            return sx_fail(err, SX_ERR_USAGE, "%s: token %" PRIu32 " is not of this pass", name,
                           c->tokens.list[0]);
        if (has_keys(c->point))
            SX_TRY(check_choice(&c->keys, past + n, "key", name, err));
    }
    for (size_t i = 0; i < hooks->n_interventions; i++) {
        const struct sx_intervention *iv = &hooks->interventions[i];
        if (iv->sequence != sequence || past > 0)
            continue;
        const char *name = points[iv->point].name;
        SX_TRY(check_choice(&iv->tokens, iv->generated ? SIZE_MAX : n, "token", name, err));
        if (has_keys(iv->point))
            SX_TRY(check_choice(&iv->keys, iv->generated ? SIZE_MAX : n, "key", name, err));
    }
    return SX_OK;
}

/* --- index --------------------------------------------------------------------------------------
 */

static size_t slot(size_t layer, enum sx_point point)
{
    return layer * SX_POINT_COUNT + (size_t)point;
}

struct filler {
    struct sx_hook_index *index;
    uint32_t *next; /* NULL: only count, in starts[slot + 1] */
};

static void put(const struct filler *f, enum sx_point point, const struct sx_choice *layers,
                struct sx_hook hook)
{
    size_t n = points[point].once ? 1 : sx_choice_count(layers, f->index->n_layers);
    for (size_t i = 0; i < n; i++) {
        size_t layer = points[point].once || !layers->list ? i : layers->list[i];
        hook.layer_place = (uint32_t)i;
        if (f->next)
            f->index->hooks[f->next[slot(layer, point)]++] = hook;
        else
            f->index->starts[slot(layer, point) + 1]++;
    }
}

static void put_all(const struct filler *f, const struct sx_hooks *hooks)
{
    for (size_t i = 0; i < hooks->n_interventions; i++) {
        const struct sx_intervention *iv = &hooks->interventions[i];
        put(f, iv->point, &iv->layers, (struct sx_hook){.change = iv});
    }
    for (size_t i = 0; i < hooks->n_captures; i++) {
        const struct sx_capture *c = &hooks->captures[i];
        put(f, c->point, &c->layers, (struct sx_hook){.capture = c});
    }
}

void sx_hook_index_init(struct sx_hook_index *index, const struct sx_model_info *info,
                        const struct sx_hooks *hooks)
{
    size_t slots = slot(info->n_layers, 0);
    *index = (struct sx_hook_index){.n_layers = info->n_layers};
    if (hooks->n_captures == 0 && hooks->n_interventions == 0)
        return;
    index->starts = sx_xcalloc(slots + 1, sizeof *index->starts);
    put_all(&(struct filler){index, NULL}, hooks);
    for (size_t s = 0; s < slots; s++)
        index->starts[s + 1] += index->starts[s];
    index->hooks = sx_xcalloc((size_t)index->starts[slots] + 1, sizeof *index->hooks);
    uint32_t *next = sx_xcalloc(slots + 1, sizeof *next);
    memcpy(next, index->starts, slots * sizeof *next);
    put_all(&(struct filler){index, next}, hooks);
    sx_free(next);
}

void sx_hook_index_release(struct sx_hook_index *index)
{
    sx_free(index->hooks);
    sx_free(index->starts);
    *index = (struct sx_hook_index){0};
}

struct sx_hook_list sx_hooks_at(const struct sx_hook_index *index, size_t layer,
                                enum sx_point point)
{
    if (!index->starts)
        return (struct sx_hook_list){0};
    uint32_t first = index->starts[slot(layer, point)];
    return (struct sx_hook_list){index->hooks + first,
                                 index->starts[slot(layer, point) + 1] - first};
}

/* --- acting -------------------------------------------------------------------------------------
 */

/* Place of the token among an intervention's chosen ones. What generation makes has no values of
 * its own and takes those of the first chosen token. */
static uint32_t token_place(const struct sx_intervention *iv, const struct sx_hook_token *token)
{
    if (iv->sequence != SIZE_MAX && iv->sequence != token->sequence)
        return SX_NOT_CHOSEN;
    if (token->generated && iv->generated)
        return 0;
    if (token->generated && !iv->tokens.list)
        return SX_NOT_CHOSEN;
    return sx_choice_place(&iv->tokens, (uint32_t)token->token);
}

static void change(const struct sx_intervention *iv, float *x, size_t n, const float *values)
{
    SX_ASSERT(values || (iv->action != SX_DO_REPLACE && iv->action != SX_DO_ADD));
    switch (iv->action) {
    case SX_DO_REPLACE:
        for (size_t i = 0; i < n; i++)
            x[i] = iv->factor * values[i];
        return;
    case SX_DO_ADD:
        for (size_t i = 0; i < n; i++)
            x[i] += iv->factor * values[i];
        return;
    case SX_DO_SCALE: /* 0 ablates also what is not finite */
        for (size_t i = 0; i < n; i++)
            x[i] = iv->factor == 0.0F ? 0.0F : x[i] * iv->factor;
        return;
    case SX_DO_FORBID:
        return;
    }
}

static const float *values_at(const struct sx_hook *hook, size_t token, size_t head)
{
    const struct sx_intervention *iv = hook->change;
    if (!iv->values)
        return NULL;
    return iv->values + hook->layer_place * iv->layer_stride + token * iv->token_stride +
           head * iv->head_stride;
}

static void change_head(const struct sx_hook *hook, const struct sx_model_info *info, float *x,
                        size_t n, const float *values)
{
    int band = hook->change->band;
    if (band < 0) {
        change(hook->change, x, n, values);
        return;
    }
    float *other = x + band + info->n_bands;
    change(hook->change, x + band, 1, values);
    change(hook->change, other, 1, values ? values + 1 : NULL);
}

static void change_row(const struct sx_hook *hook, const struct sx_model_info *info,
                       const struct sx_hook_token *token, float *x)
{
    const struct sx_intervention *iv = hook->change;
    uint32_t place = token_place(iv, token);
    if (place == SX_NOT_CHOSEN)
        return;
    size_t width = head_width(info, iv->point, 0);
    if (!sx_point_has_heads(iv->point)) {
        change_head(hook, info, x, width, values_at(hook, place, 0));
        return;
    }
    size_t n = sx_choice_count(&iv->heads, info->n_heads);
    for (size_t i = 0; i < n; i++) {
        size_t head = iv->heads.list ? iv->heads.list[i] : i;
        change_head(hook, info, x + head * width, width, values_at(hook, place, i));
    }
}

float *sx_capture_place(const struct sx_hook *hook, const struct sx_model_info *info,
                        const struct sx_hook_token *token, size_t head)
{
    const struct sx_capture *c = hook->capture;
    if (!c || c->sequence != token->sequence)
        return NULL;
    size_t place =
        c->tokens.list ? sx_choice_place(&c->tokens, (uint32_t)token->token) : token->place;
    size_t head_place =
        sx_point_has_heads(c->point) ? sx_choice_place(&c->heads, (uint32_t)head) : 0;
    if (place == SX_NOT_CHOSEN || head_place == SX_NOT_CHOSEN)
        return NULL;
    size_t tokens = sx_choice_count(&c->tokens, token->n);
    size_t heads = sx_point_has_heads(c->point) ? sx_choice_count(&c->heads, info->n_heads) : 1;
    size_t keys = token->token - token->place + token->n;
    size_t width = head_width(info, c->point, sx_choice_count(&c->keys, keys));
    size_t cell = has_keys(c->point) ? head_place * tokens + place : place * heads + head_place;
    return c->out + (hook->layer_place * tokens * heads + cell) * width;
}

static void capture_row(const struct sx_hook *hook, const struct sx_model_info *info,
                        const struct sx_hook_token *token, const float *x)
{
    enum sx_point point = hook->capture->point;
    size_t width = head_width(info, point, 0);
    size_t heads = sx_point_has_heads(point) ? info->n_heads : 1;
    if (!hook->capture->heads.list) { /* all heads lie behind each other here and there */
        width *= heads;
        heads = 1;
    }
    for (size_t h = 0; h < heads; h++) {
        float *out = sx_capture_place(hook, info, token, h);
        if (out)
            memcpy(out, x + h * width, width * sizeof *out);
    }
}

void sx_hooks_row(const struct sx_hook_list *list, const struct sx_model_info *info,
                  const struct sx_hook_token *token, float *x, bool uncaptured)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->hooks[i].change)
            change_row(&list->hooks[i], info, token, x);
        else if (!uncaptured)
            capture_row(&list->hooks[i], info, token, x);
    }
}

/* What the model's own mask forbids stays forbidden, whatever is written there. */
static void change_edges(const struct sx_hook *hook, const struct sx_hook_token *token, size_t head,
                         float *row, size_t n_keys)
{
    const struct sx_intervention *iv = hook->change;
    uint32_t place = token_place(iv, token);
    uint32_t head_place = sx_choice_place(&iv->heads, (uint32_t)head);
    if (place == SX_NOT_CHOSEN || head_place == SX_NOT_CHOSEN)
        return;
    /* [heads, tokens, keys]: the strides say where; both are in floats. */
    const float *values = values_at(hook, place, head_place);
    size_t n = sx_choice_count(&iv->keys, n_keys);

    for (size_t i = 0; i < n; i++) {
        size_t key = iv->keys.list ? iv->keys.list[i] : i;
        if (key >= n_keys)
            break;
        if (iv->action == SX_DO_FORBID)
            row[key] = -INFINITY;
        else if (row[key] != -INFINITY)
            change(iv, &row[key], 1, values ? values + i : NULL);
    }
}

static void capture_edges(const struct sx_hook *hook, const struct sx_model_info *info,
                          const struct sx_hook_token *token, size_t head, const float *row,
                          size_t n_keys)
{
    const struct sx_choice *keys = &hook->capture->keys;
    float *out = sx_capture_place(hook, info, token, head);
    if (!out)
        return;
    if (!keys->list)
        memcpy(out, row, n_keys * sizeof *out);
    for (size_t i = 0; keys->list && i < keys->n; i++)
        out[i] = row[keys->list[i]];
}

void sx_hooks_attention_row(const struct sx_hook_list *list, const struct sx_model_info *info,
                            const struct sx_hook_token *token, size_t head, float *row,
                            size_t n_keys)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->hooks[i].change)
            change_edges(&list->hooks[i], token, head, row, n_keys);
        else
            capture_edges(&list->hooks[i], info, token, head, row, n_keys);
    }
}

bool sx_hooks_concern(const struct sx_hook_list *list, size_t sequence, size_t head)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct sx_capture *c = list->hooks[i].capture;
        const struct sx_intervention *iv = list->hooks[i].change;
        size_t of = c ? c->sequence : iv->sequence;
        const struct sx_choice *heads = c ? &c->heads : &iv->heads;
        bool here = of == SIZE_MAX || of == sequence;
        if (here && (head == SIZE_MAX || sx_choice_has(heads, (uint32_t)head)))
            return true;
    }
    return false;
}

bool sx_hooks_show(const struct sx_hook_list *list, const struct sx_hook_token *first, size_t head,
                   size_t n, uint8_t *shown)
{
    bool any = false;
    for (size_t i = 0; i < list->n; i++) {
        const struct sx_hook_list one = {&list->hooks[i], 1};
        const struct sx_capture *c = one.hooks->capture;
        const struct sx_intervention *iv = one.hooks->change;
        const struct sx_choice *tokens = c ? &c->tokens : &iv->tokens;
        if (!sx_hooks_concern(&one, first->sequence, head))
            continue;
        if (!tokens->list || (!c && iv->generated)) {
            memset(shown, 1, n);
            return true;
        }
        for (size_t t = first_from(tokens, first->token);
             t < tokens->n && tokens->list[t] < first->token + n; t++) {
            shown[tokens->list[t] - first->token] = 1;
            any = true;
        }
    }
    return any;
}
