#!/usr/bin/env python3
"""Writes tests/golden/adapter: an adapter as PEFT saves it, and what it adds to a model in GGUF order.

    PYTHONHASHSEED=0 python3 make_adapter.py FOLDER

Needs torch, transformers, peft 0.21, safetensors. The model is a random llama of two blocks; the rows of q_proj and
k_proj in `expected.safetensors` are moved as llama.cpp's converter moves them.
"""
import os
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

HEADS = {"q_proj": 2, "k_proj": 1}


def gguf_rows(name, weight):
    """Rows of a head: two halves become neighbours."""
    heads = HEADS.get(name)
    if heads is None:
        return weight
    out, columns = weight.shape
    return weight.reshape(heads, 2, out // heads // 2, columns).swapaxes(1, 2).reshape(out, columns)


def main(folder):
    torch.manual_seed(20260101)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=16, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=32, tie_word_embeddings=True))
    tuned = get_peft_model(model, LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=6, lora_dropout=0.05, use_rslora=True, target_modules="all-linear",
        rank_pattern={"layers.1.self_attn.q_proj": 3, "down_proj": 2}, alpha_pattern={"k_proj": 5}))
    for name, value in tuned.named_parameters():
        if "lora_" in name:
            value.data.normal_(0, 0.1)
    tuned.save_pretrained(folder)
    os.remove(os.path.join(folder, "README.md"))
    expected = {}
    for name, module in tuned.named_modules():
        if "layers.1." in name and hasattr(module, "get_delta_weight"):
            last = name.rsplit(".", 1)[1]
            expected[last] = gguf_rows(last, module.get_delta_weight("default")).contiguous()
    save_file(expected, os.path.join(folder, "expected.safetensors"))


main(sys.argv[1])
