#include "print_terms.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/base/alloc.h"

static bool number_at(const struct sx_value *map, const char *key)
{
    return sx_value_kind(sx_value_get(map, key)) == SX_VALUE_INT;
}

void sx_print_component(const struct sx_value *map, struct sx_str *out)
{
    char name[32];
    const char *kind = sx_value_string_or(sx_value_get(map, "component"), "");
    const long long layer = (long long)sx_value_int_or(sx_value_get(map, "layer"), 0);
    if (number_at(map, "head"))
        snprintf(name, sizeof name, "L%lld.H%lld", layer,
                 (long long)sx_value_int_or(sx_value_get(map, "head"), 0));
    else if (number_at(map, "layer"))
        snprintf(name, sizeof name, "L%lld %s", layer, strcmp(kind, "mlp") == 0 ? "MLP" : "bias");
    else
        snprintf(name, sizeof name, "%s", kind);
    sx_str_printf(out, "%-10s", name);
}

struct ranked {
    double size;
    size_t at;
};

static int by_size(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

struct sx_value *sx_rows_by_size(const struct sx_value *rows, const char *key)
{
    const size_t n = sx_value_count(rows);
    struct ranked *order = sx_xcalloc(n + 1, sizeof *order);
    struct sx_value *out = sx_value_list();
    for (size_t i = 0; i < n; i++)
        order[i] = (struct ranked){
            fabs(sx_value_real_or(sx_value_get(sx_value_item(rows, i), key), 0)), i};
    qsort(order, n, sizeof *order, by_size);
    for (size_t i = 0; i < n; i++)
        sx_value_append(out, sx_value_dup(sx_value_item(rows, order[i].at)));
    sx_free(order);
    return out;
}
