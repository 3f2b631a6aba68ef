/* C4: does the context compete with what is read from BOS? */
#include <math.h>

#include "report_private.h"
#include "sextant/base/alloc.h"

static void set_terms(struct sx_study *study, const struct sx_site *site,
                      const struct sx_site_terms *terms, const char *where)
{
    const size_t n = (size_t)(study->info->n_layers * study->info->n_heads);
    const struct {
        const char *name;
        double value;
    } parts[] = {{"mlp", terms->mlp}, {"bias", terms->bias}, {"const", terms->constant}};
    double bos = 0;
    double rest = 0;
    for (size_t i = 0; i < n; i++) {
        bos += terms->bos[i];
        rest += terms->rest[i];
    }
    sx_study_set(study, sx_report_text(study, "bos_%s", where), bos);
    sx_study_set(study, sx_report_text(study, "context_%s", where), rest);
    sx_study_set(study, sx_report_text(study, "context_mlp_%s", where), rest + terms->mlp);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sx_study_set(study, sx_report_text(study, "%s_%s", parts[i].name, where), parts[i].value);
    sx_study_set(study, sx_report_text(study, "residual_%s", where),
                 fabs(terms->total - site->reading.centred));
}

/* What the heads bring from tokens other than BOS is taken off, the pattern stays. */
static void take_off_context(struct sx_probes *probes, size_t probe, const struct sx_head_set *set)
{
    const struct sx_site *site = probes->probe[probe].site;
    uint32_t *keys = sx_arena_alloc(probes->arena, site->n * sizeof *keys);
    uint32_t *token = sx_arena_alloc(probes->arena, sizeof *token);
    *token = site->token;
    for (uint32_t t = 1; t < site->n; t++)
        keys[t - 1] = t;
    for (size_t l = 0; l < set->layers; l++) {
        uint32_t *layer = sx_arena_alloc(probes->arena, sizeof *layer);
        *layer = (uint32_t)l;
        if (set->n[l])
            sx_probe_do(probes, probe,
                        (struct sx_intervention){.point = SX_POINT_ATTN,
                                                 .layers = {layer, 1},
                                                 .tokens = {token, 1},
                                                 .heads = {set->list[l], set->n[l]},
                                                 .keys = {keys, site->n - 1},
                                                 .band = -1,
                                                 .action = SX_DO_SCALE});
    }
}

enum sx_status sx_c4_measure(struct sx_study *study, const struct sx_sites *sites,
                             struct sx_error *err)
{
    const size_t L = (size_t)study->info->n_layers;
    const size_t H = (size_t)study->info->n_heads;
    const struct sx_site *inside = &sites->inside;
    struct sx_probes probes = sx_probes_new();
    struct sx_site_terms first = {0};
    struct sx_site_terms within = {0};

    enum sx_status status = sx_site_terms(study, &sites->first, &first, err);
    if (status == SX_OK)
        status = sx_site_terms(study, inside, &within, err);
    take_off_context(&probes, sx_probe_add(&probes, inside), &study->context);
    take_off_context(&probes, sx_probe_add(&probes, inside), &study->control);
    sx_probe_scale_heads(&probes, sx_probe_add(&probes, inside), &study->context, SX_POINT_CTX,
                         inside->token, 0);
    if (status == SX_OK)
        status = sx_probes_run(study, &probes, err);
    if (status == SX_OK) {
        const double clean = inside->reading.centred;
        const double context = probes.probe[0].reading.centred - clean;
        const double control = probes.probe[1].reading.centred - clean;
        set_terms(study, &sites->first, &first, "first");
        set_terms(study, inside, &within, "inside");
        sx_study_set(study, "context_off", context);
        sx_study_set(study, "control_off", control);
        sx_study_set(study, "context_over_control", context - control);
        sx_study_set(study, "context_heads_off", probes.probe[2].reading.centred - clean);
        sx_study_set(study, "p_context_off", probes.probe[0].reading.p);
        for (size_t i = 0; i < L * H; i++) {
            sx_study_add(study, "inside_bos", L, H, i / H, i % H, within.bos[i]);
            sx_study_add(study, "inside_context", L, H, i / H, i % H, within.rest[i]);
        }
    }
    sx_site_terms_release(&first);
    sx_site_terms_release(&within);
    sx_probes_release(&probes);
    return status;
}

void sx_c4_conclude(struct sx_study *study, struct sx_report_claim *claim)
{
    static const char *const where[] = {"inside", "first"};
    static const char *const places[] = {"interior mask", "residue 1 masked"};
    static const struct {
        const char *name, *label;
    } parts[] = {{"bos", "heads, from BOS"},
                 {"context", "heads, from all other tokens"},
                 {"mlp", "MLPs"},
                 {"bias", "biases of attention"},
                 {"const", "head's constant"},
                 {"context_mlp", "context heads and MLPs"},
                 {"residual", "left unexplained"}};
    const struct sx_interval bos = sx_study_mean(study, "bos_inside");
    const struct sx_interval rest = sx_study_mean(study, "context_mlp_inside");
    const struct sx_interval off = sx_study_mean(study, "context_off");
    const struct sx_interval over = sx_study_mean(study, "context_over_control");

    claim->claim = "What is predicted comes of a competition between the reference at BOS and "
                   "the context.";
    claim->method =
        "Direct logit attribution of M's centred logit (exact; sigmas and gates of the head held) "
        "where an interior residue is masked. Then the heads whose context writes most against M "
        "(found on other proteins) lose what they bring from tokens other than BOS; as many "
        "other heads as a control.";
    for (size_t w = 0; w < 2; w++)
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            const char *key = sx_report_text(study, "%s_%s", parts[i].name, where[w]);
            sx_claim_number(claim, key, sx_report_text(study, "%s: %s", places[w], parts[i].label),
                            "logits", sx_study_mean(study, key));
        }
    sx_claim_number(claim, "context_off", "M's logit inside, context heads' context taken off",
                    "logits", off);
    sx_claim_number(claim, "control_off", "M's logit inside, other heads' context taken off",
                    "logits", sx_study_mean(study, "control_off"));
    sx_claim_number(claim, "context_heads_off", "M's logit inside, context heads zero", "logits",
                    sx_study_mean(study, "context_heads_off"));
    sx_claim_number(claim, "p_context_off", "P(M) inside, context heads' context taken off", "",
                    sx_study_mean(study, "p_context_off"));
    sx_claim_number(claim, "context_over_control", "context heads minus control", "logits", over);
    sx_claim_condition(claim, "inside, heads write more than 0.05 logits towards M from BOS", bos,
                       true, 0.05);
    sx_claim_condition(claim,
                       "inside, the context (heads from all other tokens, and MLPs) writes "
                       "more than 0.05 logits against M",
                       rest, false, -0.05);
    sx_claim_condition(
        claim, "M's logit inside rises by more than 0.05 when the context heads' context goes", off,
        true, 0.05);
    sx_claim_condition(claim, "it rises more than with as many other heads", over, true, 0);
    claim->sentence = sx_report_text(
        study,
        "Inside, BOS writes %+.2f and the context with the MLPs %+.2f logits towards M; without "
        "the context of the context heads M's logit changes by %+.2f (control %+.2f).",
        bos.value, rest.value, off.value, sx_study_mean(study, "control_off").value);
    claim->caveat = "Attribution is direct: what an MLP passes on from BOS counts as the MLP's. "
                    "Which sign the sum of the MLPs has depends on that.";
    sx_layer_head_labels(study, sx_claim_grid(study, claim, "inside_bos",
                                              "Interior mask: what heads write towards M from "
                                              "BOS",
                                              "logits"));
    sx_layer_head_labels(study, sx_claim_grid(study, claim, "inside_context",
                                              "Interior mask: what heads write towards M from all "
                                              "other tokens",
                                              "logits"));
}
