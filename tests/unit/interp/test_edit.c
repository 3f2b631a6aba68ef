#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sextant/interp/edit.h"

/* <cls> A R N D C <eos>, residue 1 masked. */
static const int32_t ids[] = {0, 5, 10, 17, 13, 23, 2};
enum { N = 7, MASK = 32 };

static struct sx_edit masked(size_t residue)
{
    struct sx_edit edit;
    cr_assert_eq(sx_edit_mask(ids, N, residue, &edit, NULL), SX_OK);
    return edit;
}

static void check(const struct sx_edit *edit, const int32_t *expected, size_t n, size_t token)
{
    cr_assert_eq(edit->n, n);
    cr_assert_eq(edit->token, token);
    cr_assert_eq(edit->ids[token], MASK);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(edit->ids[i], expected[i], "token %zu is %d, not %d", i, edit->ids[i],
                     expected[i]);
}

#define CHECK_IDS(edit, token, ...)                                                                \
    do {                                                                                           \
        const int32_t expected_[] = {__VA_ARGS__};                                                 \
        check(&(edit), expected_, sizeof expected_ / sizeof *expected_, token);                    \
    } while (0)

Test(edit, masks)
{
    struct sx_edit edit = masked(2), copy = sx_edit_copy(&edit);
    struct sx_error err = {0};
    CHECK_IDS(edit, 2, 0, 5, 32, 17, 13, 23, 2);
    CHECK_IDS(copy, 2, 0, 5, 32, 17, 13, 23, 2);
    cr_assert_neq(copy.ids, edit.ids);
    sx_edit_release(&copy);
    sx_edit_release(&edit);
    cr_assert_eq(sx_edit_mask(ids, N, 0, &edit, &err), SX_ERR_USAGE);
    cr_assert_eq(sx_edit_mask(ids, N, 6, &edit, &err), SX_ERR_USAGE);
    cr_assert_eq(sx_edit_mask(ids, N - 1, 1, &edit, &err), SX_ERR_USAGE);
    cr_assert_eq(sx_edit_mask(ids + 1, N - 1, 1, &edit, &err), SX_ERR_USAGE);
}

Test(edit, lengths)
{
    struct sx_edit edit = masked(1);
    sx_edit_prepend(&edit, (const int32_t[]){5, 24}, 2);
    CHECK_IDS(edit, 3, 0, 5, 24, 32, 10, 17, 13, 23, 2);
    cr_assert_eq(sx_edit_delete_first(&edit, 3, NULL), SX_ERR_USAGE);
    cr_assert_eq(sx_edit_delete_first(&edit, 1, NULL), SX_OK);
    CHECK_IDS(edit, 2, 0, 24, 32, 10, 17, 13, 23, 2);
    cr_assert_eq(sx_edit_truncate(&edit, 1, NULL), SX_ERR_USAGE);
    cr_assert_eq(sx_edit_truncate(&edit, 4, NULL), SX_OK);
    CHECK_IDS(edit, 2, 0, 24, 32, 10, 17, 2);
    cr_assert_eq(sx_edit_truncate(&edit, 9, NULL), SX_OK);
    sx_edit_alone(&edit);
    CHECK_IDS(edit, 1, 0, 32, 2);
    sx_edit_release(&edit);
}

static int ascending(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

Test(edit, contexts)
{
    struct sx_edit edit = masked(3), other = masked(3);
    sx_edit_shuffle(&edit, 4);
    sx_edit_shuffle(&other, 4);
    cr_assert_eq(memcmp(edit.ids, other.ids, N * sizeof *edit.ids), 0);
    cr_assert(edit.ids[0] == 0 && edit.ids[3] == MASK && edit.ids[6] == 2);
    int32_t residues[] = {edit.ids[1], edit.ids[2], edit.ids[4], edit.ids[5]};
    qsort(residues, 4, sizeof *residues, ascending);
    cr_assert(residues[0] == 5 && residues[1] == 10 && residues[2] == 13 && residues[3] == 23);
    sx_edit_all_x(&edit);
    CHECK_IDS(edit, 3, 0, 24, 24, 32, 24, 24, 2);
    sx_edit_more_masks(&edit, 0.5, 1);
    int masks = 0;
    for (size_t i = 0; i < N; i++)
        masks += edit.ids[i] == MASK;
    cr_assert_eq(masks, 3);
    sx_edit_more_masks(&edit, 1, 1);
    CHECK_IDS(edit, 3, 0, 32, 32, 32, 32, 32, 2);
    sx_edit_release(&edit);
    sx_edit_release(&other);
}

Test(edit, beginnings)
{
    struct sx_edit edit = masked(1), kept = masked(1);
    sx_edit_replace_bos(&edit, 3);
    CHECK_IDS(edit, 1, 3, 32, 10, 17, 13, 23, 2);
    sx_edit_remove_bos(&edit, false);
    CHECK_IDS(edit, 0, 32, 10, 17, 13, 23, 2);
    cr_assert_null(edit.positions);
    sx_edit_remove_bos(&kept, true);
    CHECK_IDS(kept, 0, 32, 10, 17, 13, 23, 2);
    for (size_t t = 0; t < kept.n; t++)
        cr_assert_eq(kept.positions[t], (float)(t + 1));
    sx_edit_release(&edit);
    sx_edit_release(&kept);
}

Test(edit, positions)
{
    struct sx_edit edit = masked(2);
    float query[N];
    sx_edit_gap(&edit, 3);
    cr_assert(edit.positions[0] == 0 && edit.positions[1] == 4 && edit.positions[6] == 9);
    sx_edit_shift(&edit, 0.5);
    cr_assert(edit.positions[0] == 0.5F && edit.positions[6] == 9.5F);
    sx_edit_query_positions(&edit, 17, query);
    for (size_t t = 0; t < N; t++)
        cr_assert_eq(query[t], t == 2 ? 17 : edit.positions[t]);
    sx_edit_release(&edit);
}
