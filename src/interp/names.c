#include "sextant/interp/names.h"

#include <stdio.h>

#define NAME(table, index)                                                                         \
    ((size_t)(index) < sizeof(table) / sizeof(table)[0] ? (table)[index] : NULL)

const char *sx_band_term_name(enum sx_band_term term)
{
    static const char *const names[SX_BAND_TERM_COUNT] = {"score-a",    "score-b",  "total",
                                                          "query-norm", "key-norm", "direction",
                                                          "content",    "position", "coupling"};
    return NAME(names, term);
}

const char *sx_component_name(enum sx_component_kind kind)
{
    static const char *const names[] = {"embed", "head", "attn_bias", "mlp", "const"};
    return NAME(names, kind);
}

const char *sx_metric_name(enum sx_metric_kind metric)
{
    static const char *const names[SX_METRIC_COUNT] = {"centred", "logit", "difference", "p",
                                                       "p20",     "rank",  "entropy"};
    return NAME(names, metric);
}

const char *sx_metric_unit(enum sx_metric_kind metric)
{
    static const char *const units[SX_METRIC_COUNT] = {"logits", "logits", "logits", "",
                                                       "",       "",       "bits"};
    return NAME(units, metric);
}

const char *sx_grid_name(enum sx_grid grid)
{
    static const char *const names[SX_GRID_COUNT] = {"layer-token", "layer-head", "qkv",
                                                     "layer-band", "layer-block"};
    return NAME(names, grid);
}

const char *sx_presentation_name(enum sx_presentation p)
{
    static const char *const names[SX_PRESENTATION_COUNT] = {"mature-first", "mature-inserted",
                                                             "precursor-first", "precursor-inside",
                                                             "mature-prepended"};
    return NAME(names, p);
}

const char *sx_nterm_class_name(enum sx_nterm_class kind)
{
    static const char *const names[SX_NTERM_CLASS_COUNT] = {
        "met", "excision", "signal", "transit", "propep", "chain", "fragment", "sequence"};
    return NAME(names, kind);
}

void sx_component_label(const struct sx_component *component, char *buf, size_t size)
{
    switch (component->kind) {
    case SX_COMPONENT_HEAD:
        snprintf(buf, size, "L%u.H%u", component->layer, component->head);
        return;
    case SX_COMPONENT_ATTN_BIAS:
        snprintf(buf, size, "L%u bias", component->layer);
        return;
    case SX_COMPONENT_MLP:
        snprintf(buf, size, "L%u MLP", component->layer);
        return;
    case SX_COMPONENT_EMBED:
    case SX_COMPONENT_CONST:
        snprintf(buf, size, "%s", sx_component_name(component->kind));
        return;
    }
}
