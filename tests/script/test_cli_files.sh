#!/usr/bin/env bash
# sextant compare, convert, encode: equal both ways; forms of input and output. (That the numbers are
# those of the writing library is held by the unit tests of sae.)
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/tests/fixtures/sae" || fail 'no fixtures'

# compare: shapes that differ are told, not refused.
run_ok compare dl_topk/ae.pt lens_standard --json
assert_eq false "$(json "$out" .equal)"
assert_eq 1 "$(json "$out" .schema)"
assert_eq array "$(json "$out" '.tensors.W_enc.a_shape | type')"
run_ok compare dl_topk/ae.pt lens_standard --csv
assert_contains "$out" 'tensor,max_abs,a_shape,b_shape'
assert_contains "$out" 'W_enc,'
run_fail 1 compare dl_topk/ae.pt no/such
run_fail 2 compare dl_topk/ae.pt

# convert: the default form comes from the name; a folder needs --to.
run_ok convert lens_gated "$TMP/gated.sae.h5" --json
assert_eq h5 "$(json "$out" .to)"
run_ok compare lens_gated "$TMP/gated.sae.h5" --json
assert_eq true "$(json "$out" .equal)"
run_fail 2 convert lens_gated "$TMP/somewhere"
assert_contains "$err" '--to saelens'
run_fail 1 convert lens_gated "$TMP/sparse" --to sparsify
assert_contains "$err" sparsify
[[ ! -e $TMP/sparse/sae.safetensors ]] || fail 'a refused conversion left weights'

# encode: every architecture takes the inputs it was written with.
for sae in dl_topk dl_gated lens_jumprelu lens_standard_layer_norm sparsify_topk; do
    [[ -d $sae && -e expected/$sae.npz ]] || continue
    run_ok encode "$sae" --input "expected/$sae.npz:x" --dense --out "$TMP/$sae.h5" --json
    assert_eq number "$(json "$out" '.mse | type')"
    run_ok encode "$sae" --input "expected/$sae.npz:x" --out "$TMP/$sae.npz"
done
# Its own output is read again, by name and by path inside the file.
run_ok encode dl_topk --input "$TMP/dl_topk.h5:/recon" --out "$TMP/again.npz" --json
rows=$(json "$out" .n)
run_ok encode dl_topk --input "$TMP/dl_topk.npz:recon" --out "$TMP/again2.npz" --json
assert_eq "$rows" "$(json "$out" .n)"
h5dump -d /acts -H "$TMP/dl_topk.h5" | grep -q "( $rows, 24 )" || fail 'acts is not [N,F]'

run_fail 1 encode dl_topk --input "expected/dl_topk.npz:nothing" --out "$TMP/f.npz"
assert_contains "$err" "no tensor 'nothing'"
run_fail 2 encode dl_topk --input "expected/dl_topk.npz:x" --out "$TMP/f.csv"
run_fail 1 encode dl_topk --input "$TMP/dl_topk.h5:/acts" --out "$TMP/f.npz"
assert_contains "$err" 'expected' 'a wrong width says what was expected'
[[ ! -e $TMP/f.npz ]] || fail 'a failed run left a file'
run_fail 1 encode dl_topk --input "expected/dl_topk.npz:x" --out "$TMP/no/such/f.npz"
