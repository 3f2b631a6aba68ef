"""The training step of bench_train.c in PyTorch, on the CPU: the same shapes, loss, penalty, Adam and
renormalisation, timed against its own five matrix products in the same run.

    python train_torch.py [threads] [B D F]
"""
import sys
import time

import torch

threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
B, D, F = map(int, sys.argv[2:5]) if len(sys.argv) > 4 else (512, 784, 1568)
ROUNDS = 40
torch.set_num_threads(threads)
torch.manual_seed(0)


def clocks(fn):
    wall, worked = time.perf_counter(), time.process_time()
    fn()
    return time.perf_counter() - wall, time.process_time() - worked


def median(values):
    return sorted(values)[len(values) // 2]


x_, g_ = torch.rand(B, D), torch.rand(B, D)
z_, dz_ = torch.rand(B, F), torch.rand(B, F)
w_enc_, w_dec_ = torch.rand(F, D), torch.rand(F, D)


def five_products():
    x_ @ w_enc_.T
    z_ @ w_dec_
    g_ @ w_dec_.T
    z_.T @ g_
    dz_.T @ x_


class Sae(torch.nn.Module):
    """torch's own layers, as the paper's code uses them: decoder.weight is [D,F]."""

    def __init__(self, biases):
        super().__init__()
        self.encoder = torch.nn.Linear(D, F, bias=biases)
        self.decoder = torch.nn.Linear(F, D, bias=False)
        self.b_dec = torch.nn.Parameter(torch.zeros(D)) if biases else None
        with torch.no_grad():
            self.decoder.weight /= self.decoder.weight.norm(dim=0, keepdim=True)
            self.encoder.weight.copy_(self.decoder.weight.T)

    def forward(self, x):
        centred = x if self.b_dec is None else x - self.b_dec
        z = torch.relu(self.encoder(centred))
        out = self.decoder(z)
        return z, out if self.b_dec is None else out + self.b_dec


def time_step(name, biases, penalty, lam, renorm, **adam):
    torch.manual_seed(1)
    sae = Sae(biases)
    optimiser = torch.optim.Adam(sae.parameters(), lr=1e-3, **adam)
    x = torch.rand(B, D) - 0.5

    def step():
        optimiser.zero_grad(set_to_none=True)
        z, out = sae(x)
        w_enc, w_dec = sae.encoder.weight, sae.decoder.weight
        loss = torch.mean((out - x) ** 2) + 0.1 * z.abs().mean()
        if penalty == "l2":
            loss = loss + lam * (w_dec.square().sum() + w_enc.square().sum())
        else:
            loss = loss + lam * (w_dec.abs().mean() + w_enc.abs().mean())
        loss.backward()
        optimiser.step()
        if renorm:
            with torch.no_grad():
                eps = torch.finfo(torch.float32).eps
                sae.decoder.weight /= sae.decoder.weight.norm(dim=0, keepdim=True) + eps
        return loss

    five, steps = [], []
    for _ in range(ROUNDS):  # together, so that what else the machine does falls on both
        five.append(clocks(five_products))
        steps.append(clocks(step))
    best_five, best_step = min(five)[0], min(steps)[0]
    print(
        f"step {name:30} {best_step * 1e3:6.2f} ms, five products {best_five * 1e3:6.2f} ms: "
        f"{best_step / best_five:.3f}   "
        f"median of rounds {median([s[0] / f[0] for s, f in zip(steps, five)]):.3f}   "
        f"processor {median([s[1] for s in steps]) * 1e3:6.2f} ms, "
        f"{median([s[1] / f[1] for s, f in zip(steps, five)]):.3f}"
    )


print(f"torch {torch.__version__}, {threads} threads, B {B}, D {D}, F {F}")
for label, adam in (("", {}), (", fused Adam", {"fused": True})):
    try:
        time_step("biases, l2" + label, True, "l2", 1e-5, False, **adam)
        time_step("biases, l2, renorm" + label, True, "l2", 1e-5, True, **adam)
        time_step("no biases, l1" + label, False, "l1", 1e-3, False, **adam)
    except RuntimeError as error:
        print("fused Adam is not offered here:", error)
