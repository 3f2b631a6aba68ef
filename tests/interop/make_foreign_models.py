#!/usr/bin/env python3
"""Write random transformers in every form that the real packages write, and what those packages
make of given inputs.

    make_foreign_models.py OUT [--only WORD] [--small]

OUT/<case>/…                the model: a Hugging Face folder, or NAME.pt of fair-esm
OUT/<case>/reference.npz    sK_ids [T] and, from the package itself in float32:
                            sK_logits [T,V], sK_hidden [L+1,T,D] (0: embedding; the last one behind
                            the final LayerNorm), sK_attentions [L,H,T,T], sK_contacts [T-2,T-2]
                            (ESM-2); batch_ids [N,T] padded with 1 and batch_logits [N,T,V] (ESM-2);
                            sK_greedy [24], the ids that greedy generation appends (GPT-NeoX)
OUT/cases.json              per case: the path to open, family, dtype, sizes

Needs PyTorch, transformers 5, safetensors and fair-esm from PyPI. What transformers 4 wrote is
written here under its names. --small leaves out ESM2-8M's and Pythia-70M's shapes.
"""
import argparse
import json
import math
import os
import shutil
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import esm
import numpy as np
import torch
from esm.model.esm2 import ESM2
from safetensors.torch import save_file
from transformers import (EsmConfig, EsmForMaskedLM, EsmModel, GPTNeoXConfig, GPTNeoXForCausalLM,
                          logging)

torch.set_grad_enabled(False)
logging.set_verbosity_error()
logging.disable_progress_bar()
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
          "F64": torch.float64}
GREEDY = 24


def randomise(model, seed):
    """Weights such that activations stay of the order of one and nothing is an identity."""
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        z = torch.randn(p.shape, generator=g)
        norm = "norm" in name.lower()
        if name.endswith("bias"):
            p.copy_(0.1 * z)
        elif norm:
            p.copy_(1 + 0.1 * z)
        elif "word_embeddings" in name or "embed_tokens" in name or "embed_in" in name:
            p.copy_(0.6 * z)
        else:
            p.copy_(0.9 * z / math.sqrt(p.shape[-1]))


def rounded(model, dtype):
    """The values that a file of this type holds, as float32; buffers outside the state stay."""
    state = model.state_dict()
    model.load_state_dict({k: v.to(dtype).float() if v.is_floating_point() else v
                           for k, v in state.items()})
    return model


def esm_inputs(seed, lengths):
    rng = np.random.default_rng(seed)
    out = []
    for k, length in enumerate(lengths):
        ids = np.concatenate([[0], rng.integers(4, 24, length), [2]])
        if k % 2 == 0 and length > 2:
            ids[1] = 32
        if k % 3 == 2:
            ids[rng.integers(1, length + 1, max(1, length // 6))] = 32
        if k % 4 == 3:
            ids[length // 2 + 1] = 24
        out.append(ids.astype(np.int64))
    return out


class Maker:
    def __init__(self, out, only, small):
        self.out, self.only, self.small = Path(out), only, small
        self.cases = {}
        self.out.mkdir(parents=True, exist_ok=True)

    def wants(self, name):
        return not self.only or self.only in name

    def folder(self, name):
        path = self.out / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def done(self, name, path, family, dtype, arrays, **more):
        np.savez(self.out / name / "reference.npz", **arrays)
        self.cases[name] = {"path": str(Path(path).relative_to(self.out)), "family": family,
                            "dtype": dtype, **more}
        print(name, flush=True)

    # --- ESM-2 --------------------------------------------------------------------------------

    def esm_config(self, **change):
        sizes = dict(vocab_size=33, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                     intermediate_size=256, position_embedding_type="rotary", token_dropout=True,
                     mask_token_id=32, pad_token_id=1, layer_norm_eps=1e-5,
                     emb_layer_norm_before=False, hidden_dropout_prob=0.0,
                     attention_probs_dropout_prob=0.0, max_position_embeddings=1026)
        sizes.update(change)
        return EsmConfig(**sizes)

    def esm_model(self, seed, dtype, half=True, **change):
        config = self.esm_config(**change)
        config._attn_implementation = "eager"
        model = EsmForMaskedLM(config).eval()
        randomise(model, seed)
        inv_freq = model.esm.rotary_embeddings.inv_freq
        if half:
            inv_freq.copy_(inv_freq.half().float())
        return rounded(model, dtype)

    def esm_reference(self, model, lengths, seed, head=True):
        arrays = {}
        inputs = esm_inputs(seed, lengths)
        for k, ids in enumerate(inputs):
            x = torch.tensor(ids)[None]
            out = model(x, attention_mask=torch.ones_like(x), output_hidden_states=True,
                        output_attentions=True)
            arrays[f"s{k}_ids"] = ids
            if head:
                arrays[f"s{k}_logits"] = out.logits[0].numpy()
            arrays[f"s{k}_hidden"] = torch.stack([h[0] for h in out.hidden_states]).numpy()
            arrays[f"s{k}_attentions"] = torch.stack([a[0] for a in out.attentions]).numpy()
            arrays[f"s{k}_contacts"] = model.esm.predict_contacts(
                x, torch.ones_like(x))[0].numpy()
        longest = max(len(i) for i in inputs)
        batch = np.ones((len(inputs), longest), np.int64)
        for k, ids in enumerate(inputs):
            batch[k, :len(ids)] = ids
        x = torch.tensor(batch)
        arrays["batch_ids"] = batch
        if head:
            arrays["batch_logits"] = model(x, attention_mask=(x != 1).long()).logits.numpy()
        return arrays

    def esm_case(self, name, write, dtype="F32", lengths=(5, 12, 40, 61), seed=1, head=True,
                 half=True, **change):
        if not self.wants(name):
            return
        model = self.esm_model(seed, DTYPES[dtype], half, **change)
        folder = self.folder(name)
        # An F64 file is one of float32 values: that is what is computed with.
        arrays = self.esm_reference(model, lengths, seed, head)
        write(model, folder, DTYPES[dtype])
        self.done(name, folder, "ESM-2", dtype, arrays, head=head)

    @staticmethod
    def save5(model, folder, dtype, **how):
        model.to(dtype).save_pretrained(folder, **how)

    @staticmethod
    def esm_state4(model, dtype):
        """As transformers 4 named things."""
        state = OrderedDict()
        for k, v in model.state_dict().items():
            if k == "esm.rotary_embeddings.inv_freq":
                for layer in range(model.config.num_hidden_layers):
                    state[f"esm.encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"] \
                        = v.clone()
            else:
                state[k] = v.to(dtype)
        positions = model.config.max_position_embeddings
        state["esm.embeddings.position_embeddings.weight"] = torch.randn(
            positions, model.config.hidden_size).to(dtype)
        state["esm.embeddings.position_ids"] = torch.arange(positions)[None]
        return state

    @staticmethod
    def config4(model, folder, **change):
        config = json.loads(model.config.to_json_string(use_diff=False))
        config.pop("rope_parameters", None)
        config.pop("rope_theta", None)
        config["torch_dtype"] = "float32"
        config.pop("dtype", None)
        config.update(change)
        (folder / "config.json").write_text(json.dumps(config, indent=2))

    def esm_bin4(self, model, folder, dtype):
        torch.save(self.esm_state4(model, dtype), folder / "pytorch_model.bin")
        self.config4(model, folder)

    def esm_safetensors4(self, model, folder, dtype):
        state = {k: v.contiguous().clone() for k, v in self.esm_state4(model, dtype).items()}
        del state["lm_head.decoder.weight"]
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        self.config4(model, folder)

    def bin_shards(self, state, folder, shards):
        names = list(state)
        index = {"metadata": {}, "weight_map": {}}
        for s in range(shards):
            file = f"pytorch_model-{s + 1:05d}-of-{shards:05d}.bin"
            part = OrderedDict((k, state[k]) for k in names[s::shards])
            torch.save(part, folder / file)
            index["weight_map"].update({k: file for k in part})
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))

    def esm_bin4_shards(self, model, folder, dtype):
        self.bin_shards(self.esm_state4(model, dtype), folder, 3)
        self.config4(model, folder)

    def esm_state5(self, model, folder, dtype):
        """torch.save of a state_dict of transformers 5: names that save_pretrained never writes."""
        torch.save(model.to(dtype).state_dict(), folder / "pytorch_model.bin")
        model.config.save_pretrained(folder)

    def esm_body(self, model, folder, dtype):
        body = EsmModel(model.config, add_pooling_layer=True)
        body.load_state_dict(model.esm.state_dict(), strict=False)
        body.to(dtype).save_pretrained(folder)

    def esm_no_inv_freq(self, model, folder, dtype):
        state = {k: v.contiguous().clone() for k, v in self.esm_state4(model, dtype).items()
                 if "inv_freq" not in k and "decoder" not in k}
        save_file(state, folder / "model.safetensors")
        self.config4(model, folder)

    def esm(self):
        case = self.esm_case
        case("esm-v5-f32", self.save5)
        case("esm-v5-f16", self.save5, "F16", seed=2)
        case("esm-v5-bf16", self.save5, "BF16", seed=3)
        case("esm-v5-exact-inv-freq", self.save5, seed=4, half=False)
        case("esm-v5-shards", lambda m, f, t: self.save5(m, f, t, max_shard_size="200KB"), seed=5)
        case("esm-v5-eps", self.save5, seed=6, layer_norm_eps=1e-3)
        case("esm-v5-no-dropout", self.save5, seed=7, token_dropout=False)
        case("esm-v5-state-dict", self.esm_state5, seed=8)
        case("esm-v5-body", self.esm_body, seed=9, head=False)
        case("esm-v4-bin", self.esm_bin4, seed=10)
        case("esm-v4-bin-f16", self.esm_bin4, "F16", seed=11)
        case("esm-v4-bin-shards", self.esm_bin4_shards, seed=12)
        case("esm-v4-safetensors", self.esm_safetensors4, seed=13)
        case("esm-v4-no-inv-freq", self.esm_no_inv_freq, seed=14)
        case("esm-v4-f64", self.esm_safetensors4, "F64", seed=15)
        case("esm-v5-d24", self.save5, seed=16, hidden_size=72, num_attention_heads=3,
             intermediate_size=288)
        if not self.small:
            for t, s in (("F32", 20), ("F16", 21), ("BF16", 22)):
                case(f"esm-8m-{t.lower()}", self.save5, t, lengths=(30, 65, 254), seed=s,
                     hidden_size=320, num_hidden_layers=6, num_attention_heads=20,
                     intermediate_size=1280)

    # --- fair-esm -----------------------------------------------------------------------------

    def fair_case(self, name, dtype="F32", lengths=(5, 12, 40, 61), seed=1, contacts=True,
                  layers=3, d=64, heads=4):
        if not self.wants(name):
            return
        alphabet = esm.data.Alphabet.from_architecture("ESM-1b")
        model = ESM2(num_layers=layers, embed_dim=d, attention_heads=heads, alphabet=alphabet,
                     token_dropout=True).eval()
        randomise(model, seed)
        for layer in model.layers:
            inv_freq = layer.self_attn.rot_emb.inv_freq
            inv_freq.copy_(inv_freq.half().float())
        state = {k: v.to(DTYPES[dtype]).float() for k, v in model.state_dict().items()}
        model.load_state_dict(state)
        arrays = {}
        for k, ids in enumerate(esm_inputs(seed, lengths)):
            out = model(torch.tensor(ids)[None], repr_layers=range(layers + 1),
                        need_head_weights=True, return_contacts=True)
            arrays[f"s{k}_ids"] = ids
            arrays[f"s{k}_logits"] = out["logits"][0].numpy()
            arrays[f"s{k}_hidden"] = torch.stack(
                [out["representations"][i][0] for i in range(layers + 1)]).numpy()
            arrays[f"s{k}_attentions"] = out["attentions"][0].numpy()
            if contacts:
                arrays[f"s{k}_contacts"] = out["contacts"][0].numpy()
        folder = self.folder(name)
        body, regression = OrderedDict(), OrderedDict()
        for k, v in state.items():
            v = v.to(DTYPES[dtype])
            if k.startswith("contact_head."):
                regression[k] = v
            elif k.startswith("lm_head."):
                body["encoder." + k] = v
            else:
                body["encoder.sentence_encoder." + k] = v
        cfg = {"model": Namespace(encoder_layers=layers, encoder_embed_dim=d,
                                  encoder_attention_heads=heads, token_dropout=True,
                                  arch="esm2", dropout=0.0)}
        path = folder / f"{name.replace('-', '_')}_UR50D.pt"
        torch.save({"cfg": cfg, "model": body}, path)
        if contacts:
            torch.save({"model": regression}, path.with_name(path.stem + "-contact-regression.pt"))
        self.done(name, path, "ESM-2", dtype, arrays, head=True)

    def fair(self):
        self.fair_case("fair-f32", seed=31)
        self.fair_case("fair-f16", "F16", seed=32)
        self.fair_case("fair-no-contacts", seed=33, contacts=False)
        if not self.small:
            self.fair_case("fair-8m", seed=34, lengths=(30, 254), layers=6, d=320, heads=20)

    # --- GPT-NeoX -----------------------------------------------------------------------------

    def neox_model(self, seed, dtype, **change):
        sizes = dict(vocab_size=120, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                     intermediate_size=256, max_position_embeddings=2048, bos_token_id=0,
                     eos_token_id=0, use_parallel_residual=True, rotary_pct=0.25)
        sizes.update(change)
        config = GPTNeoXConfig(**sizes)
        config._attn_implementation = "eager"
        model = GPTNeoXForCausalLM(config).eval()
        randomise(model, seed)
        model.tie_weights()
        return rounded(model, dtype)

    def neox_case(self, name, write, dtype="F32", lengths=(1, 7, 33, 64), seed=1, **change):
        if not self.wants(name):
            return
        model = self.neox_model(seed, DTYPES[dtype], **change)
        rng = np.random.default_rng(seed)
        arrays = {}
        for k, length in enumerate(lengths):
            ids = rng.integers(0, model.config.vocab_size, length)
            x = torch.tensor(ids)[None]
            out = model(x, output_hidden_states=True, output_attentions=True)
            arrays[f"s{k}_ids"] = ids
            arrays[f"s{k}_logits"] = out.logits[0].numpy()
            arrays[f"s{k}_hidden"] = torch.stack([h[0] for h in out.hidden_states]).numpy()
            arrays[f"s{k}_attentions"] = torch.stack([a[0] for a in out.attentions]).numpy()
            greedy = model.generate(x, attention_mask=torch.ones_like(x), do_sample=False,
                                    max_new_tokens=GREEDY, min_new_tokens=GREEDY,
                                    eos_token_id=None, pad_token_id=0)
            arrays[f"s{k}_greedy"] = greedy[0, length:].numpy()
            assert len(arrays[f"s{k}_greedy"]) == GREEDY
        folder = self.folder(name)
        write(model, folder, DTYPES[dtype])
        self.done(name, folder, "GPT-NeoX", dtype, arrays, head=True)

    @staticmethod
    def neox_state4(model, dtype):
        """As transformers before 4.30 did it: masks and frequencies stored too."""
        state = OrderedDict()
        config = model.config
        bands = model.gpt_neox.rotary_emb.inv_freq.half()
        side = config.max_position_embeddings
        for k, v in model.state_dict().items():
            state[k.replace("lm_head.", "embed_out.")] = v.to(dtype)
        for layer in range(config.num_hidden_layers):
            at = f"gpt_neox.layers.{layer}.attention."
            state[at + "bias"] = torch.tril(torch.ones(side, side, dtype=torch.uint8))[None, None]
            state[at + "masked_bias"] = torch.tensor(-1e9).to(dtype)
            state[at + "rotary_emb.inv_freq"] = bands.clone()
        return state

    def neox_old(self, model, folder, dtype):
        torch.save(self.neox_state4(model, dtype), folder / "pytorch_model.bin")
        share = model.config.rope_parameters["partial_rotary_factor"]
        self.config4(model, folder, rotary_pct=share, rotary_emb_base=10000)

    def neox_old_safetensors(self, model, folder, dtype):
        save_file({k: v.contiguous().clone() for k, v in self.neox_state4(model, dtype).items()},
                  folder / "model.safetensors", metadata={"format": "pt"})
        share = model.config.rope_parameters["partial_rotary_factor"]
        self.config4(model, folder, rotary_pct=share, rotary_emb_base=10000)

    def neox_state5(self, model, folder, dtype):
        torch.save(model.to(dtype).state_dict(), folder / "pytorch_model.bin")
        model.config.save_pretrained(folder)

    def neox(self):
        case = self.neox_case
        case("neox-v5-f32", self.save5, seed=41)
        case("neox-v5-f16", self.save5, "F16", seed=42)
        case("neox-v5-bf16", self.save5, "BF16", seed=43)
        case("neox-v5-shards", lambda m, f, t: self.save5(m, f, t, max_shard_size="150KB"),
             seed=44)
        case("neox-v5-sequential", self.save5, seed=45, use_parallel_residual=False)
        case("neox-v5-no-bias", self.save5, seed=46, attention_bias=False)
        case("neox-v5-tied", self.save5, seed=47, tie_word_embeddings=True)
        case("neox-v5-gelu-new", self.save5, seed=48, hidden_act="gelu_new")
        case("neox-v5-gelu-fast", self.save5, seed=49, hidden_act="gelu_fast")
        case("neox-v5-whole-rotary", self.save5, seed=50, rotary_pct=1.0)
        case("neox-v5-theta", self.save5, seed=51, rotary_emb_base=500000.0)
        case("neox-v5-state-dict", self.neox_state5, seed=52)
        case("neox-old-bin", self.neox_old, "F16", seed=53, max_position_embeddings=128)
        case("neox-old-safetensors", self.neox_old_safetensors, "F16", seed=54,
             max_position_embeddings=128, use_parallel_residual=False)
        if not self.small:
            for t, s in (("F32", 60), ("F16", 61), ("BF16", 62)):
                case(f"neox-70m-{t.lower()}", self.save5, t, seed=s, lengths=(7, 64, 160),
                     vocab_size=50304, hidden_size=512, num_hidden_layers=6,
                     num_attention_heads=8, intermediate_size=2048)
            case("neox-70m-sequential", self.save5, "F16", seed=63, lengths=(7, 64),
                 vocab_size=50304, hidden_size=512, num_hidden_layers=6, num_attention_heads=8,
                 intermediate_size=2048, use_parallel_residual=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out")
    parser.add_argument("--only")
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    maker = Maker(args.out, args.only, args.small)
    maker.esm()
    maker.fair()
    maker.neox()
    index = maker.out / "cases.json"
    known = json.loads(index.read_text()) if index.exists() and args.only else {}
    known.update(maker.cases)
    index.write_text(json.dumps(known, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
