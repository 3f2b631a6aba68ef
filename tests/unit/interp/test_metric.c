#include <criterion/criterion.h>
#include <math.h>

#include "sextant/interp/metric.h"

/* e^x of these: 1, 2, 4, 1; the sum is 8. */
static const float logits[] = {0, 0.6931472F, 1.3862944F, 0};

static double value(enum sx_metric_kind kind, int32_t target, int32_t against, int32_t first,
                    int32_t last)
{
    const struct sx_metric metric = {kind, target, against, first, last};
    cr_assert_eq(sx_metric_check(&metric, 4, NULL), SX_OK);
    return sx_metric_value(&metric, logits, 4);
}

Test(metric, by_hand)
{
    cr_assert_float_eq(value(SX_METRIC_LOGIT, 1, -1, 0, 3), log(2), 1e-6);
    cr_assert_float_eq(value(SX_METRIC_CENTRED, 1, -1, 0, 3), log(2) - log(8) / 4, 1e-6);
    cr_assert_float_eq(value(SX_METRIC_CENTRED, 1, -1, 2, 3), log(2) - log(4) / 2, 1e-6);
    cr_assert_float_eq(value(SX_METRIC_DIFFERENCE, 1, 0, 0, 3), log(2), 1e-6);
    cr_assert_float_eq(value(SX_METRIC_DIFFERENCE, 1, -1, 0, 3), log(2) - log(4), 1e-6);
    cr_assert_float_eq(value(SX_METRIC_DIFFERENCE, 2, -1, 0, 3), log(4) - log(2), 1e-6);
    cr_assert_float_eq(value(SX_METRIC_P, 1, -1, 2, 3), 2.0 / 8, 1e-6);
    cr_assert_float_eq(value(SX_METRIC_P20, 1, -1, 1, 2), 2.0 / 6, 1e-6);
    cr_assert_eq(value(SX_METRIC_RANK, 3, -1, 0, 3), 3);
    cr_assert_float_eq(value(SX_METRIC_ENTROPY, -1, -1, 0, 3), 1.75, 1e-6);
}

static enum sx_status check(struct sx_metric metric)
{
    struct sx_error err = {0};
    const enum sx_status status = sx_metric_check(&metric, 4, &err);
    cr_assert(status == SX_OK || err.message[0]);
    return status;
}

Test(metric, what_cannot_be_measured)
{
    cr_assert_eq(check((struct sx_metric){SX_METRIC_LOGIT, -1, -1, 0, 3}), SX_ERR_USAGE);
    cr_assert_eq(check((struct sx_metric){SX_METRIC_LOGIT, 4, -1, 0, 3}), SX_ERR_USAGE);
    cr_assert_eq(check((struct sx_metric){SX_METRIC_DIFFERENCE, 1, 4, 0, 3}), SX_ERR_USAGE);
    cr_assert_eq(check((struct sx_metric){SX_METRIC_P20, 0, -1, 1, 3}), SX_ERR_USAGE);
    cr_assert_eq(check((struct sx_metric){SX_METRIC_CENTRED, 0, -1, 1, 4}), SX_ERR_USAGE);
    cr_assert_eq(check((struct sx_metric){SX_METRIC_ENTROPY, -1, -1, 0, 3}), SX_OK);
}

Test(metric, names)
{
    enum sx_metric_kind kind;
    cr_assert(sx_metric_find("p20", &kind));
    cr_assert_eq(kind, SX_METRIC_P20);
    cr_assert(!sx_metric_find("P20", &kind));
}
