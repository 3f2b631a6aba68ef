/* What a bug report needs, and a short self test of the parts that depend on the machine. */
#include "app.h"

#include <errno.h>
#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sextant/base/alloc.h"
#include "sextant/base/hash.h"
#include "sextant/base/log.h"
#include "sextant/base/rng.h"
#include "sextant/core/blas.h"
#include "sextant/io/h5.h"
#include "sextant/io/json.h"
#include "sextant/io/yaml.h"
#include "sextant/tui/theme.h"

static void set_string(struct sx_value *map, const char *key, const char *s)
{
    sx_value_set(map, key, sx_value_string(s));
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

/* --- what there is -----------------------------------------------------------------------------
 */

static void describe_build(struct sx_value *document)
{
    struct sx_str build = SX_STR_INIT;
    struct utsname system;

    set_string(document, "version", SX_VERSION);
#ifdef __clang__
    sx_str_append(&build, "clang " __clang_version__);
#else
    sx_str_append(&build, "gcc " __VERSION__);
#endif
#ifdef __OPTIMIZE__
    sx_str_append(&build, ", optimised");
#else
    sx_str_append(&build, ", not optimised");
#endif
#ifdef __SANITIZE_ADDRESS__
    sx_str_append(&build, ", address sanitizer");
#endif
    set_string(document, "build", build.data);
    sx_str_release(&build);
    if (uname(&system) == 0) {
        char *text = sx_xasprintf("%s %s %s", system.sysname, system.release, system.machine);
        set_string(document, "system", text);
        sx_free(text);
    }
}

static void describe_arithmetic(struct sx_value *document)
{
    struct sx_value *sets = sx_value_set(document, "instruction_sets", sx_value_list());
    struct sx_blas_info info;

    sx_blas_describe(&info);
    set_string(document, "blas", info.library);
    set_string(document, "blas_core", info.core);
    sx_value_set(document, "blas_threads", sx_value_int(info.threads));
    sx_value_set(document, "processors", sx_value_int(sysconf(_SC_NPROCESSORS_ONLN)));
    sx_value_set(document, "memory_bytes",
                 sx_value_int((int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE)));
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx512f"))
        sx_value_append(sets, sx_value_string("avx512f"));
    if (__builtin_cpu_supports("avx2"))
        sx_value_append(sets, sx_value_string("avx2"));
    if (__builtin_cpu_supports("fma"))
        sx_value_append(sets, sx_value_string("fma"));
    sx_value_append(sets, sx_value_string("sse2"));
#else
    sx_value_append(sets, sx_value_string("baseline"));
#endif
    set_string(document, "hdf5", sx_h5_version());
}

static void describe_terminal(struct sx_value *document, const struct sx_config *config)
{
    static const char *const depths[] = {[SX_DEPTH_MONO] = "none",
                                         [SX_DEPTH_16] = "16",
                                         [SX_DEPTH_256] = "256",
                                         [SX_DEPTH_TRUE] = "truecolor"};
    struct sx_value *terminal = sx_value_set(document, "terminal", sx_value_map());
    enum sx_depth depth = SX_DEPTH_MONO;
    struct winsize size = {0};
    const bool tty = isatty(STDOUT_FILENO);
    struct sx_error err;

    set_string(terminal, "term", environment("TERM"));
    set_string(terminal, "colorterm", environment("COLORTERM"));
    set_string(terminal, "no_color", environment("NO_COLOR"));
    sx_value_set(terminal, "is_terminal", sx_value_bool(tty));
    if (tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        sx_value_set(terminal, "columns", sx_value_int(size.ws_col));
        sx_value_set(terminal, "rows", sx_value_int(size.ws_row));
    }
    if (sx_depth_choose(strcmp(config->color, "none") == 0 ? "never" : config->color,
                        getenv("NO_COLOR"), getenv("TERM"), getenv("COLORTERM"), true, &depth,
                        &err) == SX_OK)
        set_string(terminal, "colors", depths[depth]);
    set_string(terminal, "tmux", *environment("TMUX") ? "yes" : "no");
    set_string(document, "charset", nl_langinfo(CODESET));
    set_string(document, "configuration", config->path);
    sx_value_set(document, "configuration_exists", sx_value_bool(config->exists));
}

/* --- checks ------------------------------------------------------------------------------------
 */

static void add_check(struct sx_value *checks, const char *name, bool ok, const char *fmt, ...)
    SX_PRINTF(4, 5);

static void add_check(struct sx_value *checks, const char *name, bool ok, const char *fmt, ...)
{
    struct sx_value *check = sx_value_append(checks, sx_value_map());
    struct sx_str text = SX_STR_INIT;
    va_list args;

    va_start(args, fmt);
    sx_str_vprintf(&text, fmt, args);
    va_end(args);
    set_string(check, "name", name);
    sx_value_set(check, "ok", sx_value_bool(ok));
    set_string(check, "value", text.data);
    sx_str_release(&text);
}

static void fill_normal(float *x, size_t n, uint64_t stream)
{
    struct sx_rng rng = sx_rng_make(7, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)sx_rng_normal(&rng);
}

/* The product against three loops in double precision: a BLAS built for another processor, or
 * miscompiled, shows here. */
static void check_product(struct sx_value *checks)
{
    enum { M = 67, N = 131, K = 259 }; /* no multiples of any block size */
    float *a = sx_xmalloc(sizeof(float) * M * K);
    float *b = sx_xmalloc(sizeof(float) * K * N);
    float *c = sx_xmalloc(sizeof(float) * M * N);
    double worst = 0;

    fill_normal(a, (size_t)M * K, 1);
    fill_normal(b, (size_t)K * N, 2);
    sx_gemm(false, false, M, N, K, 1, a, K, b, N, 0, c, N);
    for (size_t i = 0; i < M; i++) {
        for (size_t j = 0; j < N; j++) {
            double sum = 0;
            double size = 0;
            for (size_t k = 0; k < K; k++) {
                const double term = (double)a[i * K + k] * (double)b[k * N + j];
                sum += term;
                size += fabs(term);
            }
            worst = fmax(worst, fabs((double)c[i * N + j] - sum) / size);
        }
    }
    /* Rounding in float32: K units in the last place of the sum of magnitudes at the very most. */
    add_check(checks, "matrix product against plain loops", worst < K * 6e-8,
              "largest relative difference %.1e", worst);
    sx_free(a);
    sx_free(b);
    sx_free(c);
}

static void measure_product(struct sx_value *document)
{
    enum { SIDE = 1024, REPEATS = 3 };
    float *a = sx_xmalloc(sizeof(float) * SIDE * SIDE);
    float *b = sx_xmalloc(sizeof(float) * SIDE * SIDE);
    float *c = sx_xmalloc(sizeof(float) * SIDE * SIDE);
    double best = INFINITY;

    fill_normal(a, (size_t)SIDE * SIDE, 3);
    fill_normal(b, (size_t)SIDE * SIDE, 4);
    for (int i = 0; i < REPEATS; i++) {
        const double start = sx_clock();
        sx_gemm(false, false, SIDE, SIDE, SIDE, 1, a, SIDE, b, SIDE, 0, c, SIDE);
        best = fmin(best, sx_clock() - start);
    }
    sx_value_set(document, "gemm_gflops", sx_value_real(2.0 * SIDE * SIDE * SIDE / best * 1e-9));
    sx_free(a);
    sx_free(b);
    sx_free(c);
}

/* Known answers of Philox4x32-10 from the paper's test vectors (Salmon et al. 2011). */
static void check_random(struct sx_value *checks)
{
    const uint32_t counter[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
    const uint32_t key[2] = {0xa4093822, 0x299f31d0};
    const uint32_t want[4] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
    uint32_t found[4];

    sx_philox(counter, key, found);
    add_check(checks, "random numbers against known answers", memcmp(found, want, sizeof want) == 0,
              "%08x %08x %08x %08x", found[0], found[1], found[2], found[3]);
}

static enum sx_status h5_round_trip(const char *path, double *worst, struct sx_error *err)
{
    enum { N = 1000 };
    const uint64_t shape[1] = {N};
    float out[N];
    float in[N];
    struct sx_h5 *h5 = NULL;
    enum sx_status status;

    fill_normal(out, N, 5);
    SX_TRY(sx_h5_create(path, &h5, err));
    status = sx_h5_write(h5, "/x", SX_DTYPE_F32, 1, shape, out, 4, err);
    if (status != SX_OK) {
        sx_h5_close(h5);
        return status;
    }
    SX_TRY(sx_h5_commit(h5, err));
    SX_TRY(sx_h5_open(path, &h5, err));
    status = sx_h5_read(h5, "/x", SX_DTYPE_F32, N, in, err);
    sx_h5_close(h5);
    *worst = 0;
    for (size_t i = 0; status == SX_OK && i < N; i++)
        *worst = fmax(*worst, fabs((double)(in[i] - out[i])));
    return status;
}

static void check_h5(struct sx_value *checks)
{
    const char *tmp = *environment("TMPDIR") ? environment("TMPDIR") : "/tmp";
    char *dir = sx_xasprintf("%s/sextant-doctor.XXXXXX", tmp);
    struct sx_error err = {0};
    double worst = 0;

    if (!mkdtemp(dir)) {
        add_check(checks, "HDF5 file written and read", false, "%s: %s", dir, strerror(errno));
    } else {
        char *path = sx_xasprintf("%s/x.h5", dir);
        const enum sx_status status = h5_round_trip(path, &worst, &err);
        if (status == SX_OK)
            add_check(checks, "HDF5 file written and read", worst == 0, "difference %g", worst);
        else
            add_check(checks, "HDF5 file written and read", false, "%s", err.message);
        unlink(path);
        rmdir(dir);
        sx_free(path);
    }
    sx_free(dir);
}

static void check_texts(struct sx_value *checks)
{
    static const char text[] = "{\"lambda\":1e-5,\"name\":\"η\",\"seeds\":[0,1,2]}";
    struct sx_value *json = NULL;
    struct sx_value *yaml = NULL;
    struct sx_str a = SX_STR_INIT;
    struct sx_str b = SX_STR_INIT;
    struct sx_error err = {0};
    bool ok = sx_json_parse("doctor", text, strlen(text), &json, &err) == SX_OK;

    if (ok) {
        sx_yaml_write(json, &a);
        ok = sx_yaml_parse("doctor", a.data, a.len, &yaml, &err) == SX_OK;
    }
    sx_str_clear(&a);
    if (ok) {
        sx_json_write(json, 0, &a);
        sx_json_write(yaml, 0, &b);
        ok = strcmp(a.data, b.data) == 0;
    }
    add_check(checks, "JSON and YAML there and back", ok, "%s", ok ? a.data : err.message);
    sx_value_free(json);
    sx_value_free(yaml);
    sx_str_release(&a);
    sx_str_release(&b);
}

struct sx_value *sx_app_doctor(const struct sx_config *config)
{
    struct sx_value *document = sx_document_new();
    struct sx_value *checks;
    const double start = sx_clock();
    struct sx_error err;
    bool ok = true;

    describe_build(document);
    describe_arithmetic(document);
    describe_terminal(document, config);
    measure_product(document);
    checks = sx_value_set(document, "checks", sx_value_list());
    check_product(checks);
    check_random(checks);
    check_h5(checks);
    check_texts(checks);
    if (sx_config_check(config, &err) == SX_OK)
        add_check(checks, "configuration, themes, layouts", true, "ok");
    else
        add_check(checks, "configuration, themes, layouts", false, "%s", err.message);
    for (size_t i = 0; i < sx_value_count(checks); i++)
        ok = ok && sx_value_bool_or(sx_value_get(sx_value_item(checks, i), "ok"), false);
    sx_value_set(document, "seconds", sx_value_real(sx_clock() - start));
    sx_value_set(document, "ok", sx_value_bool(ok));
    return document;
}

/* --- for people --------------------------------------------------------------------------------
 */

static void print_scalar(const char *label, const struct sx_value *v, struct sx_str *out)
{
    sx_str_printf(out, "%-16s ", label);
    if (sx_value_kind(v) == SX_VALUE_INT || sx_value_kind(v) == SX_VALUE_REAL)
        sx_str_printf(out, "%.6g\n", sx_value_real_or(v, 0));
    else if (sx_value_kind(v) == SX_VALUE_BOOL)
        sx_str_printf(out, "%s\n", sx_value_bool_or(v, false) ? "yes" : "no");
    else
        sx_str_printf(out, "%s\n", *sx_value_string_or(v, "") ? sx_value_string_or(v, "") : "–");
}

void sx_app_doctor_print(const struct sx_value *document, struct sx_str *out)
{
    const struct sx_value *checks = sx_value_get(document, "checks");

    for (size_t i = 0; i < sx_value_count(document); i++) {
        const struct sx_value *v = sx_value_item(document, i);
        const char *key = sx_value_key(document, i);
        if (strcmp(key, "schema") == 0 || strcmp(key, "ok") == 0 || v == checks)
            continue;
        if (sx_value_kind(v) == SX_VALUE_MAP) {
            for (size_t k = 0; k < sx_value_count(v); k++)
                print_scalar(sx_value_key(v, k), sx_value_item(v, k), out);
        } else if (sx_value_kind(v) == SX_VALUE_LIST) {
            sx_str_printf(out, "%-16s", key);
            for (size_t k = 0; k < sx_value_count(v); k++)
                sx_str_printf(out, " %s", sx_value_string_or(sx_value_item(v, k), ""));
            sx_str_append_char(out, '\n');
        } else {
            print_scalar(key, v, out);
        }
    }
    sx_str_append_char(out, '\n');
    for (size_t i = 0; i < sx_value_count(checks); i++) {
        const struct sx_value *check = sx_value_item(checks, i);
        sx_str_printf(out, "%-6s %s: %s\n",
                      sx_value_bool_or(sx_value_get(check, "ok"), false) ? "ok" : "FAILED",
                      sx_value_string_or(sx_value_get(check, "name"), ""),
                      sx_value_string_or(sx_value_get(check, "value"), ""));
    }
}
