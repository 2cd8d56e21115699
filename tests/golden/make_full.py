"""Writes tests/golden/full/: two small models, and what transformers says of training all their weights.

    python make_full.py     (packages: see reference.py; README.md defines each tensor)
"""
import os
import shutil

import numpy as np
import torch
from gguf import GGMLQuantizationType as Q

import make_tiny as tiny
import reference as ref

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "full")
STEPS = 10
tiny.WIDTH, tiny.HEADS, tiny.KV, tiny.HEAD, tiny.MLP = 32, 2, 1, 16, 48


def start(name):
    return ref.double(ref.load(os.path.join(HERE, name + ".gguf")))


def parameters(model):
    """Name and tensor of what a file holds: a tied head is the embedding."""
    return [(n, p) for n, p in model.named_parameters()]


def rate(name, blocks, decay, tied):
    if "layers." in name:
        return decay ** (blocks - 1 - int(name.split(".")[2]))
    return decay ** blocks if "embed_tokens" in name or (tied and "lm_head" in name) else 1.0


def groups(model, lr, decay, frozen, embedding):
    """A group for each tensor: its rate, and weight decay for all but norms. Blocks below `frozen` are left out."""
    out = []
    for name, p in parameters(model):
        block = int(name.split(".")[2]) if "layers." in name else None
        if (block is not None and block < frozen) or ("embed_tokens" in name and not embedding):
            continue
        out.append({"params": [p], "lr": lr * rate(name, model.config.num_hidden_layers, decay,
                                                   model.config.tie_word_embeddings),
                    "weight_decay": 0.0 if "norm" in name else 0.01})
    return out


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    shutil.rmtree(HERE, ignore_errors=True)
    os.makedirs(HERE)
    tok, tensors = tiny.tokenizer(), tiny.weights()
    tiny.write(os.path.join(HERE, "tied.gguf"), tok, tensors, Q.F32)
    rng = np.random.default_rng(7)
    tensors["output"] = (rng.standard_normal((tiny.VOCAB, tiny.WIDTH)) * 0.5).astype(np.float32)
    tiny.write(os.path.join(HERE, "own.gguf"), tok, tensors, Q.F32)
    golden, lines = {}, tiny.batch(tok)
    for k, (ids, mask) in enumerate(lines):
        golden[f"batch.{k}.ids"] = np.array(ids, dtype=np.int32)
        golden[f"batch.{k}.mask"] = np.array(mask, dtype=np.int32)
    for name in ("tied", "own"):
        model = start(name)
        loss = ref.loss_of(model, lines)
        loss.backward()
        golden[name + ".loss"] = np.array([float(loss.detach())], dtype=np.float32)
        for n, p in parameters(model):
            golden[f"{name}.grad.{n}"] = p.grad.float().numpy()
        model = start(name)
        golden[name + ".losses"] = np.array(ref.train_all(model, lines, groups(model, 1e-3, 1.0, 0, True), STEPS, 0),
                                            dtype=np.float32)
        for n, p in parameters(model):
            golden[f"{name}.final.{n}"] = p.detach().float().numpy()
        # half of the blocks frozen, rates that fall, gradients clipped; a tied head is trained all the same
        model = start(name)
        golden[name + ".layered.losses"] = np.array(
            ref.train_all(model, lines, groups(model, 3e-3, 0.5, 1, name == "tied"), STEPS, 1.0), dtype=np.float32)
        print(name, golden[name + ".losses"], golden[name + ".layered.losses"])
    ref.save(golden, os.path.join(HERE, "golden.safetensors"))


main()
