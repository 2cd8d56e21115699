"""Writes tests/golden/real/golden.safetensors: what transformers and peft say of SmolLM2-135M-Instruct, Q4_1.

    python make_real.py MODEL.gguf     (packages: see reference.py; README.md defines each tensor; some minutes)
"""
import hashlib
import os
import sys

import numpy as np
import torch
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

import reference as ref

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "real")
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FULL = (0, 15, 29)  # blocks whose gradients are kept whole
STORY = """The harbour town woke before the sun did. Fishermen carried their nets down the stone steps, bakers opened
their shutters, and the ferry to the islands blew its horn twice. On the pier stood a girl with a red suitcase, who had
never left the valley where she was born. In 1974 her grandmother had taken the same boat, with 12 coins in her pocket
and a letter that nobody was allowed to read. "You will see," the old woman had said, "the sea forgets everything, but
the people on the other side do not." So the girl counted the waves, as far as one hundred and twenty-three, and then
she began again. When the water turned from grey to green she knew that they were far from land. A man in a blue coat
sat down beside her and asked whether she was hungry; he had bread, cheese and three apples. They ate without a word.
Behind them the town grew small, first the boats, then the houses, then the church with its crooked tower, until there
was only a line between water and sky. def wait(n): return [i ** 2 for i in range(n)] was what the man's notebook said
on its first page, and on the second one: "Temperature 17.5, wind from the north-west, all is well."
"""
PROMPTS = [
    ("The", 1), ("The capital", 2), ("1 2 3 4 5", 7), ("The capital of France is Paris, and the capital of Italy is", 13),
    ("<|im_start|>user\nName three colours of the rainbow.<|im_end|>\n<|im_start|>assistant\n", 0),
    ("Question: Which metal is liquid at room temperature?\nAnswer:", 0), (STORY, 128), (STORY + STORY, 295),
]


def tokenizer(path):
    fields = GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ", 1)) for m in fields["tokenizer.ggml.merges"].contents()]
    t = Tokenizer(models.BPE(vocab={x: i for i, x in enumerate(tokens)}, merges=merges))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.add_special_tokens([AddedToken(x, normalized=False) for x, k in zip(tokens, types) if k == 3])
    return t


def batch(tok):
    lines = [("The capital of France is", " Rome"), ("Ticket: the screen of my laptop stays black\nTeam:", " hardware"),
             ("", "Water boils at 100 degrees, and ice melts at 0.")]
    out = []
    for prompt, completion in lines:
        whole, ctx = tok.encode(prompt + completion).ids, tok.encode(prompt).ids
        ids = whole + [2] if prompt else [1] + whole + [2]
        first = len(ctx) if prompt else 1
        out.append((ids, [0] * first + [1] * (len(ids) - first)))
    return out


def main(path):
    assert hashlib.sha256(open(path, "rb").read()).hexdigest() == SHA256
    os.makedirs(HERE, exist_ok=True)
    tok, golden = tokenizer(path), {}
    model = ref.load(path)
    for k, (text, n) in enumerate(PROMPTS):
        ids = tok.encode(text).ids
        ids = ids[:n] if n else ids
        with torch.no_grad():
            logp = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0], dim=-1)
        top, top_ids = torch.topk(logp, 10, dim=-1)
        golden[f"prompt.{k}.ids"] = np.array(ids, dtype=np.int32)
        golden[f"prompt.{k}.top_ids"] = top_ids.numpy().astype(np.int32)
        golden[f"prompt.{k}.top_logp"] = top.numpy()
        print(k, len(ids), repr(tok.decode([int(top_ids[-1, 0])])), float(top[-1, 0]))
    lines = batch(tok)
    for k, (ids, mask) in enumerate(lines):
        golden[f"batch.{k}.ids"] = np.array(ids, dtype=np.int32)
        golden[f"batch.{k}.mask"] = np.array(mask, dtype=np.int32)
    peft = ref.double(ref.adapt(model, 2, 4, 7))
    loss, grads = ref.gradients(peft, lines)
    golden["loss"] = np.array([loss], dtype=np.float32)
    for name, g in grads.items():
        golden["norm." + name] = np.array([np.sqrt((g.astype(np.float64) ** 2).sum())], dtype=np.float32)
        if int(name.split(".")[2]) in FULL:
            golden["grad." + name] = g
    golden["losses.1e-5"] = np.array(ref.train(peft, lines, 1e-5, 10), dtype=np.float32)
    print("loss", loss, golden["losses.1e-5"])
    ref.save(golden, os.path.join(HERE, "golden.safetensors"))


main(sys.argv[1])
