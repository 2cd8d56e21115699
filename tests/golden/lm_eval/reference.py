"""The demo's model in PyTorch: weights dequantised to f32, and the pre-tokeniser that the file names.

transformers reads the GGUF file but builds the plain GPT-2 pre-tokeniser for it; `smollm` cuts out every digit
first. Needs torch 2.15.0, transformers 5.23.0, gguf 0.19.0, tokenizers 0.23.3.
"""
import os

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

PREFIX = 1  # <|im_start|>: the context of what has none


def load(path):
    """path: the GGUF file. Returns (model, tokenizer), both of transformers."""
    folder, name = os.path.split(os.path.abspath(path))
    read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    config = read.config.to_dict()
    config.pop("quantization_config", None)
    model = LlamaForCausalLM(LlamaConfig(**config))
    model.load_state_dict(read.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    return model.eval(), tokenizer


def encode(tokenizer, text):
    return tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids


def logprobs(model, tokenizer, context, continuation):
    """Log-probabilities of the continuation's tokens, and whether each is the arg-max."""
    ctx = encode(tokenizer, context) if context else [PREFIX]
    cont = encode(tokenizer, context + continuation)[len(ctx) if context else 0:]
    ids = torch.tensor([ctx + cont])
    with torch.no_grad():
        hidden = model.model(ids[:, :-1]).last_hidden_state[0, -len(cont):]
        table = torch.log_softmax(model.lm_head(hidden).float(), -1)
    target = torch.tensor(cont)
    return table[torch.arange(len(cont)), target].tolist(), (table.argmax(-1) == target).tolist()
