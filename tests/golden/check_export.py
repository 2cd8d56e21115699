"""Do other programs read what lethe exports and merges, and find the same values?

    python check_export.py LETHE          (packages: see reference.py; LETHE is the program, with a device to open)

From hf/sharded and tiny/tiny.gguf: GGUF files of all types by the package gguf, tensor by tensor, bit by bit (Q8_0: the
blocks that its own quantiser makes); Hugging Face directories by transformers, whose state must be that of the original;
tokenizer.json by tokenizers. Then merged adapters by transformers, against peft's own merging: within 1e-6 a weight.
Prints a line a check and exits 1 when one fails.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from gguf import GGMLQuantizationType as Q, GGUFReader, dequantize
from gguf.quants import quantize
from peft import PeftModel
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

import reference as ref

ROOT = os.path.dirname(os.path.abspath(__file__))
SUITE = os.path.join(ROOT, "..", "..", "probes", "sets", "sentences.jsonl")
failed = 0


def say(what, good):
    global failed
    failed += not good
    print("holds " if good else "FAILS ", what)


def lethe(*words):
    subprocess.run([sys.argv[1], *words, "--quiet", "--probes", SUITE], check=True, stdout=subprocess.DEVNULL)


def tensors(path):
    return {t.name: t for t in GGUFReader(path).tensors}


def file_check(name, path, want, kind):
    """want: what each tensor is in f32, in the order of a GGUF file."""
    got = tensors(path)
    good = set(got) == set(want)
    for key, x in want.items():
        t = got[key]
        vector = x.ndim == 1
        good = good and t.tensor_type == (Q.F32 if vector else kind)
        good = good and np.array_equal(np.asarray(t.data).view(np.uint8).ravel(),
                                       x.view(np.uint8).ravel() if vector else quantize(x, kind).view(np.uint8).ravel())
    say(f"{name} as {kind.name} in the package gguf: {len(got)} tensors", good)


def state(folder):
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().state_dict()


def folder_check(name, folder, want, strings):
    got = state(folder)
    say(f"{name} in transformers: {len(got)} tensors",
        set(got) == set(want) and all(torch.equal(got[k], want[k]) for k in want))
    mine, golden = Tokenizer.from_file(os.path.join(folder, "tokenizer.json")), strings
    say(f"{name} in tokenizers: {len(golden)} texts",
        all(mine.encode(s, add_special_tokens=False).ids == ids for s, ids in golden))


def adapter_check(name, folder, base, adapter):
    peft = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    want, got = peft.merge_and_unload().state_dict(), state(folder)
    worst = max(float((got[k] - want[k]).abs().max()) for k in want)
    say(f"{name} merged as peft merges: {worst:.2g} apart", worst < 1e-6)


def main():
    tiny, sharded = os.path.join(ROOT, "tiny", "tiny.gguf"), os.path.join(ROOT, "hf", "sharded")
    with open(os.path.join(ROOT, "hf", "tokens.jsonl"), encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    sources = {
        "tiny": (tiny, {k: np.ascontiguousarray(dequantize(t.data, t.tensor_type)) for k, t in tensors(tiny).items()}),
        "sharded": (sharded, {k: np.ascontiguousarray(dequantize(t.data, t.tensor_type)).astype(np.float32)
                              for k, t in tensors(sharded + ".gguf").items()}),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, (path, want) in sources.items():
            for kind in (Q.F32, Q.F16, Q.Q8_0):
                to = os.path.join(folder, f"{name}.{kind.name}.gguf")
                lethe("export", path, to, "--to", "gguf", "--type", kind.name.lower())
                file_check(name, to, want, kind)
        ids = Tokenizer.from_file(os.path.join(sharded, "tokenizer.json"))
        for name, path, model, strings in (
                ("sharded", sharded, state(sharded), [(x["s"], x["sharded"]) for x in lines]),
                ("sharded.gguf", sharded + ".gguf", state(sharded),
                 [(x["s"], ids.encode(x["s"], add_special_tokens=False).ids) for x in lines]),
                ("tiny.gguf", tiny, ref.load(tiny).state_dict(), [])):
            to = os.path.join(folder, name)
            lethe("export", path, to, "--to", "hf")
            folder_check(name, to, model, strings)
        for name in ("dora", "pattern"):
            to = os.path.join(folder, name)
            lethe("merge", sharded, os.path.join(ROOT, "hf", name), to)
            adapter_check(name, to, sharded, os.path.join(ROOT, "hf", name))
    sys.exit(failed > 0)


main()
