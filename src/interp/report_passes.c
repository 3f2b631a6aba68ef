/* Sites and probes. Probes that start at the same layer go through the model together: their
 * matrices are small, and products over many rows cost less a row. */
#include <math.h>
#include <string.h>

#include "report_private.h"
#include "sextant/base/alloc.h"
#include "sextant/model/tokenizer.h"

/* --- what is read -------------------------------------------------------------------------------
 */

void sx_reading_of(const float *logits, struct sx_reading *out)
{
    double all = 0;
    double residues = 0;
    double mean = 0;
    int32_t top = SX_ESM_FIRST_RESIDUE;
    for (int32_t t = SX_ESM_FIRST_RESIDUE; t <= SX_ESM_LAST_RESIDUE; t++)
        if (logits[t] > logits[top])
            top = t;
    for (int32_t t = 0; t < SX_ESM_VOCAB; t++) {
        const double e = exp((double)logits[t] - (double)logits[top]);
        const bool residue = t >= SX_ESM_FIRST_RESIDUE && t <= SX_ESM_LAST_RESIDUE;
        all += e;
        residues += residue ? e : 0;
        mean += residue ? (double)logits[t] / 20 : 0;
    }
    const double own = exp((double)logits[SX_ESM_M] - (double)logits[top]);
    *out = (struct sx_reading){.p = own / residues,
                               .p33 = own / all,
                               .centred = (double)logits[SX_ESM_M] - mean,
                               .top = top};
}

/* --- sites --------------------------------------------------------------------------------------
 */

void sx_site_release(struct sx_site *site)
{
    sx_free(site->ids);
    sx_free(site->resid);
    sx_free(site->q);
    sx_free(site->q_rot);
    sx_free(site->k_bos);
    sx_free(site->v);
    sx_free(site->attn);
    sx_free(site->attn_out);
    sx_free(site->mlp_out);
    sx_free(site->sigma);
    *site = (struct sx_site){0};
}

struct kept {
    enum sx_point point;
    bool all_tokens, bos;
    float **out;
};

static enum sx_status keep(const struct sx_model_info *info, struct sx_site *site,
                           const struct kept *kept, struct sx_capture *capture,
                           struct sx_error *err)
{
    static const uint32_t bos = 0;
    *capture = (struct sx_capture){.point = kept->point};
    if (!kept->all_tokens)
        capture->tokens = (struct sx_choice){kept->bos ? &bos : &site->token, 1};
    *kept->out = sx_alloc_big((size_t)sx_capture_count(info, capture, site->n), sizeof **kept->out);
    capture->out = *kept->out;
    return capture->out ? SX_OK
                        : sx_fail(err, SX_ERR_NOMEM,
                                  "no memory for what a pass over %zu tokens keeps", site->n);
}

enum sx_status sx_site_make(struct sx_study *study, const struct sx_report_protein *protein,
                            uint32_t token, struct sx_site *out, struct sx_error *err)
{
    enum { KEPT = 9 };
    *out = (struct sx_site){.protein = protein, .n = protein->n, .token = token};
    const struct kept kept[KEPT] = {
        {SX_POINT_RESID_PRE, true, false, &out->resid},
        {SX_POINT_Q, false, false, &out->q},
        {SX_POINT_Q_ROT, false, false, &out->q_rot},
        {SX_POINT_K, false, true, &out->k_bos},
        {SX_POINT_V, true, false, &out->v},
        {SX_POINT_ATTN, false, false, &out->attn},
        {SX_POINT_ATTN_OUT, false, false, &out->attn_out},
        {SX_POINT_MLP_OUT, false, false, &out->mlp_out},
        {SX_POINT_ATTN_LN_SIGMA, false, false, &out->sigma},
    };
    struct sx_capture captures[KEPT];
    float logits[SX_ESM_VOCAB];
    enum sx_status status = SX_OK;

    out->ids = sx_xmalloc(protein->n * sizeof *out->ids);
    memcpy(out->ids, protein->ids, protein->n * sizeof *out->ids);
    out->ids[token] = SX_ESM_MASK;
    for (size_t i = 0; i < KEPT && status == SX_OK; i++)
        status = keep(study->info, out, &kept[i], &captures[i], err);
    const struct sx_sequence sequence = {
        .ids = out->ids, .n = out->n, .embed_scale = NAN, .rows = &out->token, .n_rows = 1};
    const struct sx_pass pass = {.sequences = &sequence,
                                 .n_sequences = 1,
                                 .hooks = {.captures = captures, .n_captures = KEPT},
                                 .logits = logits};
    if (status == SX_OK)
        status = sx_run_pass(study->runner, &pass, study->task, err);
    if (status == SX_OK)
        sx_reading_of(logits, &out->reading);
    if (status == SX_OK)
        status = sx_task_step(study->task, study->done, study->total);
    return status;
}

/* --- heads --------------------------------------------------------------------------------------
 */

void sx_head_set_init(struct sx_head_set *set, size_t layers, size_t heads)
{
    *set = (struct sx_head_set){.layers = layers};
    set->n = sx_xcalloc(layers + 1, sizeof *set->n);
    set->list = sx_xcalloc(layers + 1, sizeof *set->list);
    for (size_t l = 0; l < layers; l++)
        set->list[l] = sx_xcalloc(heads + 1, sizeof **set->list);
}

void sx_head_set_release(struct sx_head_set *set)
{
    for (size_t l = 0; l < set->layers; l++)
        sx_free(set->list[l]);
    sx_free(set->list);
    sx_free(set->n);
    *set = (struct sx_head_set){0};
}

void sx_head_set_add(struct sx_head_set *set, size_t layer, uint32_t head)
{
    uint32_t *list = set->list[layer];
    size_t at = set->n[layer]++;
    for (; at > 0 && list[at - 1] > head; at--)
        list[at] = list[at - 1];
    list[at] = head;
}

bool sx_head_set_has(const struct sx_head_set *set, size_t layer, uint32_t head)
{
    for (size_t i = 0; i < set->n[layer]; i++)
        if (set->list[layer][i] == head)
            return true;
    return false;
}

size_t sx_head_set_count(const struct sx_head_set *set)
{
    size_t n = 0;
    for (size_t l = 0; l < set->layers; l++)
        n += set->n[l];
    return n;
}

/* --- probes -------------------------------------------------------------------------------------
 */

struct sx_probes sx_probes_new(void)
{
    return (struct sx_probes){.arena = sx_arena_new()};
}

void sx_probes_release(struct sx_probes *probes)
{
    for (size_t i = 0; i < probes->n; i++) {
        sx_free(probes->probe[i].interventions);
        sx_free(probes->probe[i].positions);
    }
    sx_free(probes->probe);
    sx_arena_free(probes->arena);
    *probes = (struct sx_probes){0};
}

size_t sx_probe_add(struct sx_probes *probes, const struct sx_site *site)
{
    SX_GROW(probes->probe, probes->room, probes->n + 1);
    probes->probe[probes->n] = (struct sx_probe){.site = site};
    return probes->n++;
}

static uint32_t *index_list(struct sx_probes *probes, const uint32_t *from, size_t n)
{
    uint32_t *list = sx_arena_alloc(probes->arena, (n + 1) * sizeof *list);
    memcpy(list, from, n * sizeof *list);
    return list;
}

static struct sx_choice one(struct sx_probes *probes, size_t index)
{
    const uint32_t value = (uint32_t)index;
    return (struct sx_choice){index_list(probes, &value, 1), 1};
}

void sx_probe_do(struct sx_probes *probes, size_t at, struct sx_intervention intervention)
{
    struct sx_probe *probe = &probes->probe[at];
    SX_GROW(probe->interventions, probe->interventions_room, probe->n_interventions + 1);
    probe->interventions[probe->n_interventions++] = intervention;
}

void sx_probe_turn(struct sx_probes *probes, size_t at, struct sx_position_override positions)
{
    struct sx_probe *probe = &probes->probe[at];
    SX_GROW(probe->positions, probe->positions_room, probe->n_positions + 1);
    probe->positions[probe->n_positions++] = positions;
}

void sx_probe_scale_heads(struct sx_probes *probes, size_t probe, const struct sx_head_set *set,
                          enum sx_point point, uint32_t token, float factor)
{
    for (size_t l = 0; l < set->layers; l++)
        if (set->n[l])
            sx_probe_do(probes, probe,
                        (struct sx_intervention){.point = point,
                                                 .layers = one(probes, l),
                                                 .tokens = one(probes, token),
                                                 .heads = {set->list[l], set->n[l]},
                                                 .band = -1,
                                                 .action = SX_DO_SCALE,
                                                 .factor = factor});
}

void sx_probe_forbid(struct sx_probes *probes, size_t probe, const struct sx_head_set *set,
                     uint32_t key)
{
    for (size_t l = 0; l < set->layers; l++)
        if (set->n[l])
            sx_probe_do(
                probes, probe,
                (struct sx_intervention){.point = SX_POINT_SCORES,
                                         .layers = one(probes, l),
                                         .tokens = one(probes, probes->probe[probe].site->token),
                                         .heads = {set->list[l], set->n[l]},
                                         .keys = one(probes, key),
                                         .band = -1,
                                         .action = SX_DO_FORBID,
                                         .factor = 1});
}

void sx_probe_replace(struct sx_probes *probes, size_t probe, enum sx_point point, size_t layer,
                      uint32_t head, uint32_t token, int band, const float *values)
{
    sx_probe_do(probes, probe,
                (struct sx_intervention){.point = point,
                                         .layers = one(probes, layer),
                                         .tokens = one(probes, token),
                                         .heads = one(probes, head),
                                         .band = band,
                                         .action = SX_DO_REPLACE,
                                         .factor = 1,
                                         .values = values});
}

void sx_probe_move_query(struct sx_probes *probes, size_t probe, const struct sx_head_set *set,
                         const uint32_t *bands, size_t n_bands, float position)
{
    const struct sx_site *site = probes->probe[probe].site;
    float *positions = sx_arena_alloc(probes->arena, site->n * sizeof *positions);
    for (size_t t = 0; t < site->n; t++)
        positions[t] = (float)t;
    positions[site->token] = position;
    for (size_t l = 0; l < set->layers; l++)
        if (set->n[l])
            sx_probe_turn(probes, probe,
                          (struct sx_position_override){
                              .layers = one(probes, l),
                              .heads = {set->list[l], set->n[l]},
                              .bands = {bands ? index_list(probes, bands, n_bands) : NULL, n_bands},
                              .side = SX_SIDE_QUERY,
                              .positions = positions});
}

/* --- running them -------------------------------------------------------------------------------
 */

struct batch {
    struct sx_sequence sequences[SX_REPORT_SEQUENCES];
    struct sx_probe *probe[SX_REPORT_SEQUENCES];
    struct sx_capture captures[SX_REPORT_SEQUENCES];
    size_t n, tokens;
    struct sx_intervention *interventions;
    size_t n_interventions, interventions_room;
    struct sx_position_override *positions;
    size_t n_positions, positions_room;
    uint32_t *layers; /* from … L-1 */
};

static size_t first_layer(const struct sx_study *study, const struct sx_probe *probe)
{
    const struct sx_hooks hooks = {.interventions = probe->interventions,
                                   .n_interventions = probe->n_interventions,
                                   .positions = probe->positions,
                                   .n_positions = probe->n_positions};
    const size_t first = sx_hooks_first_layer(study->info, &hooks);
    const size_t last = (size_t)study->info->n_layers - 1;
    return first < last ? first : last;
}

static void batch_take(struct sx_study *study, struct batch *batch, struct sx_probe *probe,
                       size_t from)
{
    const struct sx_site *site = probe->site;
    const size_t H = (size_t)study->info->n_heads;
    const size_t at = batch->n++;
    static const uint32_t bos = 0;
    batch->probe[at] = probe;
    batch->tokens += site->n;
    batch->sequences[at] = (struct sx_sequence){
        .ids = site->ids,
        .n = site->n,
        .embed_scale = NAN,
        .rows = &site->token,
        .n_rows = 1,
        .from_layer = from,
        .resid = from ? site->resid + from * site->n * (size_t)study->info->d_model : NULL};
    batch->captures[at] =
        (struct sx_capture){.point = SX_POINT_ATTN,
                            .sequence = at,
                            .layers = {batch->layers + from, (size_t)study->info->n_layers - from},
                            .tokens = {&site->token, 1},
                            .keys = {&bos, 1},
                            .out = probe->attention + from * H};
    for (size_t l = 0; l < from; l++)
        for (size_t h = 0; h < H; h++)
            probe->attention[l * H + h] = site->attn[(l * H + h) * site->n];
    for (size_t i = 0; i < probe->n_interventions; i++) {
        SX_GROW(batch->interventions, batch->interventions_room, batch->n_interventions + 1);
        batch->interventions[batch->n_interventions] = probe->interventions[i];
        batch->interventions[batch->n_interventions++].sequence = at;
    }
    for (size_t i = 0; i < probe->n_positions; i++) {
        SX_GROW(batch->positions, batch->positions_room, batch->n_positions + 1);
        batch->positions[batch->n_positions] = probe->positions[i];
        batch->positions[batch->n_positions++].sequence = at;
    }
}

static enum sx_status batch_run(struct sx_study *study, struct batch *batch, struct sx_error *err)
{
    float logits[SX_REPORT_SEQUENCES * SX_ESM_VOCAB];
    const struct sx_pass pass = {.sequences = batch->sequences,
                                 .n_sequences = batch->n,
                                 .hooks = {.captures = batch->captures,
                                           .n_captures = batch->n,
                                           .interventions = batch->interventions,
                                           .n_interventions = batch->n_interventions,
                                           .positions = batch->positions,
                                           .n_positions = batch->n_positions},
                                 .logits = logits};
    SX_TRY(sx_run_pass(study->runner, &pass, study->task, err));
    for (size_t i = 0; i < batch->n; i++)
        sx_reading_of(logits + i * SX_ESM_VOCAB, &batch->probe[i]->reading);
    batch->n = batch->tokens = batch->n_interventions = batch->n_positions = 0;
    return sx_task_step(study->task, study->done, study->total);
}

enum sx_status sx_probes_run(struct sx_study *study, struct sx_probes *probes, struct sx_error *err)
{
    const size_t layers = (size_t)study->info->n_layers;
    struct batch *batch = sx_xcalloc(1, sizeof *batch);
    enum sx_status status = SX_OK;
    batch->layers = sx_arena_alloc(probes->arena, layers * sizeof *batch->layers);
    for (size_t l = 0; l < layers; l++)
        batch->layers[l] = (uint32_t)l;
    for (size_t from = 0; from < layers && status == SX_OK; from++) {
        for (size_t i = 0; i < probes->n && status == SX_OK; i++) {
            struct sx_probe *probe = &probes->probe[i];
            if (first_layer(study, probe) != from)
                continue;
            probe->attention = sx_arena_alloc(probes->arena, layers * (size_t)study->info->n_heads *
                                                                 sizeof *probe->attention);
            if (batch->n == SX_REPORT_SEQUENCES ||
                (batch->n && batch->tokens + probe->site->n > SX_REPORT_TOKENS))
                status = batch_run(study, batch, err);
            if (status == SX_OK)
                batch_take(study, batch, probe, from);
        }
        if (batch->n && status == SX_OK)
            status = batch_run(study, batch, err);
    }
    sx_free(batch->interventions);
    sx_free(batch->positions);
    sx_free(batch);
    return status;
}
