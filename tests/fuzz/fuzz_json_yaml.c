/* JSON (an input that begins with 'j') and YAML (any other): what is read is written, read again
 * and written again, and both texts are the same. */
#include "fuzz_support.h"
#include "sextant/io/json.h"
#include "sextant/io/yaml.h"

typedef enum sx_status parse_fn(const char *label, const char *text, size_t len,
                                struct sx_value **out, struct sx_error *err);

static void write_json(const struct sx_value *v, struct sx_str *out)
{
    sx_json_write(v, 2, out);
}

static void round_trip(parse_fn *parse, void (*write)(const struct sx_value *, struct sx_str *),
                       const char *text, size_t len)
{
    struct sx_value *v = NULL;
    struct sx_value *again = NULL;
    struct sx_str first = SX_STR_INIT;
    struct sx_str second = SX_STR_INIT;
    struct sx_error err;
    if (parse("f", text, len, &v, &err) != SX_OK)
        return;
    write(v, &first);
    if (parse("f", first.data, first.len, &again, &err) != SX_OK)
        abort();
    write(again, &second);
    if (strcmp(first.data, second.data) != 0)
        abort();
    sx_value_free(v);
    sx_value_free(again);
    sx_str_release(&first);
    sx_str_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'j')
        round_trip(sx_json_parse, write_json, (const char *)data + 1, size - 1);
    else
        round_trip(sx_yaml_parse, sx_yaml_write, (const char *)data, size);
    return 0;
}
