#!/usr/bin/env python3
"""Exact matching against scipy, on the same data in the same run.

    match_scipy.py [--build DIR] [--threads 2] [--case ROWS,COLUMNS]...

Makes two planted dictionaries (half of the rows are noisy copies, the other half unrelated), lets
numpy and scipy make the cosine matrix and assign it, lets bench_match do the same on the same
bytes, and prints the ratio of the times and whether the optimal sums agree.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time


def plant(np, rows, columns):
    rng = np.random.default_rng(1)
    a = rng.standard_normal((rows, columns), dtype=np.float32)
    b = rng.standard_normal((rows, columns), dtype=np.float32)
    b[: rows // 2] = a[: rows // 2] + np.float32(0.2) * b[: rows // 2]
    return a, b[rng.permutation(rows)]


def reference(np, a, b):
    from scipy.optimize import linear_sum_assignment

    unit_a = a / np.linalg.norm(a, axis=1, keepdims=True)
    unit_b = b / np.linalg.norm(b, axis=1, keepdims=True)
    start = time.perf_counter()
    similarity = np.abs(unit_a @ unit_b.T)
    product = time.perf_counter() - start
    start = time.perf_counter()
    i, j = linear_sum_assignment(similarity, maximize=True)
    solve = time.perf_counter() - start
    return product, solve, float(similarity[i, j].sum(dtype=np.float64)), j


def ours(bench, a, b):
    with tempfile.TemporaryDirectory() as folder:
        names = [os.path.join(folder, name) for name in ("a.f32", "b.f32", "partner.i32")]
        a.tofile(names[0])
        b.tofile(names[1])
        rows, columns = a.shape
        line = subprocess.run(
            [bench, "--files", *names, str(rows), str(columns)],
            check=True, capture_output=True, text=True,
        ).stdout
        import numpy as np

        return line.strip(), np.fromfile(names[2], np.int32)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", action="append")
    args = parser.parse_args()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(args.threads)
    import numpy as np

    bench = os.path.join(args.build, "tests", "bench_match")
    failed = False
    for case in args.case or ["10240,320", "16384,512"]:
        rows, columns = map(int, case.split(","))
        a, b = plant(np, rows, columns)
        product, solve, total, partner = reference(np, a, b)
        line, found = ours(bench, a, b)
        words = dict(word.split("=") for word in line.split() if "=" in word)
        seconds, primal = float(words["seconds"]), float(words["primal"])
        ratio = (product + solve) / seconds
        agrees = abs(primal - total) < 1e-7 * rows
        failed |= not agrees or ratio < 4
        print(line)
        print(
            f"scipy {rows}x{columns} cosine={product:.2f} assignment={solve:.2f} "
            f"ratio={ratio:.1f} sum_scipy={total:.6f} sum_ours={primal:.6f} "
            f"agree={'yes' if agrees else 'NO'} same_partner={np.mean(partner == found):.4f}",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
