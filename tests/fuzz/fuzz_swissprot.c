/* Swiss-Prot files, plain and gzip: every entry has a name, a sequence of letters, and features
 * that lie in it. */
#include "fuzz_support.h"
#include "sextant/io/swissprot.h"

static void check_end(const struct sx_feature_end *end, size_t length)
{
    if (end->at > length || (end->mark && !strchr("<>?", end->mark)))
        abort();
}

static void check(const struct sx_swissprot_entry *entry)
{
    if (!entry->name[0] || entry->length == 0 || strlen(entry->sequence) != entry->length)
        abort();
    for (const char *c = entry->sequence; *c; c++)
        if (*c < 'A' || *c > 'Z')
            abort();
    for (size_t i = 0; i < entry->n_features; i++) {
        if (!sx_feature_name(entry->features[i].kind))
            abort();
        check_end(&entry->features[i].from, entry->length);
        check_end(&entry->features[i].to, entry->length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sx_swissprot *file = NULL;
    struct sx_error err;
    bool more = true;
    if (sx_swissprot_open_memory("f.dat", data, size, &file, &err) != SX_OK)
        return 0;
    for (size_t total = 0; more && total < 1 << 24;) { /* gzip swells a thousandfold */
        struct sx_swissprot_entry entry;
        if (sx_swissprot_next(file, &entry, &more, &err) != SX_OK || !more)
            break;
        check(&entry);
        total += entry.length + 1;
    }
    sx_swissprot_close(file);
    return 0;
}
