"""What make_tiny.py, make_real.py and make_full.py share: the random numbers, the GGUF file as a transformers model, the recipe.

    pip install torch==2.15.0 transformers==5.23.0 peft==0.21.2 tokenizers==0.23.3 gguf==0.19.0 safetensors==0.8.0
"""
import math
import os

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from peft import LoraConfig, get_peft_model
from safetensors.numpy import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama import modeling_llama

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ROLES = {  # Hugging Face module: (name in the file, place in model order within a block)
    "input_layernorm": ("attn_norm", 0), "self_attn.q_proj": ("attn_q", 1), "self_attn.k_proj": ("attn_k", 2),
    "self_attn.v_proj": ("attn_v", 3), "self_attn.o_proj": ("attn_output", 4),
    "post_attention_layernorm": ("ffn_norm", 5), "mlp.gate_proj": ("ffn_gate", 6), "mlp.up_proj": ("ffn_up", 7),
    "mlp.down_proj": ("ffn_down", 8),
}
INIT = 0x696E6974


def philox(counter, key):
    """Ten rounds over arrays of u32 words (as u64): counter is a list of four, key one 64-bit number."""
    c = [np.asarray(x, dtype=np.uint64) for x in np.broadcast_arrays(*counter)]
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        hi0, hi1 = p0 >> np.uint64(32), p1 >> np.uint64(32)
        c = [hi1 ^ c[1] ^ np.uint64(k0), p1 & low, hi0 ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=-1)


def uniforms(n, seed, tensor, third):
    """n values in (-1, 1), exact in f32: element e is word e & 3 of the block (e >> 2, tensor, third)."""
    blocks = philox([np.arange((n + 3) // 4), tensor, third, INIT], seed)
    w = blocks.reshape(-1)[:n]
    u = ((w >> np.uint64(9)).astype(np.float64) + 0.5) * 2.0 ** -23
    return (2.0 * u - 1.0).astype(np.float32)


def tensor_number(path):
    """Index in model order of "model.layers.I.<role>"."""
    parts = path.split(".")
    return 1 + 9 * int(parts[2]) + ROLES[".".join(parts[3:])][1]


def factor_a(r, n_in, seed, tensor):
    return uniforms(r * n_in, seed, tensor, 0).reshape(r, n_in) * np.float32(1.0 / math.sqrt(n_in))


def factor_b(n_out, r, seed, tensor, head_size, permuted):
    """Like A, but its third coordinate is 1 and its bound 0.05. Rows are drawn in the file's order."""
    b = uniforms(n_out * r, seed, tensor, 1).reshape(n_out, r) * np.float32(0.05)
    return to_hf(b, head_size) if permuted else b


def to_hf(rows, head_size):
    """Rows of q or k in the file's order (neighbours turn together) to Hugging Face's (halves)."""
    n = rows.shape[0]
    return rows.reshape(n // head_size, head_size // 2, 2, -1).swapaxes(1, 2).reshape(n, -1)


def to_gguf(rows, head_size):
    n = rows.shape[0]
    return rows.reshape(n // head_size, 2, head_size // 2, -1).swapaxes(1, 2).reshape(n, -1)


def load(path):
    """The file's weights, dequantised to f32, in a LlamaForCausalLM."""
    reader = GGUFReader(path)
    meta = {k: f.contents() for k, f in reader.fields.items() if k.startswith("llama.")}
    tensors = {t.name: torch.from_numpy(np.ascontiguousarray(dequantize(t.data, t.tensor_type)).astype(np.float32))
               for t in reader.tensors}
    heads, kv = meta["llama.attention.head_count"], meta["llama.attention.head_count_kv"]
    config = LlamaConfig(
        vocab_size=tensors["token_embd.weight"].shape[0], hidden_size=meta["llama.embedding_length"],
        intermediate_size=meta["llama.feed_forward_length"], num_hidden_layers=meta["llama.block_count"],
        num_attention_heads=heads, num_key_value_heads=kv, rms_norm_eps=meta["llama.attention.layer_norm_rms_epsilon"],
        max_position_embeddings=meta["llama.context_length"], attention_bias=False,
        tie_word_embeddings="output.weight" not in tensors,
        rope_parameters={"rope_type": "default", "rope_theta": meta["llama.rope.freq_base"]}, use_cache=False)
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config).to(torch.float32).eval()
    head = config.hidden_size // heads
    state = {"model.embed_tokens.weight": tensors["token_embd.weight"],
             "lm_head.weight": tensors.get("output.weight", tensors["token_embd.weight"]),
             "model.norm.weight": tensors["output_norm.weight"]}
    for i in range(config.num_hidden_layers):
        for module, (name, _) in ROLES.items():
            w = tensors[f"blk.{i}.{name}.weight"]
            if name in ("attn_q", "attn_k"):
                w = torch.from_numpy(np.ascontiguousarray(to_hf(w.numpy(), head)))
            state[f"model.layers.{i}.{module}.weight"] = w
    model.load_state_dict(state, strict=True)
    return model


def adapt(model, r, alpha, seed):
    """PEFT's LoRA on every linear, with A and B as defined above. Returns the PEFT model."""
    head = model.config.hidden_size // model.config.num_attention_heads
    peft = get_peft_model(model, LoraConfig(r=r, lora_alpha=alpha, lora_dropout=0.0, target_modules=TARGETS,
                                            task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, p in peft.named_parameters():
            if ".lora_" not in name:
                continue
            path = name.removeprefix("base_model.model.").split(".lora_")[0]
            t = tensor_number(path)
            if ".lora_A." in name:
                p.copy_(torch.from_numpy(factor_a(p.shape[0], p.shape[1], seed, t)))
            else:
                qk = path.endswith(("q_proj", "k_proj"))
                p.copy_(torch.from_numpy(np.ascontiguousarray(factor_b(p.shape[0], p.shape[1], seed, t, head, qk))))
    return peft


class Norm(torch.nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.weight, self.eps = norm.weight, norm.variance_epsilon

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


def attention(module, query, key, value, mask, scaling, dropout=0.0, **_):
    groups = module.num_key_value_groups
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    scores = (query @ key.transpose(2, 3)) * scaling
    n = scores.shape[-1]
    scores = scores.masked_fill(torch.triu(torch.ones(n, n, dtype=torch.bool), 1), float("-inf"))
    weights = torch.softmax(scores, dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


class Angles(torch.nn.Module):
    def __init__(self, base, size):
        super().__init__()
        self.inverse = 1.0 / base ** (torch.arange(0, size, 2, dtype=torch.float64) / size)

    def forward(self, x, position_ids):
        angle = position_ids[..., None].double() * self.inverse
        angle = torch.cat((angle, angle), dim=-1)
        return angle.cos(), angle.sin()


def double(model):
    """A model, PEFT's or its own, in double precision. transformers computes norms, attention's softmax and angles in single
    precision whatever the weights are, and single precision alone moves a gradient of the real model by 1e-4."""
    llama = (model.get_base_model() if hasattr(model, "get_base_model") else model).model
    modeling_llama.eager_attention_forward = attention
    for layer in llama.layers:
        layer.input_layernorm, layer.post_attention_layernorm = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
    llama.norm = Norm(llama.norm)
    config = llama.config
    llama.rotary_emb = Angles(config.rope_parameters["rope_theta"], config.hidden_size // config.num_attention_heads)
    return model.double()


def loss_of(peft, batch):
    """Mean of -log p over the supervised tokens of all sequences, each run alone: no padding."""
    total, count = 0.0, 0
    for ids, mask in batch:
        x = torch.tensor([ids])
        logp = torch.log_softmax(peft(input_ids=x).logits[0], dim=-1)
        for i in range(1, len(ids)):
            if mask[i]:
                total = total - logp[i - 1, ids[i]]
                count += 1
    return total / count


def gradients(peft, batch):
    peft.zero_grad()
    loss = loss_of(peft, batch)
    loss.backward()
    out = {}
    for name, p in peft.named_parameters():
        if ".lora_" in name:
            out[name.removeprefix("base_model.model.").replace(".default", "")] = p.grad.detach().float().numpy()
    return float(loss.detach()), out


def train(peft, batch, lr, steps):
    """Losses before each of `steps` updates by AdamW, weight decay 0.01 on every factor, no clipping."""
    losses = []
    adamw = torch.optim.AdamW([p for n, p in peft.named_parameters() if ".lora_" in n], lr=lr, betas=(0.9, 0.999),
                              eps=1e-8, weight_decay=0.01, foreach=False)
    for _ in range(steps):
        adamw.zero_grad()
        loss = loss_of(peft, batch)
        loss.backward()
        adamw.step()
        losses.append(float(loss.detach()))
    return losses


def train_all(model, batch, groups, steps, clip):
    """Losses before each of `steps` updates of whole tensors by AdamW: groups are torch's, clip 0 is none."""
    losses = []
    adamw = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    for _ in range(steps):
        model.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_([p for g in groups for p in g["params"]], clip)
        adamw.step()
        losses.append(float(loss.detach()))
    return losses


def save(tensors, path):
    """Sorted names, so that equal goldens are equal files."""
    save_file({k: np.ascontiguousarray(tensors[k]) for k in sorted(tensors)}, path)
    os.chmod(path, 0o644)
