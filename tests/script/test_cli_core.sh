#!/usr/bin/env bash
# sextant core: reconstruction from parts of the dictionary; idx images as input.
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/tests/fixtures/sae" || fail 'no fixtures'
images=$SX_SOURCE/examples/mnist/mnist10k-images-idx3-ubyte.gz

run_ok core mnist_u_784 --input "$images" --rows 40 --latents 1 --json
assert_eq 1 "$(json "$out" .schema)"
assert_eq 40 "$(json "$out" .rows)"
assert_eq 1 "$(json "$out" '.top | length')"
for part in all top random without_top; do
    assert_eq number "$(json "$out" ".mse.$part.median | type")"
done
# The core and what is left without it add up to nothing else than all of it.
run_ok core mnist_u_784 --input "$images" --rows 40 --latents 100000 --json
assert_eq "$(json "$out" .mse.all.mean)" "$(json "$out" .mse.top.mean)" 'a core of all latents'
run_ok core mnist_u_784 --input "$images" --rows 40
assert_contains "$out" without_top
run_ok encode mnist_u_784 --input "$images" --out "$TMP/f.npz" --json
assert_eq 10000 "$(json "$out" .n)" 'idx images are rows'

run_fail 1 core dl_topk --input "$images"
assert_contains "$err" expected
run_fail 1 core lens_topk_layer_norm --input "$images"
assert_contains "$err" normalised
run_fail 2 core mnist_u_784
