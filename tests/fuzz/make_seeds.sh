#!/bin/bash
# Fill FOLDER/<fuzzer>/ with seeds from the fixtures: make_seeds.sh FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
io=$here/../fixtures/io
out=${1:?folder for the seeds}
for f in safetensors torch npz json_yaml idx h5 fasta swissprot tokenizer model_probe; do mkdir -p "$out/fuzz_$f"; done
cp "$io"/*.safetensors "$out/fuzz_safetensors/"
for f in "$io"/*.safetensors; do
    n=$(od -An -tu8 -N8 "$f" | tr -d ' ')
    tail -c +9 "$f" | head -c "$n" >"$out/fuzz_safetensors/$(basename "$f").header"
done
cp "$io"/*.pt "$out/fuzz_torch/"
for f in "$io"/*.pt; do
    unzip -p "$f" '*/data.pkl' >"$out/fuzz_torch/$(basename "$f").pkl" 2>/dev/null || true
done
find "$out/fuzz_torch" -empty -delete
cp "$io"/*.np[yz] "$out/fuzz_npz/"
for f in "$io"/*.npy; do tail -c +11 "$f" | head -c 118 >"$out/fuzz_npz/$(basename "$f").header"; done
cp "$io"/images.* "$out/fuzz_idx/"
head -c 600 /dev/zero | tr "\0" "\7" >"$out/fuzz_h5/plan"
printf 'j{"a": [1, -2.5e3, null, true, "x\\n\\u00e9"], "b": {}}' >"$out/fuzz_json_yaml/json"
printf 'a: 1\nb:\n  - x\n  - {c: 2.5, d: "q\\n"}\ne: |\n  text\nf: ~\n' >"$out/fuzz_json_yaml/yaml"
printf '>a one\nMKTV\nAA*\n\n>b\r\nGG\r\n;c\n' >"$out/fuzz_fasta/plain"
gzip -c "$out/fuzz_fasta/plain" >"$out/fuzz_fasta/packed"
sequence='SQ   SEQUENCE   6 AA;  700 MW;  0 CRC64;\n     MKTVAA\n//\n'
printf "ID   A_B  Reviewed; 6 AA.\nAC   P1; Q2;\nDE   Flags: Fragment;\nFT   SIGNAL        1      3       Potential.\nFT   CHAIN        <4     >6       X\nFT                                (By similarity).\n$sequence" >"$out/fuzz_swissprot/columns"
printf "ID   A_B  Reviewed; 6 AA.\nFT   INIT_MET        1\nFT                   /note=\"Removed\"\nFT                   /evidence=\"ECO:0000269|PubMed:1\"\nFT   CHAIN           2..?\n$sequence$sequence" >"$out/fuzz_swissprot/ranges"
gzip -c "$out/fuzz_swissprot/columns" >"$out/fuzz_swissprot/packed"
cp "$here/../fixtures/tokenizer/small.tokenizer.json" "$out/fuzz_tokenizer/"
while IFS=$'\t' read -r hex _; do
    printf '%b' "$(sed 's/../\\x&/g' <<<"$hex")" >"$out/fuzz_tokenizer/${hex:0:60}"
done < <(grep -P '^\w{8,}' "$here/../fixtures/tokenizer/pythia.tsv" | head -200)
# fuzz_model_probe: a byte of flags (1 GPT-NeoX, 2 own config, 4 torch, 8 the file itself), bytes that
# spoil tensors, a config of the fuzzer's own sizes.
models=$here/../fixtures/model
sizes='.hidden_size = 8 | .num_attention_heads = 2 | .intermediate_size = 12'
for flags in 0 1 4 5 8 9; do
    printf "\\x0$flags" >"$out/fuzz_model_probe/plain-$flags"
    printf "\\x0$flags\\0\\x21\\0\\x13\\0\\x12\\4\\6" >"$out/fuzz_model_probe/spoilt-$flags"
done
for flags in 2 6; do
    { printf "\\x0$flags"; jq -c "$sizes | .vocab_size = 33" "$models/esm_v5/config.json"; } \
        >"$out/fuzz_model_probe/esm-$flags"
done
for flags in 3 7; do
    { printf "\\x0$flags"; jq -c "$sizes | .vocab_size = 20" "$models/neox_v5/config.json"; } \
        >"$out/fuzz_model_probe/neox-$flags"
done
