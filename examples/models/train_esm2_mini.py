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


def loss_of(model, batch):
    hidden = model.esm(batch["input_ids"], attention_mask=batch["attention_mask"])[0]
    chosen = batch["labels"] >= 0
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[chosen]).float(), batch["labels"][chosen])


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
