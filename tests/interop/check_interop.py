#!/usr/bin/env python3
"""Hold sextant against the libraries themselves, on the folder of make_foreign_saes.py.

    check_interop.py FOREIGN --sextant PATH [--only WORD] [--scratch DIR]

For every SAE: `sextant info` says what it is; `sextant encode` gives the library's latents and
reconstruction to 1e-5 of their scale; `sextant convert` writes folders that the real packages load
with equal output, and that read back here compare to 0. Refusals are one line and exit status 1.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("SPARSIFY_DISABLE_TRITON", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import torch

torch.set_grad_enabled(False)
TOLERANCE = 1e-5


class Failure(Exception):
    pass


def run(sextant, *args, status=0):
    done = subprocess.run([sextant, *map(str, args)], capture_output=True, text=True)
    if done.returncode != status:
        raise Failure(f"sextant {' '.join(map(str, args))}: exit {done.returncode}, expected "
                      f"{status}: {done.stderr.strip()}")
    return done


def dense(file):
    f = np.load(file)
    if "acts" in f:
        return f["acts"], f["recon"]
    n = len(f["indptr"]) - 1
    width = int(f["shape"][1]) if "shape" in f else int(f["indices"].max(initial=0)) + 1
    acts = np.zeros((n, width), np.float32)
    rows = np.repeat(np.arange(n), np.diff(f["indptr"]))
    acts[rows, f["indices"]] = f["values"]
    return acts, f["recon"]


def off(got, want):
    """Largest difference relative to the scale of what is wanted."""
    if got.shape[1] < want.shape[1]:
        got = np.pad(got, ((0, 0), (0, want.shape[1] - got.shape[1])))
    if got.shape != want.shape:
        raise Failure(f"shape {got.shape}, expected {want.shape}")
    return float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-30))


def check_close(what, got, want):
    worst = off(got, want)
    if not worst <= TOLERANCE:
        raise Failure(f"{what} is off by {worst:.2e} of its scale")
    return worst


def check_info(sextant, path, case):
    doc = json.loads(run(sextant, "info", path, "--json").stdout)
    if len(doc["files"]) != 1:
        raise Failure(f"info lists {len(doc['files'])} SAEs, expected 1")
    info = doc["files"][0]
    for key in ("format", "arch", "activation_dim", "dict_size", "k", "seed", "penalty", "lambda",
                "layer", "decoder_constraint", "backup"):
        if key in case and info.get(key) != case[key]:
            if not (isinstance(case[key], float) and abs(info[key] - case[key]) < 1e-12):
                raise Failure(f"info {key} is {info.get(key)!r}, expected {case[key]!r}")


def check_encode(sextant, path, x, want, scratch):
    np.save(scratch / "X.npy", x)
    worst = 0.0
    for flags in ([], ["--dense"]):
        out = scratch / "F.npz"
        run(sextant, "encode", path, "--input", scratch / "X.npy", *flags, "--out", out)
        acts, recon = dense(out)
        worst = max(worst, check_close("acts", acts, want["acts"]),
                    check_close("recon", recon, want["recon"]))
    return worst


def load_saelens(folder, x):
    from sae_lens import SAE
    sae = SAE.load_from_disk(folder)
    acts = sae.encode(x)
    return acts, sae.decode(acts)


def load_sparsify(folder, x):
    from sparsify import SparseCoder
    sae = SparseCoder.load_from_disk(folder)
    top, indices, _ = sae.encode(x)
    return torch.zeros(len(x), sae.num_latents).scatter_(-1, indices, top), sae(x).sae_out


def load_dictionary_learning(folder, x):
    from dictionary_learning.utils import load_dictionary
    ae, config = load_dictionary(str(folder), "cpu")
    if config["trainer"]["dict_class"] == "AutoEncoder":
        # from_pretrained rescales the decoder by default; latents are compared as saved
        from dictionary_learning.dictionary import AutoEncoder
        ae = AutoEncoder.from_pretrained(f"{folder}/ae.pt", normalize_decoder=False)
    acts = ae.encode(x)
    return acts, ae.decode(acts)


LOADERS = {"saelens": load_saelens, "sparsify": load_sparsify,
           "dictionary_learning": load_dictionary_learning}


def check_convert(sextant, path, case, want, scratch):
    for form in case["convert"]:
        out = scratch / form
        shutil.rmtree(out, ignore_errors=True)
        run(sextant, "convert", path, out, "--to", form)
        acts, recon = LOADERS[form](out, torch.tensor(want["x"]))
        check_close(f"{form} acts", acts.numpy(), want["acts"])
        check_close(f"{form} recon", recon.reshape(recon.shape[0], -1).numpy(), want["recon"])
        compare_zero(sextant, path, out)
    out = scratch / "x.sae.h5"
    out.unlink(missing_ok=True)
    run(sextant, "convert", path, out)
    compare_zero(sextant, path, out)
    check_encode(sextant, out, want["x"], want, scratch)


def compare_zero(sextant, a, b):
    doc = json.loads(run(sextant, "compare", a, b, "--json").stdout)
    for name, t in doc["tensors"].items():
        if t["max_abs"] != 0:
            raise Failure(f"{b}: {name} differs by {t['max_abs']} ({t.get('why')})")


def check(sextant, folder, case, scratch):
    path = folder / case["path"]
    if "refused" in case:
        done = run(sextant, "convert", path, scratch / "refused.sae.h5", status=1)
        said = done.stderr.strip() or done.stdout.strip()
        if case["refused"] not in said:
            raise Failure(f"refused, but says {said!r}, not {case['refused']!r}")
        return 0.0
    want = np.load(folder / "expected" / f"{case['name']}.npz")
    check_info(sextant, path, case)
    worst = check_encode(sextant, path, want["x"], want, scratch)
    check_convert(sextant, path, case, want, scratch)
    return worst


def main():
    p = argparse.ArgumentParser()
    p.add_argument("foreign", type=Path)
    p.add_argument("--sextant", required=True)
    p.add_argument("--only", default="")
    p.add_argument("--scratch", type=Path)
    args = p.parse_args()
    cases = json.loads((args.foreign / "cases.json").read_text())
    cases = [c for c in cases if args.only in c["name"]]
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        scratch = args.scratch or Path(temporary)
        for case in cases:
            try:
                worst = check(args.sextant, args.foreign, case, scratch)
                print(f"ok    {case['name']:34} {worst:.1e}")
            except (Failure, KeyError, ValueError, OSError, RuntimeError) as e:
                failed += 1
                print(f"FAIL  {case['name']:34} {type(e).__name__}: {e}")
    print(f"{len(cases) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
