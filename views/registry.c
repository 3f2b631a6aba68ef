/* All views, in the order of their keys. */
#include "sextant/views/view.h"

#include <stdarg.h>
#include <string.h>

#include "all_views.h"

static const struct sx_view_ops *const views[] = {
    &sx_view_workspace, &sx_view_features,  &sx_view_seeds,    &sx_view_weights, &sx_view_gallery,
    &sx_view_training,  &sx_view_inspector, &sx_view_jobs,     &sx_view_log,     &sx_view_sequence,
    &sx_view_lens,      &sx_view_attention, &sx_view_contacts, &sx_view_bands,   &sx_view_head,
    &sx_view_circuit,   &sx_view_patching,  &sx_view_nterm,    &sx_view_help,
};

const struct sx_view_ops *sx_view_at(size_t i)
{
    return i < sizeof views / sizeof *views ? views[i] : NULL;
}

const struct sx_view_ops *sx_view_find(const char *name)
{
    const struct sx_view_ops *ops;

    for (size_t i = 0; (ops = sx_view_at(i)) != NULL; i++) {
        if (strcmp(ops->name, name) == 0)
            return ops;
    }
    return NULL;
}

void sx_emit_line(struct sx_emit *emit, const char *fmt, ...)
{
    struct sx_str line = SX_STR_INIT;
    va_list args;

    va_start(args, fmt);
    sx_str_vprintf(&line, fmt, args);
    va_end(args);
    if (!emit->lines)
        emit->lines = sx_value_list();
    sx_value_append(emit->lines, sx_value_string(line.data));
    sx_str_release(&line);
}
