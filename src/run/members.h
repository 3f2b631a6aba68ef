/* The SAEs of a family on their way into a job: paths, and references where they are loaded
 * already. Private to src/run. */
#ifndef SEXTANT_RUN_MEMBERS_H
#define SEXTANT_RUN_MEMBERS_H

#include "sextant/base/task.h"
#include "sextant/run/session.h"
#include "sextant/sae/sae.h"

struct sx_members {
    size_t family;
    uint64_t workspace; /* serial of the workspace that `family` and `entry` are indices of */
    size_t n;
    struct sx_member {
        size_t entry;
        int64_t seed;
        char *path;         /* owned */
        struct sx_sae *sae; /* owned reference, or NULL: not loaded yet */
    } * member;             /* owned [n] */
};

/* UI thread. SX_ERR_USAGE when there is no such family. */
enum sx_status sx_members_take(const struct sx_session *session, size_t family,
                               struct sx_members *members, struct sx_error *err) SX_MUST_CHECK;
/* Any thread: load what is not loaded; all must have the same shape. Steps `task` from `done` on,
 * of `total`. */
enum sx_status sx_members_load(struct sx_members *members, struct sx_task *task, uint64_t done,
                               uint64_t total, struct sx_error *err) SX_MUST_CHECK;
/* UI thread: are the indices still what they were, and the family still the selected one? */
bool sx_members_current(const struct sx_session *session, const struct sx_members *members);
void sx_members_release(struct sx_members *members);

#endif
