#include "sextant/base/value.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(value, map_keeps_order_and_replaces)
{
    struct sx_value *m = sx_value_map();
    sx_value_set(m, "b", sx_value_int(1));
    sx_value_set(m, "a", sx_value_int(2));
    sx_value_set(m, "b", sx_value_int(3));
    cr_assert_eq(sx_value_count(m), 2);
    cr_expect_str_eq(sx_value_key(m, 0), "b");
    cr_expect_eq(sx_value_int_or(sx_value_item(m, 0), -1), 3);
    cr_expect_null(sx_value_get(m, "c"));
    sx_value_free(m);
}

/* Past 16 entries lookups go through a hash: both ways must agree. */
Test(value, large_maps_find_every_key)
{
    struct sx_value *m = sx_value_map();
    char key[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        sx_value_set(m, key, sx_value_int(i));
    }
    sx_value_set(m, "k500", sx_value_int(-500));
    cr_expect_eq(sx_value_count(m), 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        cr_assert_eq(sx_value_int_or(sx_value_get(m, key), -1), i == 500 ? -500 : i);
    }
    sx_value_free(m);
}

Test(value, paths_and_conversions)
{
    struct sx_value *m = sx_value_map();
    struct sx_value *inner = sx_value_set(m, "trainer", sx_value_map());
    sx_value_set(inner, "k", sx_value_real(40.0));
    sx_value_set(inner, "lr", sx_value_real(1e-3));
    cr_expect_eq(sx_value_int_or(sx_value_at(m, "trainer.k"), -1), 40);
    cr_expect_eq(sx_value_int_or(sx_value_at(m, "trainer.lr"), -1), -1);
    cr_expect_null(sx_value_at(m, "trainer.none.x"));
    cr_expect_null(sx_value_at(m, ""));
    cr_expect_eq(sx_value_real_or(NULL, 2.5), 2.5);
    cr_expect_str_eq(sx_value_string_or(sx_value_at(m, "trainer"), "-"), "-");
    sx_value_free(m);
}

Test(value, dup_is_deep_and_keeps_lines)
{
    struct sx_value *list = sx_value_list();
    sx_value_set_line(list, 7);
    sx_value_append(list, sx_value_string_len("a\0b", 3));
    struct sx_value *copy = sx_value_dup(list);
    sx_value_free(list);
    cr_expect_eq(sx_value_line(copy), 7);
    cr_expect_eq(sx_value_string_size(sx_value_item(copy, 0)), 3);
    sx_value_free(copy);
}
