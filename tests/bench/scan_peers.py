"""Patching scans by forward hooks on transformers beside ours, in one run, round by round.

    python tests/bench/scan_peers.py --bench build/release/tests/bench_scan [--rounds 3] [--tokens 128]

ESM2-8M's shape, the same random weights. Every head (its context at every token, 120 cells), one
pass with a hook a cell; with --batch N, N cells are stacked as one batch, each with its own patch.
The layer x token scan is measured on a sample of its cells and scaled. Two threads.
"""
import argparse
import os
import subprocess
import tempfile
import time

import torch
from transformers import EsmConfig, EsmForMaskedLM

LAYERS, HEADS, D = 6, 20, 320


def make_model():
    config = EsmConfig(vocab_size=33, mask_token_id=32, pad_token_id=1, hidden_size=D, num_hidden_layers=LAYERS,
                       num_attention_heads=HEADS, intermediate_size=4 * D, hidden_dropout_prob=0.0,
                       attention_probs_dropout_prob=0.0, max_position_embeddings=1026, token_dropout=True,
                       position_embedding_type="rotary", layer_norm_eps=1e-5, emb_layer_norm_before=False)
    return EsmForMaskedLM(config).eval()


def run_with(model, modules, ids, hook):
    handles = [module.register_forward_pre_hook(hook) for module in modules]
    try:
        return model(ids).logits[:, 1]
    finally:
        for handle in handles:
            handle.remove()


def contexts(model, ids):
    """What each layer's output projection reads: the contexts of all heads."""
    kept = []
    handles = [layer.attention.output.dense.register_forward_pre_hook(lambda m, x: kept.append(x[0].clone()))
               for layer in model.esm.encoder.layer]
    model(ids)
    for handle in handles:
        handle.remove()
    return kept


@torch.no_grad()
def head_scan(model, clean, corrupt, batch):
    kept = contexts(model, clean)
    d = D // HEADS
    for layer in range(LAYERS):
        module = model.esm.encoder.layer[layer].attention.output.dense
        for first in range(0, HEADS, batch):
            heads = range(first, min(first + batch, HEADS))

            def put(_, inputs):
                x = inputs[0].clone()
                for row, head in enumerate(heads):
                    x[row, :, head * d:(head + 1) * d] = kept[layer][0, :, head * d:(head + 1) * d]
                return (x,)

            run_with(model, [module], corrupt.expand(len(heads), -1), put)


@torch.no_grad()
def token_scan(model, clean, corrupt, batch, sample):
    streams = model.esm(clean, output_hidden_states=True).hidden_states
    n = clean.shape[1]
    cells = [(i * LAYERS // sample, i % n) for i in range(sample)]
    for layer in range(LAYERS):
        module = model.esm.encoder.layer[layer]
        own = [token for at, token in cells if at == layer]
        for first in range(0, len(own), batch):
            tokens = own[first:first + batch]

            def put(_, inputs):
                x = inputs[0].clone()
                for row, token in enumerate(tokens):
                    x[row, token] = streams[layer][0, token]
                return (x, *inputs[1:])

            run_with(model, [module], corrupt.expand(len(tokens), -1), put)


def clock(run):
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def ours(args, kind, folder):
    out = subprocess.run([args.bench, "--time", kind, folder, str(args.tokens), str(args.threads)], check=True,
                         capture_output=True, text=True, env={**os.environ, "OPENBLAS_NUM_THREADS": str(args.threads)})
    return float(out.stdout.split()[-1])


def report(title, seconds):
    best = {name: min(values) for name, values in seconds.items()}
    print(f"\n{title}")
    for name, value in best.items():
        print(f"  {name:32s} {value:8.3f} s  {value / best['sextant']:6.2f}x")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=int, default=120)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    ids = torch.randint(4, 24, (2, args.tokens))
    ids[:, 0], ids[:, 1], ids[:, -1] = 0, 32, 2
    clean, corrupt = ids[:1], ids[1:]
    with tempfile.TemporaryDirectory() as folder:
        model = make_model()
        model.save_pretrained(folder)
        heads, tokens = {}, {}
        scale = (LAYERS + 1) * args.tokens / args.sample
        for _ in range(args.rounds):
            for batch in (1, HEADS):
                name = "transformers hooks, " + ("one by one" if batch == 1 else f"{batch} a batch")
                heads.setdefault(name, []).append(clock(lambda: head_scan(model, clean, corrupt, batch)))
                tokens.setdefault(name, []).append(
                    scale * clock(lambda: token_scan(model, clean, corrupt, batch, args.sample)))
            heads.setdefault("sextant", []).append(ours(args, "heads", folder))
            tokens.setdefault("sextant", []).append(ours(args, "tokens", folder))
        report(f"{LAYERS * HEADS} heads, T = {args.tokens}", heads)
        report(f"layer x token, {(LAYERS + 1) * args.tokens} cells, T = {args.tokens}", tokens)


if __name__ == "__main__":
    main()
