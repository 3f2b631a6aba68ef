/* Names and shapes of what grids change. */
#include <string.h>

#include "sextant/interp/names.h"
#include "sextant/interp/scan.h"

const char *sx_site_name(enum sx_site site)
{
    static const char *const names[SX_SITE_COUNT] = {"resid",     "head",    "qkv",     "band",
                                                     "block",     "attn",    "mlp",     "edge",
                                                     "bos-value", "bos-key", "bos-edge"};
    return (size_t)site < SX_SITE_COUNT ? names[site] : NULL;
}

bool sx_site_find(const char *name, enum sx_site *site)
{
    for (int i = 0; i < SX_SITE_COUNT; i++)
        if (strcmp(name, sx_site_name((enum sx_site)i)) == 0) {
            *site = (enum sx_site)i;
            return true;
        }
    return false;
}

const char *sx_how_name(enum sx_how how)
{
    static const char *const names[SX_HOW_COUNT] = {"patch", "zero", "mean", "resample",
                                                    "knockout"};
    return (size_t)how < SX_HOW_COUNT ? names[how] : NULL;
}

bool sx_how_find(const char *name, enum sx_how *how)
{
    for (int i = 0; i < SX_HOW_COUNT; i++)
        if (strcmp(name, sx_how_name((enum sx_how)i)) == 0) {
            *how = (enum sx_how)i;
            return true;
        }
    return false;
}

const char *sx_band_part_name(enum sx_band_part part)
{
    static const char *const names[SX_PART_COUNT] = {"full", "norm", "direction", "rotation"};
    return (size_t)part < SX_PART_COUNT ? names[part] : NULL;
}

bool sx_band_part_find(const char *name, enum sx_band_part *part)
{
    for (int i = 0; i < SX_PART_COUNT; i++)
        if (strcmp(name, sx_band_part_name((enum sx_band_part)i)) == 0) {
            *part = (enum sx_band_part)i;
            return true;
        }
    return false;
}

bool sx_grid_find(const char *name, enum sx_grid *grid)
{
    for (int i = 0; i < SX_GRID_COUNT; i++)
        if (strcmp(name, sx_grid_name((enum sx_grid)i)) == 0) {
            *grid = (enum sx_grid)i;
            return true;
        }
    return false;
}

enum sx_site sx_grid_site(enum sx_grid grid)
{
    static const enum sx_site sites[SX_GRID_COUNT] = {[SX_GRID_LAYER_TOKEN] = SX_SITE_RESID,
                                                      [SX_GRID_LAYER_HEAD] = SX_SITE_HEAD,
                                                      [SX_GRID_QKV] = SX_SITE_QKV,
                                                      [SX_GRID_LAYER_BAND] = SX_SITE_BAND,
                                                      [SX_GRID_LAYER_BLOCK] = SX_SITE_BLOCK};
    SX_ASSERT((size_t)grid < SX_GRID_COUNT);
    return sites[grid];
}

void sx_site_shape(const struct sx_model_info *info, enum sx_site site, size_t n_tokens,
                   size_t *rows, size_t *columns)
{
    *rows = (size_t)info->n_layers + (site == SX_SITE_RESID);
    switch (site) {
    case SX_SITE_RESID:
    case SX_SITE_EDGE:
        *columns = n_tokens;
        return;
    case SX_SITE_QKV:
        *columns = 3 * (size_t)info->n_heads;
        return;
    case SX_SITE_BAND:
        *columns = (size_t)info->n_bands;
        return;
    case SX_SITE_BLOCK:
        *columns = 2;
        return;
    case SX_SITE_ATTN:
    case SX_SITE_MLP:
        *columns = 1;
        return;
    case SX_SITE_HEAD:
    case SX_SITE_BOS_VALUE:
    case SX_SITE_BOS_KEY:
    case SX_SITE_BOS_EDGE:
    case SX_SITE_COUNT:
        break;
    }
    *columns = (size_t)info->n_heads;
}
