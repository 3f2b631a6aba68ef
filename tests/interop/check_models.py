#!/usr/bin/env python3
"""Compare sextant with what the real packages made of the models of make_foreign_models.py.

    check_models.py --sextant build/release/sextant --models OUT [--only WORD] [--verbose]

Runs the program itself: `run` (logits, residual stream, attention of every layer; padding),
`contacts` and `generate --greedy`. Prints one line a case with the largest absolute differences and
ends with "N passed, N failed".
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

LOGITS, HIDDEN, ATTENTION, CONTACTS = 1e-4, 1e-4, 1e-5, 1e-5


def call(sextant, *words):
    done = subprocess.run([sextant, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"sextant {' '.join(map(str, words[:2]))}: {done.stderr.strip()}")
    return done.stdout


def run(sextant, model, ids, *options):
    with tempfile.TemporaryDirectory() as work:
        out = Path(work) / "run.npz"
        call(sextant, "run", model, "--ids", ",".join(map(str, ids)), "--out", out, *options)
        with np.load(out) as arrays:
            return dict(arrays)


def far(a, b):
    if a.shape != b.shape:
        raise RuntimeError(f"shape {a.shape}, expected {b.shape}")
    return float(np.abs(a.astype(np.float64) - b).max())


def hidden_states(arrays):
    """As transformers gives them: the last one behind the final LayerNorm."""
    return np.concatenate([arrays["resid.pre"], arrays["final.ln"][None]])


def check_sequence(sextant, model, case, reference, name):
    ids = reference[f"{name}_ids"]
    captures = "resid.pre,attn,final.ln" + (",logits" if case["head"] else "")
    arrays = run(sextant, model, ids, "--capture", captures)
    worst = {}
    if f"{name}_logits" in reference:
        worst["logits"] = far(arrays["logits"], reference[f"{name}_logits"])
    worst["hidden"] = far(hidden_states(arrays), reference[f"{name}_hidden"])
    worst["attention"] = far(arrays["attn"], reference[f"{name}_attentions"])
    if f"{name}_contacts" in reference:
        text = "".join(TOKENS[i] for i in ids[1:-1])
        document = json.loads(call(sextant, "contacts", model, "--seq", text, "--json"))
        worst["contacts"] = far(np.array(document["contacts"]), reference[f"{name}_contacts"])
    return worst


TOKENS = ["<cls>", "<pad>", "<eos>", "<unk>"] + list("LAGVSERTIDPKQNFYMHWCXBUZO.-") + ["<null_1>", "<mask>"]


def check_batch(sextant, model, reference):
    """Padded rows: the pads are no keys, and what stands before them is as without."""
    worst = 0.0
    for ids, logits in zip(reference["batch_ids"], reference["batch_logits"]):
        arrays = run(sextant, model, ids, "--capture", "logits")
        seen = ids != 1
        worst = max(worst, far(arrays["logits"][seen], logits[seen]))
    return {"padded": worst}


def check_greedy(sextant, model, reference, name):
    new = reference[f"{name}_greedy"]
    document = json.loads(call(sextant, "generate", model, "--ids", ",".join(map(str, reference[f"{name}_ids"])),
                               "--max-new", len(new), "--greedy", "--no-eos", "--json"))
    return {"greedy": float(np.sum(np.array(document["ids"]) != new))}


def check(sextant, folder, name, case):
    model = folder / case["path"]
    with np.load(folder / name / "reference.npz") as arrays:
        reference = dict(arrays)
    worst = {}

    def note(found):
        for key, value in found.items():
            worst[key] = max(worst.get(key, 0.0), value)

    for key in sorted(k[:-4] for k in reference if k.endswith("_ids") and k != "batch_ids"):
        note(check_sequence(sextant, model, case, reference, key))
        if f"{key}_greedy" in reference:
            note(check_greedy(sextant, model, reference, key))
    if "batch_logits" in reference:
        note(check_batch(sextant, model, reference))
    return worst


LIMITS = {"logits": LOGITS, "padded": LOGITS, "hidden": HIDDEN, "attention": ATTENTION, "contacts": CONTACTS,
          "greedy": 0.5}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sextant", required=True)
    parser.add_argument("--models", required=True, type=Path)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    cases = json.loads((args.models / "cases.json").read_text())
    passed = failed = 0
    for name, case in cases.items():
        if args.only not in name:
            continue
        try:
            worst = check(args.sextant, args.models, name, case)
            ok = bool(worst) and all(value <= LIMITS[key] for key, value in worst.items())
            said = ", ".join(f"{key} {value:.1e}" for key, value in worst.items())
        except (RuntimeError, KeyError, FileNotFoundError) as error:
            ok, said = False, str(error)
        passed, failed = passed + ok, failed + (not ok)
        print(f"{'ok  ' if ok else 'FAIL'} {name}: {said}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
