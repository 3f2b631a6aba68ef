/* FASTA files, plain and gzip: every record is a name and a text without control characters. */
#include "fuzz_support.h"
#include "sextant/io/fasta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sx_fasta *fasta = NULL;
    struct sx_error err;
    bool more = true;
    if (sx_fasta_open_memory("f.fa", data, size, &fasta, &err) != SX_OK)
        return 0;
    for (size_t total = 0; more && total < 1 << 24;) { /* gzip swells a thousandfold */
        struct sx_fasta_record record;
        if (sx_fasta_next(fasta, &record, &more, &err) != SX_OK || !more)
            break;
        if (!record.name[0] || strlen(record.sequence) != record.length)
            abort();
        for (const char *c = record.sequence; *c; c++)
            if ((unsigned char)*c <= ' ' || *c == 0x7f)
                abort();
        total += record.length + 1;
    }
    sx_fasta_close(fasta);
    return 0;
}
