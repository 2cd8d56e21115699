"""The models of the peers: a GGUF file's weights in transformers, or a shape with random weights.

The file is dequantised once into a folder beside other caches, since that takes longer than most measurements, and
peers are then given what their users give them: a folder of safetensors.
"""
import hashlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Keep equal to cli/synthetic.c: blocks, width, mlp, heads, key heads, vocabulary, context, RoPE base, tied head.
SHAPES = {
    "llama-1.2b": (16, 2048, 8192, 32, 8, 128256, 131072, 500000.0, True),
    "qwen-7b": (28, 3584, 18944, 28, 4, 152064, 32768, 1000000.0, False),
    "smollm2-135m": (30, 576, 1536, 9, 3, 49152, 8192, 100000.0, True),
}


def add_arguments(parser):
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--gguf", help="a model file; its weights are dequantised to f32")
    which.add_argument("--shape", choices=SHAPES, help="random weights instead")
    parser.add_argument("--cache", default=os.path.expanduser("~/.cache/lethe-peers"),
                        help="where dequantised models are kept")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="of torch: cpu, cuda")


def folder_of(gguf, cache):
    """The file as a folder that transformers loads; made when it is not there."""
    with open(gguf, "rb") as file:
        name = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    folder = os.path.join(cache, name)
    if not os.path.exists(os.path.join(folder, "config.json")):
        sys.path.insert(0, os.path.join(HERE, "../tests/golden/lm_eval"))
        import reference
        model, tokenizer = reference.load(gguf)
        os.makedirs(cache, exist_ok=True)
        part = f"{folder}.{os.getpid()}"
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        os.rename(part, folder)
    return folder


def load(args):
    """A LlamaForCausalLM in f32 on the device."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    if args.gguf:
        model = LlamaForCausalLM.from_pretrained(folder_of(args.gguf, args.cache), dtype=torch.float32)
    else:
        blocks, width, mlp, heads, kv, vocab, context, base, tied = SHAPES[args.shape]
        model = LlamaForCausalLM(LlamaConfig(
            vocab_size=vocab, hidden_size=width, intermediate_size=mlp, num_hidden_layers=blocks,
            num_attention_heads=heads, num_key_value_heads=kv, rms_norm_eps=1e-5, max_position_embeddings=context,
            tie_word_embeddings=tied, attention_bias=False,
            rope_parameters={"rope_type": "default", "rope_theta": base})).to(torch.float32)
    model.config.use_cache = False
    return model.to(args.device)


def memory_reset():
    """From here on memory_most() counts anew, where the system can do that."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def memory_most():
    """Bytes: the most that this process held at once."""
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def versions(*names):
    from importlib.metadata import version
    return {name: version(name) for name in names}
