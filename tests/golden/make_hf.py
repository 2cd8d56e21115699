"""Writes tests/golden/hf/: two small llamas as Hugging Face directories and as GGUF files, two adapters of the first,
and what transformers, tokenizers and peft say of them.

    python make_hf.py             (packages: see reference.py)

  sharded/   F16 in two files, an own head, tokenizer.json as tokenizers writes it now (pairs of merges), smollm's cuts
  single/    BF16 in one file, a tied head, files as older versions wrote them: rope_theta and rope_scaling in config.json,
             merges as texts, GPT-2's pattern as a Split, a BOS from the post_processor, two ends, a list of templates
  sharded.gguf, single.gguf   the same values by the Python package gguf, rows of q and k moved as llama.cpp moves them
  dora/, pattern/             adapters of `sharded`: DoRA; rsLoRA with patterns of rank and alpha
  golden.safetensors          sharded.logits, single.logits [12, V] of `ids`; dora.logits, pattern.logits: peft, merged
  tokens.jsonl                strings of tokens/smollm2.jsonl with the ids of both tokenizers
"""
import json
import os
import shutil

import numpy as np
import torch
from gguf import GGMLQuantizationType as Q, GGUFWriter, TokenType
from gguf.quants import quantize
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import reference as ref

ROOT = os.path.dirname(os.path.abspath(__file__))
HERE = os.path.join(ROOT, "hf")
VOCAB, WIDTH, MLP, HEADS, KV, HEAD, BLOCKS = 304, 32, 32, 4, 2, 8, 2
TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
            "'\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def text():
    with open(os.path.join(ROOT, "tokens", "smollm2.jsonl"), encoding="utf-8") as f:
        return [json.loads(line)["s"] for line in f]


def train(pre, specials, strings, vocab):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(strings, trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=specials, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False))
    return t


def model(tied, dtype, **more):
    torch.manual_seed(len(more) + tied)
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=MLP, num_hidden_layers=BLOCKS,
                         num_attention_heads=HEADS, num_key_value_heads=KV, head_dim=HEAD, max_position_embeddings=128,
                         rms_norm_eps=1e-5, tie_word_embeddings=tied, bos_token_id=1, eos_token_id=2, **more)
    m = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, p in m.named_parameters():
            p.normal_(1 if "norm" in name else 0, 0.1 if "norm" in name else 0.5 if "embed" in name else 0.2)
    return m.to(dtype)


def write_gguf(path, m, tok, pre, kind, adds_bos):
    c = m.config
    w = GGUFWriter(path, "llama")
    w.add_type("model")
    w.add_block_count(BLOCKS)
    w.add_context_length(128)
    w.add_embedding_length(WIDTH)
    w.add_feed_forward_length(MLP)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV)
    w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    w.add_rope_dimension_count(HEAD)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_vocab_size(VOCAB)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    added = {t.content: t.special for t in tok.get_added_tokens_decoder().values()}
    names = {i: t for t, i in tok.get_vocab().items()}
    kinds = [TokenType.UNUSED if i not in names else TokenType.NORMAL if names[i] not in added else
             TokenType.CONTROL if added[names[i]] else TokenType.USER_DEFINED for i in range(VOCAB)]
    w.add_token_list([names.get(i, f"[PAD{i}]") for i in range(VOCAB)])
    w.add_token_types(kinds)
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in json.loads(tok.to_str())["model"]["merges"]])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(adds_bos)
    w.add_chat_template(TEMPLATE)
    for name, p in m.named_parameters():
        x = p.detach().float().numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            x = ref.to_gguf(x, HEAD)
        parts = name.split(".")
        if "layers" in parts:
            name = f"blk.{parts[2]}.{ref.ROLES['.'.join(parts[3:-1])][0]}.weight"
        else:
            name = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
                    "lm_head.weight": "output.weight"}[name]
        x = np.ascontiguousarray(x)
        if x.ndim == 1:
            w.add_tensor(name, x)
        else:
            w.add_tensor(name, quantize(x, kind), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def load(name):
    """As transformers reads it; a model that is cast later has its angles rounded too."""
    return LlamaForCausalLM.from_pretrained(os.path.join(HERE, name), dtype=torch.float32).eval()


def logits(m, ids):
    with torch.no_grad():
        return m(input_ids=torch.tensor([ids])).logits[0].numpy()


def sharded(strings):
    folder = os.path.join(HERE, "sharded")
    tok = train(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                         pre_tokenizers.ByteLevel(add_prefix_space=False)]),
                ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], strings, VOCAB - 1)
    tok.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    m = model(False, torch.float16, rope_theta=50000.0)
    m.save_pretrained(folder, max_shard_size="40KB")
    PreTrainedTokenizerFast(tokenizer_object=tok, bos_token="<|im_start|>", eos_token="<|im_end|>",
                            unk_token="<|endoftext|>", pad_token="<|im_end|>", chat_template=TEMPLATE).save_pretrained(folder)
    tok = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    write_gguf(folder + ".gguf", m, tok, "smollm", Q.F16, False)
    return tok


def single(strings):
    folder = os.path.join(HERE, "single")
    split = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(GPT2), "isolated"),
                                     pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok = train(split, ["<unk>", "<s>", "</s>"], strings, VOCAB - 4)  # the model has more rows than tokens
    tok.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)])
    m = model(True, torch.bfloat16)
    os.makedirs(folder)
    save_file({n: p.detach().contiguous() for n, p in m.named_parameters() if n != "lm_head.weight"},
              os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    tree = json.loads(tok.to_str())
    tree["model"]["merges"] = [" ".join(x) for x in tree["model"]["merges"]]
    files = {
        "tokenizer.json": tree,
        "config.json": {
            "_name_or_path": "small", "architectures": ["LlamaForCausalLM"], "attention_bias": False,
            "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "head_dim": HEAD, "hidden_act": "silu",
            "hidden_size": WIDTH, "initializer_range": 0.02, "intermediate_size": MLP, "max_position_embeddings": 128,
            "mlp_bias": False, "model_type": "llama", "num_attention_heads": HEADS, "num_hidden_layers": BLOCKS,
            "num_key_value_heads": KV, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": None,
            "rope_theta": 10000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
            "transformers_version": "4.46.0", "use_cache": True, "vocab_size": VOCAB},
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": [2, 0], "transformers_version": "4.46.0"},
        "tokenizer_config.json": {
            "add_bos_token": True, "bos_token": {"content": "<s>", "lstrip": False, "rstrip": False}, "eos_token": "</s>",
            "chat_template": [{"name": "tool_use", "template": "{{ tools }}"}, {"name": "default", "template": TEMPLATE}],
            "model_max_length": 128, "tokenizer_class": "PreTrainedTokenizerFast"},
    }
    for name, content in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(content, f, ensure_ascii=False, indent=None if name == "tokenizer.json" else 2)
    write_gguf(folder + ".gguf", m, tok, "gpt-2", Q.BF16, True)
    return tok


def adapter(name, ids, **more):
    base = load("sharded")
    torch.manual_seed(7)
    tuned = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **more))
    with torch.no_grad():
        for key, p in tuned.named_parameters():
            if "lora_A" in key or "lora_B" in key:
                p.normal_(0, 0.1)
            elif "magnitude" in key:
                p.mul_(1 + 0.2 * torch.randn_like(p))
    tuned.save_pretrained(os.path.join(HERE, name))
    os.remove(os.path.join(HERE, name, "README.md"))
    path = os.path.join(HERE, name, "adapter_config.json")
    with open(path, encoding="utf-8") as f:
        tree = json.load(f)
    tree["base_model_name_or_path"] = "sharded"
    tree["target_modules"] = sorted(tree["target_modules"])
    with open(path, "w", encoding="utf-8") as f:
        json.dump(tree, f, indent=2)
    open_, merged = logits(tuned, ids), logits(tuned.merge_and_unload(), ids)
    print(name, "merged against unmerged in peft:", np.abs(open_ - merged).max())
    return merged


def main():
    torch.set_num_threads(1)
    shutil.rmtree(HERE, ignore_errors=True)
    os.makedirs(HERE)
    strings = text()
    a, b = sharded(strings), single(strings)
    ids = [1, 70, 85, 300, 12, 0, 101, 290, 44, 260, 33, 2]
    out = {"ids": np.array(ids, dtype=np.int32), "sharded.logits": logits(load("sharded"), ids), "single.logits": logits(load("single"), ids),
           "dora.logits": adapter("dora", ids, r=2, lora_alpha=4, use_dora=True, target_modules="all-linear"),
           "pattern.logits": adapter("pattern", ids, r=2, lora_alpha=3, use_rslora=True,
                                     target_modules=["q_proj", "v_proj", "down_proj"],
                                     rank_pattern={r"layers\.1\.self_attn\.[qv]_proj": 3, "^model.layers.0.mlp.down_proj": 1},
                                     alpha_pattern={"q_proj|down_proj": 5})}
    ref.save(out, os.path.join(HERE, "golden.safetensors"))
    for folder, _, names in os.walk(HERE):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o644)
    with open(os.path.join(HERE, "tokens.jsonl"), "w", encoding="utf-8") as f:
        for s in strings[::20] + ["<|im_start|>user\nhi<|im_end|>", "<s>a</s> <think>b", "1234 56", "I'll  go\n\n "]:
            f.write(json.dumps({"s": s, "sharded": a.encode(s, add_special_tokens=False).ids,
                                "single": b.encode(s, add_special_tokens=False).ids}, ensure_ascii=False) + "\n")


main()
