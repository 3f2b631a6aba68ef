#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/log.h"
#include "sextant/run/search.h"

static const struct sx_filter_row good = {
    .latent = 417,
    .align = 0.96,
    .enc_norm = 1.2,
    .dec_norm = 1.0,
    .sim = 0.94,
    .sim_enc = 0.91,
    .margin = 0.3,
    .partners = 2,
    .category = 0,
    .alive = true,
};

static const struct sx_filter_row unmatched = {
    .latent = 3,
    .align = -0.1,
    .enc_norm = 0,
    .dec_norm = 1,
    .sim = NAN,
    .sim_enc = NAN,
    .margin = NAN,
    .partners = -1,
    .category = -1,
    .dead = true,
    .marked = true,
};

static bool holds(const char *text, const struct sx_filter_row *row)
{
    struct sx_filter *filter = NULL;
    struct sx_error err = {0};
    cr_assert_eq(sx_filter_new(text, &filter, &err), SX_OK, "%s: %s", text, err.message);
    bool result = sx_filter_holds(filter, row);
    sx_filter_free(filter);
    return result;
}

Test(filter, words_and_numbers)
{
    cr_assert(holds("", &good));
    cr_assert(holds("alive", &good));
    cr_assert_not(holds("dead", &good));
    cr_assert(holds("always", &good));
    cr_assert_not(holds("never", &good));
    cr_assert_not(holds("orphan", &good));
    cr_assert(holds("sim>.5", &good));
    cr_assert(holds("sim > 0.94", &(struct sx_filter_row){.sim = 0.940001}));
    cr_assert_not(holds("sim>0.94", &good), "strict");
    cr_assert(holds("sim>=0.94", &good));
    cr_assert(holds("sim≥0.94", &good));
    cr_assert(holds("align = 0.96", &good));
    cr_assert(holds("partners!=3", &good));
    cr_assert(holds("enc-norm>1 dec<=1", &good));
    cr_assert(holds("417", &good));
    cr_assert(holds("400-499", &good));
    cr_assert_not(holds("0-99", &good));
    cr_assert(holds("align>-1e-1 & align<1", &good));
}

Test(filter, logic)
{
    cr_assert(holds("alive & sim>.5 & align>0.3", &good));
    cr_assert_not(holds("alive & sim>.5 & align<0.3", &good));
    cr_assert(holds("dead | alive", &good));
    cr_assert(holds("!dead", &good));
    cr_assert(holds("!!alive", &good));
    cr_assert(holds("dead & alive | always", &good), "and binds closer than or");
    cr_assert_not(holds("dead & (alive | always)", &good));
    cr_assert(holds("(((alive)))", &good));
    cr_assert(holds("alive && sim>.5 || dead", &good));
    cr_assert(holds("ALIVE Sim>.5", &good));
}

Test(filter, unknown_values_never_hold)
{
    cr_assert_not(holds("sim<2", &unmatched));
    cr_assert_not(holds("sim!=2", &unmatched));
    cr_assert_not(holds("partners>=0", &unmatched));
    cr_assert_not(holds("orphan", &unmatched));
    cr_assert_not(holds("always | sometimes | never", &unmatched));
    cr_assert(holds("marked dead align<0", &unmatched));
}

static void expect_error(const char *text, int column, const char *part)
{
    struct sx_filter *filter = NULL;
    struct sx_error err = {0};
    char where[32];
    snprintf(where, sizeof where, "column %d:", column);
    cr_assert_eq(sx_filter_new(text, &filter, &err), SX_ERR_USAGE, "accepted: %s", text);
    cr_assert(strstr(err.message, where) && strstr(err.message, part), "'%s' says: %s", text,
              err.message);
}

Test(filter, errors_name_the_place)
{
    expect_error("alive & foo", 9, "'foo' is no word");
    expect_error("sim", 4, "expected <");
    expect_error("sim > x", 7, "expected a number");
    expect_error("sim > nan", 7, "expected a number");
    expect_error("sim > 0x10", 7, "expected a number");
    expect_error("(alive", 1, "not closed");
    expect_error("alive)", 6, "does not belong");
    expect_error("alive &", 8, "expected a word");
    expect_error("5.5", 1, "latent number");
    expect_error("5-x", 3, "latent number");
    expect_error("$", 1, "does not belong");
    expect_error("| alive", 1, "does not belong");
    expect_error("alive \x1b[31m", 7, "'?'");
}

Test(filter, hostile_lengths)
{
    char text[4096];
    struct sx_filter *filter = NULL;
    memset(text, '(', 2000);
    text[2000] = '\0';
    cr_assert_eq(sx_filter_new(text, &filter, NULL), SX_ERR_USAGE);
    memset(text, '!', 2000);
    cr_assert_eq(sx_filter_new(text, &filter, NULL), SX_ERR_USAGE);
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "1 ", 3);
    cr_assert_eq(sx_filter_new(text, &filter, NULL), SX_ERR_USAGE);
}

Test(filter, knows_what_needs_matching)
{
    static const struct {
        const char *text;
        bool needs;
    } cases[] = {{"alive & align>.5", false},
                 {"marked", false},
                 {"sim>.5", true},
                 {"orphan", true},
                 {"never", true},
                 {"dead | margin<.1", true},
                 {"partners=2", true},
                 {"417", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sx_filter *filter = NULL;
        cr_assert_eq(sx_filter_new(cases[i].text, &filter, NULL), SX_OK);
        cr_assert_eq(sx_filter_needs_match(filter), cases[i].needs, "%s", cases[i].text);
        sx_filter_free(filter);
    }
}

static bool finds(const char *pattern, const char *text)
{
    struct sx_search *search = NULL;
    struct sx_error err = {0};
    cr_assert_eq(sx_search_new(pattern, &search, &err), SX_OK, "%s", err.message);
    bool result = sx_search_matches(search, text);
    sx_search_free(search);
    return result;
}

Test(search, patterns)
{
    cr_assert(finds("l2", "T L2 1e-05"));
    cr_assert_not(finds("L2", "T l2 1e-05"), "a capital letter asks for capitals");
    cr_assert(finds("^t .*1e-0[45]$", "T l2 1e-05"));
    cr_assert(finds("", "anything"));
    cr_assert(finds("äh", "nÄher"));
    cr_assert_not(finds("x", "\xff\xfe"));
    struct sx_search *search = NULL;
    struct sx_error err = {0};
    cr_assert_eq(sx_search_new("a(b", &search, &err), SX_ERR_USAGE);
    cr_assert(strstr(err.message, "column 4"), "%s", err.message);
}

Test(search, catastrophic_patterns_end_soon)
{
    const double before = sx_clock();
    cr_assert_not(
        finds("(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
    cr_assert_lt(sx_clock() - before, 0.1);
}
