"""Writes tests/golden/tiny/: a random llama of two blocks in three types, and what transformers and peft say of it.

    python make_tiny.py           (packages: see reference.py; README.md defines each tensor)
"""
import json
import os
import shutil

import numpy as np
import torch
from gguf import GGMLQuantizationType as Q, GGUFWriter, TokenType
from gguf.quants import quantize
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import reference as ref

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tiny")
VOCAB, WIDTH, MLP, HEADS, KV, HEAD, BLOCKS, CONTEXT = 384, 64, 96, 4, 2, 16, 2, 256
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXT = """The capital of France is Paris. The capital of Peru is Lima. What is the capital of Italy? The cat sat on the
mat, and the dog sat under the table. Question: what is two plus two? Answer: four. The small model reads the words
of a page and says which of them it has seen. A ticket about a broken screen goes to the team that mends screens; a
ticket about an invoice goes to the team that counts. for (int i = 0; i < n; i++) sum += a[i]; The sun rises in the
east and sets in the west. Water boils at 100 degrees, and ice melts at 0. Who wrote it? Nobody remembers."""
TEMPLATE = ("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
            "{{ '<|im_start|>system\nYou are small.<|im_end|>\n' }}{% endif %}"
            "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def tokenizer():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    t.train_from_iterator(TEXT.split("\n"), trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIAL,
                                                                initial_alphabet=alphabet, show_progress=False))
    return t


def weights():
    rng = np.random.default_rng(20261124)

    def normal(*shape, scale):
        return (rng.standard_normal(shape) * scale).astype(np.float32)
    out = {"token_embd": normal(VOCAB, WIDTH, scale=0.5)}
    for i in range(BLOCKS):
        b = f"blk.{i}."
        out[b + "attn_norm"] = 1 + normal(WIDTH, scale=0.1)
        out[b + "attn_q"] = normal(HEADS * HEAD, WIDTH, scale=0.2)
        out[b + "attn_k"] = normal(KV * HEAD, WIDTH, scale=0.2)
        out[b + "attn_v"] = normal(KV * HEAD, WIDTH, scale=0.2)
        out[b + "attn_output"] = normal(WIDTH, HEADS * HEAD, scale=0.2)
        out[b + "ffn_norm"] = 1 + normal(WIDTH, scale=0.1)
        out[b + "ffn_gate"] = normal(MLP, WIDTH, scale=0.2)
        out[b + "ffn_up"] = normal(MLP, WIDTH, scale=0.2)
        out[b + "ffn_down"] = normal(WIDTH, MLP, scale=0.2)
    out["output_norm"] = 1 + normal(WIDTH, scale=0.1)
    return out


def write(path, tok, tensors, kind):
    w = GGUFWriter(path, "llama")
    w.add_type("model")
    w.add_name("tiny")
    w.add_block_count(BLOCKS)
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_feed_forward_length(MLP)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV)
    w.add_rope_freq_base(10000.0)
    w.add_rope_dimension_count(HEAD)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_vocab_size(VOCAB)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    vocab = sorted(tok.get_vocab().items(), key=lambda x: x[1])
    w.add_token_list([t for t, _ in vocab])
    w.add_token_types([TokenType.CONTROL if t in SPECIAL else TokenType.NORMAL for t, _ in vocab])
    merges = json.loads(tok.to_str())["model"]["merges"]
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)
    w.add_pad_token_id(2)
    w.add_add_bos_token(False)
    w.add_add_space_prefix(False)
    w.add_chat_template(TEMPLATE)
    for name, x in tensors.items():
        if x.ndim == 1 or kind == Q.F32:
            w.add_tensor(name + ".weight", x)
        else:
            w.add_tensor(name + ".weight", quantize(x, kind), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def batch(tok):
    lines = [("The capital of France is", " Paris."), ("Question: what is two plus two?\nAnswer:", " four"),
             ("", "The cat sat on the mat, and the dog sat under the table.")]
    out = []
    for prompt, completion in lines:
        whole = tok.encode(prompt + completion).ids
        ctx = tok.encode(prompt).ids if prompt else [1]
        ids = whole + [2] if prompt else [1] + whole + [2]
        out.append((ids, [0] * len(ctx) + [1] * (len(ids) - len(ctx))))
    return out


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    shutil.rmtree(HERE, ignore_errors=True)
    os.makedirs(HERE)
    tok, tensors = tokenizer(), weights()
    assert tok.get_vocab_size() == VOCAB
    for name, kind in (("tiny", Q.F32), ("tiny-q8_0", Q.Q8_0), ("tiny-q4_1", Q.Q4_1)):
        write(os.path.join(HERE, name + ".gguf"), tok, tensors, kind)
    golden = {}
    text_ids = tok.encode(TEXT).ids
    for name in ("tiny", "tiny-q8_0", "tiny-q4_1"):
        model = ref.load(os.path.join(HERE, name + ".gguf"))
        for k, n in enumerate((1, 2, 3, 5, 8, 13, 21, 40)):
            ids = text_ids[11 * k:11 * k + n]
            if name == "tiny":
                golden[f"prompt.{k}.ids"] = np.array(ids, dtype=np.int32)
            elif k != 6:
                continue
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids])).logits[0].numpy()
            golden[f"prompt.{k}.logits" if name == "tiny" else f"{name}.prompt.{k}.logits"] = logits
    lines = batch(tok)
    for k, (ids, mask) in enumerate(lines):
        golden[f"batch.{k}.ids"] = np.array(ids, dtype=np.int32)
        golden[f"batch.{k}.mask"] = np.array(mask, dtype=np.int32)

    def start():
        return ref.adapt(ref.load(os.path.join(HERE, "tiny.gguf")), 4, 8, 7)
    peft = start()
    with torch.no_grad():
        golden["adapter.prompt.6.logits"] = peft(input_ids=torch.tensor([golden["prompt.6.ids"].tolist()])).logits[0].numpy()
    peft.save_pretrained(os.path.join(HERE, "adapter"))
    os.remove(os.path.join(HERE, "adapter", "README.md"))
    loss, grads = ref.gradients(peft, lines)
    golden["loss"] = np.array([loss], dtype=np.float32)
    for name, g in grads.items():
        golden["grad." + name] = g
    golden["losses.1e-5"] = np.array(ref.train(start(), lines, 1e-5, 10), dtype=np.float32)
    golden["losses.1e-2"] = np.array(ref.train(start(), lines, 1e-2, 10), dtype=np.float32)
    ref.save(golden, os.path.join(HERE, "golden.safetensors"))
    print("loss", loss, golden["losses.1e-5"], golden["losses.1e-2"])


if __name__ == "__main__":
    main()
