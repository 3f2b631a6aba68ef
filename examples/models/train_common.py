"""What both training scripts share: schedule, log, checkpoint, and how a model is written."""
import csv
import json
import math
import os
import time

import torch


def learning_rate(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return peak * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def optimizer_of(model, peak):
    matrices = [p for p in model.parameters() if p.requires_grad and p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.requires_grad and p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.02}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), eps=1e-8)


class Log:
    """training_log.csv: one row a report; an interrupted training goes on in the same file."""

    def __init__(self, path, columns):
        self.path, self.columns = path, columns
        if not os.path.exists(path):
            with open(path, "w", newline="") as f:
                csv.writer(f).writerow(columns)

    def write(self, **row):
        with open(self.path, "a", newline="") as f:
            csv.writer(f).writerow([row.get(c, "") for c in self.columns])
        print(" ".join(f"{k}={v}" for k, v in row.items()), flush=True)


def train(model, next_batch, loss_of, evaluate, args, columns):
    """Train until args.steps; the checkpoint holds all that a later call needs to go on."""
    os.makedirs(args.out, exist_ok=True)
    state_path = os.path.join(args.out, "state.pt")
    optimizer = optimizer_of(model, args.lr)
    step, spent, tokens = 0, 0.0, 0
    if os.path.exists(state_path):
        state = torch.load(state_path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent, tokens = state["step"], state["spent"], state["tokens"]
    log = Log(os.path.join(args.out, "training_log.csv"), columns)
    device = next(model.parameters()).device
    started, total, count = time.time(), 0.0, 0
    while step < args.steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr, args.warmup)
        generator = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        model.train()
        batch = {k: v.to(device) for k, v in next_batch(generator).items()}
        loss = loss_of(model, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        tokens += batch["input_ids"].numel()
        total, count = total + loss.item(), count + 1
        if step % args.report == 0 or step == args.steps:
            model.eval()
            seconds = spent + time.time() - started
            row = {"step": step, "tokens": tokens, "seconds": round(seconds), "loss": round(total / count, 4)}
            with torch.no_grad():
                row.update(evaluate(model))
            log.write(**row)
            total, count = 0.0, 0
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step,
                     "spent": seconds, "tokens": tokens}
            torch.save(state, state_path + ".new")
            os.replace(state_path + ".new", state_path)
    return {"steps": step, "tokens": tokens, "seconds": round(spent + time.time() - started)}


def save(model, out, summary, leave_out="\0"):
    """Write config.json and model.safetensors in F16, as transformers writes them; without the
    tensors whose names hold `leave_out`."""
    model.half()
    state = {name: t for name, t in model.state_dict().items() if leave_out not in name}
    model.save_pretrained(out, state_dict=state)
    with open(os.path.join(out, "training.json"), "w") as f:
        json.dump(summary, f, indent=2)
        f.write("\n")
