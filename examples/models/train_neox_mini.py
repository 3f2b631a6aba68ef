"""Train neox-mini: GPT-NeoX's architecture, small, and its byte-level BPE, on public-domain prose.

    python train_neox_mini.py --text english-prose-32.txt.gz --out neox-mini --steps 6000

Heads of 64 with 16 rotary dimensions, as in Pythia. The text is whole books separated by
<|endoftext|>; the last two hundredths of the tokens are held out.
"""
import argparse
import gzip
import math
import os

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

import train_common

END = "<|endoftext|>"


def train_tokenizer(text, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[END, "<|padding|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(text.split(END), trainer)
    return tokenizer


def tokens_of(args):
    cached = os.path.join(args.out, "tokens.npy")
    path = os.path.join(args.out, "tokenizer.json")
    if not os.path.exists(cached):
        os.makedirs(args.out, exist_ok=True)
        opener = gzip.open if args.text.endswith(".gz") else open
        with opener(args.text, "rt", encoding="utf-8") as f:
            text = f.read()
        tokenizer = train_tokenizer(text, 4096)
        tokenizer.save(path)
        end = [tokenizer.token_to_id(END)]
        books = [tokenizer.encode(book.strip("\n")).ids for book in text.split(END)]
        np.save(cached, np.concatenate([np.array(end + ids, np.uint16) for ids in books if ids]))
    return torch.from_numpy(np.load(cached).astype(np.int64))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--report", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    ids = tokens_of(args)
    cut = len(ids) * 98 // 100
    train_ids, held_out = ids[:cut], ids[cut:]
    print(f"{len(train_ids)} tokens to train on, {len(held_out)} held out", flush=True)
    config = GPTNeoXConfig(vocab_size=4096, hidden_size=192, num_hidden_layers=6, num_attention_heads=3,
                           intermediate_size=768, max_position_embeddings=1024, hidden_act="gelu",
                           layer_norm_eps=1e-5, use_parallel_residual=True, tie_word_embeddings=False,
                           bos_token_id=0, eos_token_id=0, hidden_dropout=0.0, attention_dropout=0.0)
    model = GPTNeoXForCausalLM(config).to(args.device)
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)

    def batch(generator):
        starts = torch.randint(len(train_ids) - args.length - 1, (args.batch,), generator=generator)
        return {"input_ids": torch.stack([train_ids[s:s + args.length + 1] for s in starts.tolist()])}

    def loss_of(net, data):
        logits = net(data["input_ids"][:, :-1]).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), data["input_ids"][:, 1:].flatten())

    def train_loss(net, data):
        with torch.autocast(args.device, dtype=torch.bfloat16):
            return loss_of(net, data)

    def evaluate(net):
        device = next(net.parameters()).device
        rows = held_out[: 40 * 257].view(40, 257).to(device)
        loss = sum(loss_of(net, {"input_ids": rows[i:i + 8]}).item() for i in range(0, 40, 8)) / 5
        return {"held_out_loss": round(loss, 4), "held_out_ppl": round(math.exp(loss), 2)}

    columns = ["step", "tokens", "seconds", "loss", "held_out_loss", "held_out_ppl"]
    summary = train_common.train(model, batch, train_loss, evaluate, args, columns)
    summary.update(evaluate(model.eval()))
    train_common.save(model, args.out, summary)


if __name__ == "__main__":
    main()
