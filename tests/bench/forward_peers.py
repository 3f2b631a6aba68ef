"""Passes and generation of the real packages beside ours, in one run, round by round.

    python tests/bench/forward_peers.py --bench build/release/tests/bench_forward [--rounds 5]

Peers: fair-esm, transformers (SDPA), esm-cpp; random weights in the shapes of ESM2-8M and
Pythia-70M. Every number is tokens a second, two threads; what counts is the ratio of the best
rounds, measured in turns so that both meet the same machine.
"""
import argparse
import os
import subprocess
import tempfile
import time

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import EsmConfig, EsmForMaskedLM, GPTNeoXConfig, GPTNeoXForCausalLM

import esm
import esm_cpp


def esm_model():
    config = EsmConfig(vocab_size=33, mask_token_id=32, pad_token_id=1, hidden_size=320, num_hidden_layers=6,
                       num_attention_heads=20, intermediate_size=1280, hidden_dropout_prob=0.0,
                       attention_probs_dropout_prob=0.0, max_position_embeddings=1026, token_dropout=True,
                       position_embedding_type="rotary", layer_norm_eps=1e-5, emb_layer_norm_before=False)
    return EsmForMaskedLM(config).eval()


def as_transformers_4(model):
    """The names that esm-cpp reads: rotary frequencies once a layer."""
    state = {k: v.contiguous().clone() for k, v in model.state_dict().items()}
    frequencies = state.pop("esm.rotary_embeddings.inv_freq")
    for layer in range(model.config.num_hidden_layers):
        name = f"esm.encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"
        state[name] = frequencies.clone()
    return state


def neox_model():
    config = GPTNeoXConfig(vocab_size=50304, hidden_size=512, num_hidden_layers=6, num_attention_heads=8,
                           intermediate_size=2048, max_position_embeddings=2048)
    return GPTNeoXForCausalLM(config).eval()


def clock(run):
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def ours(args, kind, folder, tokens, batch):
    """One round of our pass: the benchmark prints the seconds of its best pass."""
    out = subprocess.run([args.bench, "--time", kind, folder, str(tokens), str(batch)], check=True,
                         capture_output=True, text=True,
                         env={**os.environ, "OPENBLAS_NUM_THREADS": str(args.threads)})
    return float(out.stdout.split()[-1])


def report(title, seconds, units):
    best = {name: min(values) for name, values in seconds.items()}
    print(f"\n{title}")
    for name, value in sorted(best.items(), key=lambda item: item[1]):
        print(f"  {name:28s} {units / value:10.1f} tokens/s")
    peers = [value for name, value in best.items() if name not in ("sextant", "sextant BF16")]
    print(f"  sextant against the best peer: {min(peers) / best['sextant']:.2f}x")


@torch.no_grad()
def esm_passes(args, folder, tokens, batch):
    ids = torch.randint(4, 24, (batch, tokens))
    ids[:, 0], ids[:, -1] = 0, 2
    packed = [row.astype(np.int32) for row in ids.numpy()]
    hugging = EsmForMaskedLM.from_pretrained(folder, attn_implementation="sdpa").eval()
    fair = esm.ESM2(num_layers=6, embed_dim=320, attention_heads=20).eval()
    cpp = esm_cpp.Model.load(os.path.join(folder, "cpp.safetensors"))
    runs = {
        "transformers sdpa": lambda: hugging(ids),
        "fair-esm": lambda: fair(ids),
        "esm-cpp": lambda: cpp.forward_scheduled(packed),
    }
    seconds = {name: [] for name in [*runs, "sextant"]}
    for _ in range(args.rounds):
        for name, run in runs.items():
            seconds[name].append(clock(run))
        seconds["sextant"].append(ours(args, "pass", folder, tokens, batch))
    report(f"ESM2-8M shape, {batch} sequences of {tokens} tokens, F32", seconds, batch * tokens)


@torch.no_grad()
def generation(args, folder, folder16, new):
    seconds = {}
    for dtype, name, own in [(torch.float32, "transformers F32", "sextant"),
                             (torch.bfloat16, "transformers BF16", "sextant BF16")]:
        model = GPTNeoXForCausalLM.from_pretrained(folder if dtype == torch.float32 else folder16, dtype=dtype).eval()
        ids = torch.randint(2, 50000, (1, 16))
        for _ in range(args.rounds):
            seconds.setdefault(name, []).append(clock(lambda: model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=False,
                pad_token_id=0)))
            seconds.setdefault(own, []).append(
                ours(args, "generate", folder if dtype == torch.float32 else folder16, new, 1))
    best = {name: new / min(values) for name, values in seconds.items()}
    print(f"\nPythia-70M shape, {new} tokens, batch 1")
    for name, rate in best.items():
        print(f"  {name:28s} {rate:10.1f} tokens/s")
    print(f"  F32 against F32 {best['sextant'] / best['transformers F32']:.2f}x, "
          f"BF16 against BF16 {best['sextant BF16'] / best['transformers BF16']:.2f}x")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as work:
        folder = os.path.join(work, "esm2")
        model = esm_model()
        model.save_pretrained(folder)
        save_file(as_transformers_4(model), os.path.join(folder, "cpp.safetensors"))
        esm_passes(args, folder, 256, 8)
        esm_passes(args, folder, 1022, 8)
        folders = [os.path.join(work, name) for name in ("neox", "neox-bf16")]
        model = neox_model()
        model.save_pretrained(folders[0])
        model.to(torch.bfloat16).save_pretrained(folders[1])
        generation(args, folders[0], folders[1], 100)


if __name__ == "__main__":
    main()
