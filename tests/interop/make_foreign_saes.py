#!/usr/bin/env python3
"""Write SAEs with the libraries that people use, and what those libraries make of given inputs.

    make_foreign_saes.py OUT [--tiny] [--only WORD]

OUT/<case>/…              the SAE as its library saves it
OUT/expected/<case>.npz   x [N,D], acts [N,F], recon [N,D] from the library itself
OUT/cases.json            what each case is, and which conversions it allows

Needs PyTorch, sae-lens, dictionary-learning and eai-sparsify from PyPI. InterPLM and Gemma Scope
are not on PyPI: their files are written here with the keys that their loaders read. --tiny writes
the small set of tests/fixtures/sae.
"""
import argparse
import json
import math
import os
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

os.environ.setdefault("SPARSIFY_DISABLE_TRITON", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import torch
from torch import nn

torch.set_grad_enabled(False)


# The paper's MNIST models are pickled whole; the classes must live in __main__.
class SAE_l1w_encoder_decoder(nn.Module):
    penalty_key = "l1_w"

    def __init__(self, input_dim, hidden_dim, l1, weight, seed, biases):
        super().__init__()
        self.input_dim, self.hidden_dim, self.l1, self.seed = input_dim, hidden_dim, l1, seed
        setattr(self, type(self).penalty_key, weight)
        self.encoder = nn.Linear(input_dim, hidden_dim, bias=biases)
        self.decoder = nn.Linear(hidden_dim, input_dim, bias=False)
        if biases:
            self.b_dec = nn.Parameter(torch.zeros(input_dim))

    def encode(self, x):
        return torch.relu(self.encoder(x - self.b_dec if hasattr(self, "b_dec") else x))

    def decode(self, z):
        return self.decoder(z) + (self.b_dec if hasattr(self, "b_dec") else 0)


class SAE_l2w_encoder_decoder(SAE_l1w_encoder_decoder):
    penalty_key = "l2_w"


class Maker:
    def __init__(self, out, tiny, only):
        self.out, self.tiny, self.only = Path(out), tiny, only
        self.d, self.f, self.n = (8, 24, 6) if tiny else (48, 256, 64)
        self.cases = []
        (self.out / "expected").mkdir(parents=True, exist_ok=True)

    def inputs(self, name, d):
        g = torch.Generator().manual_seed(sum(name.encode()))
        return torch.randn(2 if d > 256 else self.n, d, generator=g) * 1.5 + 0.3

    def fold(self, name):
        folder = self.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def wants(self, name):
        return not self.only or self.only in name

    def record(self, name, path, x, acts, recon, **facts):
        def plain(t):
            t = t.to_dense() if t.is_sparse else t
            return t.float().reshape(len(x), -1).numpy()

        np.savez_compressed(self.out / "expected" / f"{name}.npz", x=x.numpy(), acts=plain(acts),
                            recon=plain(recon))
        facts.setdefault("convert", [])
        self.cases.append(dict(name=name, path=str(Path(path).relative_to(self.out)), **facts))

    def refused(self, name, path, why):
        self.cases.append(dict(name=name, path=str(Path(path).relative_to(self.out)), refused=why))

    def finish(self):
        (self.out / "cases.json").write_text(json.dumps(self.cases, indent=1) + "\n")


def randomise(module, seed, scale=0.3):
    """Every parameter away from its initial zeros, so that a swapped bias cannot hide."""
    g = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        p.data += torch.randn(p.shape, generator=g) * scale
    return module


# --- dictionary_learning ------------------------------------------------------------------------


def trainer_config(dict_class, d, f, **more):
    return {"trainer": {"trainer_class": more.pop("trainer_class", dict_class + "Trainer"),
                        "dict_class": dict_class, "activation_dim": d, "dict_size": f,
                        "lr": 5e-5, "steps": 100, "layer": 3,
                        "lm_name": "EleutherAI/pythia-70m-deduped",
                        "submodule_name": "resid_post_layer_3", "wandb_name": dict_class,
                        "device": "cpu", **more},
            "buffer": {"d_submodule": d, "io": "out", "n_ctxs": 244, "ctx_len": 1024}}


def dictionary_learning(m):
    from dictionary_learning.dictionary import (AutoEncoder, AutoEncoderNew, GatedAutoEncoder,
                                                JumpReluAutoEncoder)
    from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
    from dictionary_learning.trainers.top_k import AutoEncoderTopK

    d, f, k = m.d, m.f, 4 if m.tiny else 16
    groups = [f // 4, f // 4, f - 2 * (f // 4)]

    def save(name, ae, config, acts=None, convert=(), state=None, **facts):
        if not m.wants(name):
            return
        folder = m.fold(name)
        torch.save({key: v.cpu() for key, v in ae.state_dict().items()} if state is None else state,
                   folder / "ae.pt")
        if config:
            (folder / "config.json").write_text(json.dumps(config, indent=4))
        x = m.inputs(name, d)
        z = ae.encode(x) if acts is None else acts(x)
        m.record(name, folder, x, z, ae.decode(z), format="dictionary_learning", dict_size=f,
                 activation_dim=d, convert=list(convert), **facts)

    torch.manual_seed(1)
    ae = AutoEncoder(d, f)
    ae.bias.data.normal_(0, 0.3)
    ae.encoder.bias.data.normal_(0, 0.3)
    save("dl_autoencoder", ae, trainer_config("AutoEncoder", d, f, seed=None, l1_penalty=0.1),
         arch="relu", seed=None, convert=("saelens", "dictionary_learning"))
    save("dl_autoencoder_new", randomise(AutoEncoderNew(d, f), 2),
         trainer_config("AutoEncoder", d, f, seed=5, trainer_class="StandardTrainerAprilUpdate"),
         arch="relu", seed=5, convert=("saelens", "dictionary_learning"))
    save("dl_gated", randomise(GatedAutoEncoder(d, f), 3),
         trainer_config("GatedAutoEncoder", d, f, seed=1), arch="gated", seed=1,
         convert=("saelens", "dictionary_learning"))
    jump = randomise(JumpReluAutoEncoder(d, f), 4)
    jump.threshold.data = torch.rand(f) * 0.5
    save("dl_jumprelu", jump, trainer_config("JumpReluAutoEncoder", d, f, seed=2), arch="jumprelu",
         seed=2, convert=("saelens", "dictionary_learning"))

    topk = AutoEncoderTopK(d, f, k)
    topk.b_dec.data.normal_(0, 0.3)
    topk.encoder.bias.data.normal_(0, 0.3)
    assert topk.encoder.weight.stride() == (1, f), "tied initialisation leaves transposed strides"
    save("dl_topk", topk, trainer_config("AutoEncoderTopK", d, f, seed=0, k=k, l2_w=1e-4,
                                         trainer_class="TopKTrainerL2"),
         arch="topk", k=k, seed=0, penalty="l2",
         convert=("saelens", "sparsify", "dictionary_learning"), **{"lambda": 1e-4})
    contiguous = {key: v.contiguous() for key, v in topk.state_dict().items()}
    save("dl_topk_contiguous", topk, trainer_config("AutoEncoderTopK", d, f, seed=0, k=k),
         state=contiguous, arch="topk", k=k, convert=("saelens", "sparsify"))
    save("dl_topk_no_config", topk, None, arch="topk", k=k)
    for name, threshold in (("dl_batchtopk", 0.25), ("dl_batchtopk_unmeasured", -1.0)):
        batch = randomise(BatchTopKSAE(d, f, k), 5)
        batch.threshold.fill_(threshold)
        # Not measured: upstream's comparison with -1 keeps everything; top k is what was trained.
        per_row = (lambda x, b=batch: AutoEncoderTopK.encode(b, x)) if threshold < 0 else None
        save(name, batch, trainer_config("BatchTopKSAE", d, f, seed=0, k=k), acts=per_row,
             arch="batchtopk", k=k,
             convert=("saelens", "dictionary_learning") if threshold >= 0 else ("saelens",))
    nested = randomise(MatryoshkaBatchTopKSAE(d, f, k, groups), 6)
    nested.threshold.fill_(0.3)
    save("dl_matryoshka", nested,
         trainer_config("MatryoshkaBatchTopKSAE", d, f, seed=0, k=k, group_sizes=groups, l1_w=1e-3,
                        trainer_class="MatryoshkaBatchTopKTrainerL1"),
         arch="matryoshka", k=k, penalty="l1", convert=("saelens", "dictionary_learning"),
         **{"lambda": 1e-3})

    if m.wants("dl_backup"):
        folder, factor, x = m.fold("dl_backup"), 7.25, m.inputs("dl_backup", d)
        config = trainer_config("AutoEncoderTopK", d, f, seed=0, k=k, l2_w=0.0)
        optimizer = torch.optim.Adam(topk.parameters(), lr=1e-3)
        torch.save({"step": 500, "ae": topk.state_dict(), "optimizer": optimizer.state_dict(),
                    "config": config["trainer"], "norm_factor": factor}, folder / "ae.pt")
        (folder / "config.json").write_text(json.dumps(config))
        z = topk.encode(x / factor)
        m.record("dl_backup", folder, x, z, topk.decode(z) * factor, arch="topk", k=k, backup=True,
                 format="dictionary_learning", activation_dim=d, dict_size=f, seed=0)


# --- SAELens ------------------------------------------------------------------------------------


def saelens(m):
    from sae_lens import SAE
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.gated_sae import GatedSAE, GatedSAEConfig
    from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.matryoshka_batchtopk_sae import (MatryoshkaBatchTopKTrainingSAE,
                                                        MatryoshkaBatchTopKTrainingSAEConfig)
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
    from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig

    d, f, k = m.d, m.f, 4 if m.tiny else 16
    classes = {"standard": (StandardSAE, StandardSAEConfig), "topk": (TopKSAE, TopKSAEConfig),
               "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig), "gated": (GatedSAE, GatedSAEConfig)}
    ours = {"standard": "relu"}

    def expect(name, folder, heads=0, **facts):
        sae = SAE.load_from_disk(folder, dtype="float32")
        x = m.inputs(name, d)
        given = x.reshape(len(x), heads, d // heads) if heads else x
        acts = sae.encode(given)
        m.record(name, folder, x, acts, sae.decode(acts), format="saelens", activation_dim=d,
                 dict_size=f, **facts)

    def save(name, arch, heads=0, convert=("saelens",), **settings):
        if not m.wants(name):
            return
        sae_class, config_class = classes[arch]
        if arch == "topk":
            settings["k"] = k
        cfg = config_class(d_in=d, d_sae=f, **settings)
        cfg.metadata.hook_name = "blocks.2.attn.hook_z" if heads else "blocks.2.hook_resid_post"
        cfg.metadata.model_name = "pythia-70m-deduped"
        sae = randomise(sae_class(cfg), 11)
        if arch == "jumprelu":
            sae.threshold.data = torch.rand(f, dtype=sae.threshold.dtype) * 0.5
        folder = m.fold(name)
        sae.save_model(folder)
        facts = {"k": k} if arch == "topk" else {}
        expect(name, folder, heads, arch=ours.get(arch, arch), convert=list(convert), layer=2,
               **facts)

    for arch in classes:
        for pre in (True, False):
            also = {"standard": ("dictionary_learning",),
                    "topk": ("sparsify", "dictionary_learning") if pre else (),
                    "jumprelu": () if pre else ("dictionary_learning",),
                    "gated": ("dictionary_learning",) if pre else ()}[arch]
            save(f"lens_{arch}{'' if pre else '_raw'}", arch, apply_b_dec_to_input=pre,
                 convert=("saelens",) + also)
    save("lens_topk_rescale", "topk", rescale_acts_by_decoder_norm=True)
    for norm in ("expected_average_only_in", "constant_norm_rescale", "layer_norm"):
        save(f"lens_standard_{norm}", "standard", normalize_activations=norm)
    save("lens_topk_layer_norm", "topk", normalize_activations="layer_norm",
         rescale_acts_by_decoder_norm=True)
    save("lens_hook_z", "standard", heads=4, reshape_activations="hook_z")
    save("lens_bfloat16", "standard", dtype="bfloat16")
    save("lens_float16", "jumprelu", dtype="float16")

    for name, train_class, config_class, more in (
            ("lens_batchtopk", BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, {}),
            ("lens_matryoshka", MatryoshkaBatchTopKTrainingSAE,
             MatryoshkaBatchTopKTrainingSAEConfig, {"matryoshka_widths": [f // 4, f // 2, f]})):
        if m.wants(name):
            sae = randomise(train_class(config_class(d_in=d, d_sae=f, k=float(k), **more)), 12)
            sae.topk_threshold.fill_(0.4)
            folder = m.fold(name)
            sae.save_inference_model(folder)
            expect(name, folder, arch="jumprelu", convert=["saelens"])

    from safetensors.torch import save_file
    old = {"d_in": d, "d_sae": f, "dtype": "torch.float32", "device": "cpu", "seed": 42,
           "model_name": "gpt2-small", "hook_layer": 8, "context_size": 128,
           "dataset_path": "x/y", "prepend_bos": True}
    variants = {
        "lens_old_topk": dict(hook_name="blocks.8.hook_resid_pre", activation_fn_str="topk",
                              activation_fn_kwargs={"k": k}, normalize_activations="none",
                              apply_b_dec_to_input=True, finetuning_scaling_factor=False,
                              sae_lens_training_version="3.20.1"),
        "lens_old_standard": dict(hook_point="blocks.8.hook_resid_pre",
                                  activation_fn_str="relu", normalize_activations=False,
                                  l1_coefficient=8e-5),
    }
    for name, settings in variants.items():
        if not m.wants(name):
            continue
        folder = m.fold(name)
        g = torch.Generator().manual_seed(13)
        tensors = {key: torch.randn(shape, generator=g) * 0.3 for key, shape in
                   (("W_enc", (d, f)), ("W_dec", (f, d)), ("b_enc", (f,)), ("b_dec", (d,)))}
        if "standard" in name:
            tensors["scaling_factor"] = torch.ones(f)
        save_file(tensors, folder / "sae_weights.safetensors")
        cfg = {**old, **settings}
        cfg["dtype"] = "float32"
        (folder / "cfg.json").write_text(json.dumps(cfg))
        facts = {"k": k} if "topk" in name else {}
        expect(name, folder, arch="topk" if "topk" in name else "relu", layer=8, seed=42,
               convert=["saelens"], **facts)

    for name, arch, settings in (
            ("refused_lens_whitening", "standard",
             {"normalize_activations": "covariance_whitening"}),
            ("refused_lens_temporal", "standard", {})):
        if m.wants(name):
            sae_class, config_class = classes[arch]
            folder = m.fold(name)
            sae_class(config_class(d_in=d, d_sae=f, **settings)).save_model(folder)
            if "temporal" in name:
                cfg = json.loads((folder / "cfg.json").read_text())
                cfg["architecture"] = "temporal"
                (folder / "cfg.json").write_text(json.dumps(cfg))
            m.refused(name, folder, "covariance_whitening" if "whitening" in name else "temporal")


# --- sparsify -----------------------------------------------------------------------------------


def sparsify(m):
    from sparsify import SparseCoder, SparseCoderConfig

    d, f, k = m.d, m.f, 4 if m.tiny else 16

    def coder(cfg, seed):
        torch.manual_seed(seed)
        sae = SparseCoder(d, cfg)
        for p in (sae.encoder.bias, sae.b_dec):
            p.data.normal_(0, 0.3)
        if sae.W_skip is not None:
            sae.W_skip.data.normal_(0, 0.2)
        if not cfg.normalize_decoder:
            sae.W_dec.data *= 1.7
        return sae

    def save(name, where, cfg, seed=0, **facts):
        if not m.wants(name):
            return
        sae, folder = coder(cfg, seed), m.fold(name) / where
        sae.save_to_disk(folder)
        x = m.inputs(name, d)
        top, indices, _ = sae.encode(x)
        acts = torch.zeros(len(x), sae.num_latents).scatter_(-1, indices, top)
        m.record(name, folder, x, acts, sae(x).sae_out, format="sparsify", activation_dim=d,
                 dict_size=sae.num_latents, k=k, **facts)

    plain = dict(num_latents=f, k=k)
    save("sparsify_topk", ".", SparseCoderConfig(**plain), arch="topk",
         convert=["saelens", "sparsify", "dictionary_learning"])
    save("sparsify_groupmax", ".", SparseCoderConfig(activation="groupmax", **plain),
         arch="groupmax", convert=["sparsify"])
    save("sparsify_free_decoder", ".", SparseCoderConfig(normalize_decoder=False, **plain),
         arch="topk", convert=["sparsify"])
    save("sparsify_skip", ".", SparseCoderConfig(skip_connection=True, **plain), arch="topk",
         convert=["sparsify"])
    save("sparsify_expansion", ".", SparseCoderConfig(expansion_factor=3, k=k), arch="topk",
         convert=["sparsify"])
    for seed in (0, 1):
        save(f"sparsify_seed{seed}", f"layers.3/seed{seed}", SparseCoderConfig(**plain), seed=seed,
             arch="topk", layer=3)
    if m.wants("refused_sparsify_transcode"):
        folder = m.fold("refused_sparsify_transcode")
        coder(SparseCoderConfig(transcode=True, **plain), 3).save_to_disk(folder)
        m.refused("refused_sparsify_transcode", folder, "transcoder")


# --- files whose libraries are not packages -------------------------------------------------------


def interplm(m):
    d, f, k = m.d, m.f, 4 if m.tiny else 16
    g = torch.Generator().manual_seed(21)

    def normal(*shape, scale=0.4):
        return torch.randn(*shape, generator=g) * scale

    def scaled(x):
        norm = x.norm(dim=-1, keepdim=True)
        return x / norm * math.sqrt(x.shape[-1]), norm / math.sqrt(x.shape[-1])

    for name, kind, sqrt_d in (("interplm_relu", "relu", False), ("interplm_sqrt_d", "relu", True),
                               ("interplm_jumprelu", "jumprelu", True),
                               ("interplm_topk", "topk", False)):
        if not m.wants(name):
            continue
        folder = m.fold(name) / "layer_4"
        folder.mkdir()
        state = OrderedDict()
        w, b, w_dec, b_dec = normal(f, d), normal(f), normal(d, f), normal(d)
        state["encoder.weight"], state["encoder.bias"], state["decoder.weight"] = w, b, w_dec
        state[{"relu": "bias", "jumprelu": "decoder.bias", "topk": "b_dec"}[kind]] = b_dec
        threshold = torch.rand(f, generator=g) * 0.5
        if kind == "jumprelu":
            state["threshold"] = threshold
        if kind == "topk":
            state["k"], state["threshold"] = torch.tensor(k, dtype=torch.int), torch.tensor(-1.0)
        state["activation_rescale_factor"] = torch.rand(f, generator=g) * 9 + 1
        state["normalize_to_sqrt_d"] = torch.tensor(sqrt_d)
        torch.save(state, folder / ("ae_normalized.pt" if kind == "relu" else "ae.pt"))
        x = m.inputs(name, d)
        inner, back = scaled(x) if sqrt_d else (x, torch.ones(len(x), 1))
        z = (inner if kind == "jumprelu" else inner - b_dec) @ w.T + b
        if kind == "jumprelu":
            acts = torch.relu(z * (z > threshold))
        elif kind == "topk":
            top = torch.relu(z).topk(k, dim=-1)
            acts = torch.zeros_like(z).scatter_(-1, top.indices, top.values)
        else:
            acts = torch.relu(z)
        m.record(name, folder, x, acts, (acts @ w_dec.T + b_dec) * back, format="interplm",
                 arch=kind, layer=4, activation_dim=d, dict_size=f)


def gemma_scope(m):
    d, f = m.d, m.f
    g = np.random.default_rng(31)
    for name, write in (("gemma_scope", np.savez), ("gemma_scope_deflated", np.savez_compressed)):
        if not m.wants(name):
            continue
        folder = m.fold(name) / "layer_12" / "width_16k" / "average_l0_82"
        folder.mkdir(parents=True)
        p = {key: (g.normal(size=shape) * 0.4).astype(np.float32) for key, shape in
             (("W_enc", (d, f)), ("W_dec", (f, d)), ("b_enc", (f,)), ("b_dec", (d,)))}
        p["threshold"] = g.uniform(0, 0.8, f).astype(np.float32)
        write(folder / "params.npz", **p)
        x = m.inputs(name, d)
        z = x.numpy() @ p["W_enc"] + p["b_enc"]
        acts = np.where(z > p["threshold"], np.maximum(z, 0), 0)
        m.record(name, folder, x, torch.tensor(acts), torch.tensor(acts @ p["W_dec"] + p["b_dec"]),
                 format="gemma_scope", arch="jumprelu", layer=12, activation_dim=d, dict_size=f,
                 convert=["saelens", "dictionary_learning"])


def mnist_pickles(m):
    def save(name, model, file, **facts):
        if not m.wants(name):
            return
        folder = m.fold(name)
        torch.save(model, folder / file)
        x = m.inputs(name, model.input_dim).abs()
        z = model.encode(x)
        m.record(name, folder / file, x, z, model.decode(z), format="mnist_pickle", arch="relu",
                 activation_dim=model.input_dim, dict_size=model.hidden_dim, **facts)

    d, f = m.d, m.f
    torch.manual_seed(41)
    arm_t = SAE_l2w_encoder_decoder(d, f, 0.1, 1e-5, 2, True)
    unit = arm_t.decoder.weight / arm_t.decoder.weight.norm(dim=0)
    arm_t.decoder.weight.data = unit
    arm_t.encoder.weight.data = unit.T.clone()
    arm_t.encoder.bias.data.normal_(0, 0.2)
    arm_t.b_dec.data.normal_(0, 0.2)
    assert arm_t.encoder.weight.stride() == (1, f)
    save("mnist_t_l2", arm_t, "sae_l1w_l1_0.1_l2w_1e-05_100ep_tied_init_seed_2.pt", seed=2,
         penalty="l2", decoder_constraint="renorm", convert=["saelens", "dictionary_learning"],
         **{"lambda": 1e-5})
    arm_u = SAE_l1w_encoder_decoder(d, f, 0.1, 1e-3, 1, False)
    save("mnist_u_l1", arm_u, "sae_l1w_l1_0.1_l1w_0.001_100ep_seed_1.pt", seed=1, penalty="l1",
         decoder_constraint="none", convert=["saelens", "dictionary_learning"],
         **{"lambda": 1e-3})
    # A name that contradicts the attributes: the attributes are right.
    save("mnist_name_conflict", arm_t, "sae_l1w_l1_0.1_l2w_0.01_100ep_seed_0.pt", seed=2,
         penalty="l2", **{"lambda": 1e-5})
    image = SAE_l2w_encoder_decoder(784, 2 if m.tiny else 64, 0.1, 0.0, 0, False)
    save("mnist_u_784", image, "sae_l1w_l1_0.1_l2w_0_100ep_seed_0.pt", seed=0, penalty="none",
         **{"lambda": 0})


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def hostile(m):
    if m.wants("refused_pickle"):
        folder = m.fold("refused_pickle")
        torch.save({"encoder.weight": torch.zeros(4, 2), "x": Evil()}, folder / "ae.pt")
        m.refused("refused_pickle", folder, "system")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--tiny", action="store_true")
    p.add_argument("--only", default="")
    args = p.parse_args()
    m = Maker(args.out, args.tiny, args.only)
    for family in (dictionary_learning, saelens, sparsify, interplm, gemma_scope, mnist_pickles,
                   hostile):
        family(m)
    m.finish()
    print(f"{len(m.cases)} SAEs in {args.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
