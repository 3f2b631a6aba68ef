"""Train esm2-mini: ESM-2's architecture, small, on Swiss-Prot; masked-language-model training.

    python train_esm2_mini.py --blast /usr/share/metastudent-data/dataset_201401/BPO/goasp.fasta \
        --out esm2-mini --steps 12000

Data: Swiss-Prot sequences as Debian's metastudent-data holds them (a BLAST database) and any FASTA
files. Sequences longer than a crop are cut at random; <cls> and <eos> stand only where the real ends
are, so that what the model says of position 1 is about true starts. Heads of size 16 give the eight
rotary bands of ESM2-8M. Held out: every sequence whose hash falls into the last hundredth.
"""
import argparse
import gzip
import hashlib
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from transformers import EsmConfig, EsmForMaskedLM

import train_common

SYMBOLS = ["<cls>", "<pad>", "<eos>", "<unk>"] + list("LAGVSERTIDPKQNFYMHWCXBUZO.-") + ["<null_1>", "<mask>"]
ID = {s: i for i, s in enumerate(SYMBOLS)}
CLS, PAD, EOS, UNK, MASK, MET = ID["<cls>"], ID["<pad>"], ID["<eos>"], ID["<unk>"], ID["<mask>"], ID["M"]
BLAST_LETTERS = "-ABCDEFGHIKLMNPQRSTVWXYZU*OJ"  # NCBIstdaa, code = index


def read_blast(prefix):
    codes = np.fromfile(prefix + ".psq", dtype=np.uint8)
    table = np.full(256, UNK, np.uint8)
    for code, letter in enumerate(BLAST_LETTERS):
        table[code] = ID.get(letter, UNK)
    ends = np.flatnonzero(codes == 0)
    ids = table[codes]
    return [ids[a + 1:b] for a, b in zip(ends[:-1], ends[1:]) if b > a + 1]


def read_fasta(path):
    opener = gzip.open if path.endswith(".gz") else open
    out, current = [], []
    with opener(path, "rt") as f:
        for line in list(f) + [">"]:
            if line.startswith(">"):
                if current:
                    out.append(np.array([ID.get(c, UNK) for c in "".join(current).upper()], np.uint8))
                current = []
            else:
                current.append(line.strip())
    return out


def is_held_out(ids):
    return hashlib.sha256(ids.tobytes()).digest()[0] * 100 // 256 == 99


class Corpus:
    def __init__(self, sequences):
        unique = {s.tobytes(): s for s in sequences if 10 <= len(s)}
        self.train = [s for s in unique.values() if not is_held_out(s)]
        self.held_out = [s for s in unique.values() if is_held_out(s)]
        self.train.sort(key=len)
        print(f"{len(self.train)} sequences to train on, {len(self.held_out)} held out", flush=True)

    def batch(self, generator, tokens):
        """About `tokens` ids: sequences of similar length, cropped to 128, 256 or 512 residues."""
        crop = [128, 128, 128, 256, 512][int(torch.randint(5, (1,), generator=generator))]
        at = int(torch.randint(len(self.train), (1,), generator=generator))
        width = min(len(self.train[at]), crop) + 2
        count = max(1, tokens // width)
        low = max(0, min(at - count // 2, len(self.train) - 1))
        near = [self.train[min(low + i, len(self.train) - 1)] for i in range(count)]
        width = min(max(len(s) for s in near), crop) + 2
        ids = torch.full((len(near), width), PAD)
        for row, s in enumerate(near):
            piece = crop_of(s, crop, generator)
            ids[row, :len(piece)] = piece
        return ids


def crop_of(s, crop, generator):
    whole = np.concatenate([[CLS], s, [EOS]])
    extra = len(whole) - (crop + 2)
    start = 0
    if extra > 0 and float(torch.rand(1, generator=generator)) < 0.5:
        start = int(torch.randint(extra + 1, (1,), generator=generator))
    return torch.from_numpy(whole[start:start + crop + 2].astype(np.int64))


def mask(ids, generator):
    """ESM-2's recipe: 15 % of the residues are asked for, of these 80 % masked, 10 % replaced."""
    residues = (ids >= 4) & (ids <= 28)
    draw = torch.rand(ids.shape, generator=generator)
    asked = residues & (draw < 0.15)
    kind = torch.rand(ids.shape, generator=generator)
    random = torch.randint(4, 24, ids.shape, generator=generator)
    labels = torch.where(asked, ids, torch.full_like(ids, -100))
    seen = torch.where(asked & (kind < 0.8), torch.full_like(ids, MASK), ids)
    seen = torch.where(asked & (kind >= 0.9), random, seen)
    return {"input_ids": seen, "labels": labels, "attention_mask": (ids != PAD).long()}


def rotate(x, cosine, sine):
    half = x.shape[-1] // 2
    return torch.addcmul(x * cosine, torch.cat((-x[..., half:], x[..., :half]), -1), sine)


def attention(layer, x, heads, turn, bias):
    """Multi-head attention over the module's own weights, its softmax in F32."""
    own, (b, t, width) = layer.attention.self, x.shape
    weight = torch.cat([own.query.weight, own.key.weight, own.value.weight]).to(x.dtype)
    offset = torch.cat([own.query.bias, own.key.bias, own.value.bias]).to(x.dtype)
    q, k, v = F.linear(x, weight, offset).view(b, t, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    out = F.scaled_dot_product_attention(rotate(q, *turn).float(), rotate(k, *turn).float(), v.float(), attn_mask=bias)
    return linear(layer.attention.output.dense, out.transpose(1, 2).reshape(b, t, width).to(x.dtype))


def linear(module, x):
    return F.linear(x, module.weight.to(x.dtype), module.bias.to(x.dtype))


def layer_norm(module, x):
    return F.layer_norm(x, x.shape[-1:], module.weight, module.bias, module.eps)


def hidden_states(model, batch, dtype=torch.bfloat16):
    """What model.esm gives, three times as fast on a CPU: products in `dtype`, residual stream and
    attention in F32 (in bfloat16 the backward pass of attention takes most of a step)."""
    ids, seen = batch["input_ids"], batch["attention_mask"]
    asked = ids == MASK
    scale = 0.88 / (1 - asked.sum(-1).float() / seen.sum(-1))
    x = F.embedding(ids, model.esm.embeddings.word_embeddings.weight) * (seen.bool() & ~asked)[..., None]
    x = x * scale[:, None, None]
    heads = model.config.num_attention_heads
    size = x.shape[-1] // heads
    inverse = 1.0 / 10000 ** (torch.arange(0, size, 2, device=ids.device).float() / size)
    angle = torch.outer(torch.arange(ids.shape[1], device=ids.device).float(), inverse).repeat(1, 2)
    turn = angle.cos().to(dtype), angle.sin().to(dtype)
    bias = torch.zeros(seen.shape, device=ids.device).masked_fill(seen == 0, -1e4)[:, None, None]
    for layer in model.esm.encoder.layer:
        x = x + attention(layer, layer_norm(layer.attention.LayerNorm, x).to(dtype), heads, turn, bias)
        inner = linear(layer.intermediate.dense, layer_norm(layer.LayerNorm, x).to(dtype))
        x = x + linear(layer.output.dense, F.gelu(inner))
    return layer_norm(model.esm.encoder.emb_layer_norm_after, x)


def check_hidden_states(model, batch):
    """Training must be of the model that transformers runs: equal in F32, or nothing is trained."""
    with torch.no_grad():
        theirs = model.esm(batch["input_ids"], attention_mask=batch["attention_mask"])[0]
        ours = hidden_states(model, batch, torch.float32)
    worst = (ours - theirs)[batch["attention_mask"].bool()].abs().max().item()
    print(f"hidden states against transformers: {worst:.2e}", flush=True)
    assert worst < 1e-3, worst


def loss_of(model, batch):
    chosen = batch["labels"] >= 0
    logits = model.lm_head(hidden_states(model, batch)[chosen].float())
    return F.cross_entropy(logits, batch["labels"][chosen])


def first_residue(model, sequences):
    """Mean P(M) over the 33 symbols at a masked first residue."""
    out = []
    for s in sequences:
        ids = torch.tensor([[CLS, MASK, *s[1:510].tolist(), EOS]])
        out.append(model(ids, attention_mask=torch.ones_like(ids)).logits[0, 1].softmax(-1)[MET].item())
    return round(sum(out) / len(out), 4)


def evaluation(corpus):
    counts = np.bincount(np.concatenate(corpus.train[::20]), minlength=33)[4:29].astype(float) + 1
    log_unigram = np.log(counts / counts.sum())
    sample = corpus.held_out[:: max(1, len(corpus.held_out) // 200)][:200]
    with_met = [s for s in sample if s[0] == MET][:60]
    without = [s for s in corpus.held_out if s[0] != MET][:40]

    def evaluate(model):
        total = uni = n = 0.0
        for index, s in enumerate(sample):
            generator = torch.Generator().manual_seed(index)
            batch = mask(crop_of(s, 510, generator)[None], generator)
            # Only where a <mask> stands: residues left in place would flatter the number.
            batch["labels"][batch["input_ids"] != MASK] = -100
            if not (batch["labels"] >= 0).any():
                continue
            k = int((batch["labels"] >= 0).sum())
            total += loss_of(model, batch).item() * k
            uni -= log_unigram[batch["labels"][batch["labels"] >= 0].numpy() - 4].sum()
            n += k
        return {"masked_ppl": round(math.exp(total / n), 3), "unigram_ppl": round(math.exp(uni / n), 3),
                "p_m_met": first_residue(model, with_met), "p_m_other": first_residue(model, without)}
    return evaluate


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blast", action="append", default=[])
    parser.add_argument("--fasta", action="append", default=[])
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=500)
    parser.add_argument("--report", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    corpus = Corpus([s for p in args.blast for s in read_blast(p)] + [s for p in args.fasta for s in read_fasta(p)])
    config = EsmConfig(vocab_size=33, mask_token_id=MASK, pad_token_id=PAD, hidden_size=128, num_hidden_layers=6,
                       num_attention_heads=8, intermediate_size=512, hidden_dropout_prob=0.0,
                       attention_probs_dropout_prob=0.0, max_position_embeddings=1026,
                       position_embedding_type="rotary", token_dropout=True, layer_norm_eps=1e-5,
                       emb_layer_norm_before=False)
    model = EsmForMaskedLM(config).to(args.device)
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    generator = torch.Generator().manual_seed(args.seed)
    check_hidden_states(model.eval(), mask(corpus.batch(generator, args.tokens), generator))
    summary = train_common.train(model, lambda g: mask(corpus.batch(g, args.tokens), g), loss_of,
                                 evaluation(corpus), args,
                                 ["step", "tokens", "seconds", "loss", "masked_ppl", "unigram_ppl", "p_m_met", "p_m_other"])
    summary.update(evaluation(corpus)(model.eval()))
    # Nothing trained the contact head: without it no program can take its output for contacts.
    train_common.save(model, args.out, summary, leave_out="contact_head")
    with open(os.path.join(args.out, "vocab.txt"), "w") as f:
        f.write("\n".join(SYMBOLS) + "\n")


if __name__ == "__main__":
    main()
