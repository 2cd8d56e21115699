"""Writes the seeds of tests/golden/fuzz_gguf and fuzz_tokenizer: small GGUF files, good and broken.

    python make_fuzz_gguf.py       (needs nothing but Python)
"""
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(s)) + s


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def texts(key, items):
    return entry(key, 9, struct.pack("<IQ", 8, len(items)) + b"".join(text(x) for x in items))


def ints(key, items):
    return entry(key, 9, struct.pack("<IQ", 5, len(items)) + b"".join(struct.pack("<i", x) for x in items))


def tensor(name, shape, kind, at):
    return text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape) + struct.pack("<IQ", kind, at)


def gguf(entries, tensors=(), data=b"", version=3):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + b"".join(entries) + b"".join(tensors)
    return head + b"\0" * (-len(head) % 32) + data


def write(folder, name, data):
    path = os.path.join(HERE, folder)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), "wb") as f:
        f.write(data)


kinds = [entry("u8", 0, b"\7"), entry("i16", 3, struct.pack("<h", -3)), entry("f32", 6, struct.pack("<f", 0.5)), entry("yes", 7, b"\1"),
         entry("word", 8, text("word")), entry("u64", 10, struct.pack("<Q", 1 << 63)), texts("words", ["a", "", "b"]), ints("ints", [1, -1])]
rows = [tensor("a", (4, 2), 0, 0), tensor("b", (32,), 8, 32)]
write("fuzz_gguf", "kinds", gguf(kinds, rows, bytes(range(66))))
write("fuzz_gguf", "cut", gguf(kinds, rows, bytes(range(65))))
write("fuzz_gguf", "twice", gguf(kinds + kinds[:1]))
write("fuzz_gguf", "names", gguf([], [rows[0], rows[0]], bytes(64)))
write("fuzz_gguf", "version", gguf([], version=2))
write("fuzz_gguf", "counts", b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 1 << 40))
write("fuzz_gguf", "elements", gguf([entry("k", 9, struct.pack("<IQ", 8, 1 << 24))]))
write("fuzz_gguf", "overflow", gguf([], [tensor("a", (1 << 40, 1 << 40), 0, 0)]))

alphabet = [chr(c) for c in range(0x21, 0x7F)] + [chr(0x100 + c) for c in range(0x21)]
tokens = ["<|a|>", "<|a|>b", "<u>"] + alphabet + ["ab", "abc", "\u0120a"]


def model(pre="smollm", merges=("a b", "ab c", "\u0120 a"), vocab=tokens, more=()):
    types = [3, 3, 4] + [1] * (len(vocab) - 3)
    return gguf([entry("tokenizer.ggml.model", 8, text("gpt2")), entry("tokenizer.ggml.pre", 8, text(pre)), texts("tokenizer.ggml.tokens", vocab),
                 ints("tokenizer.ggml.token_type", types), texts("tokenizer.ggml.merges", list(merges)),
                 entry("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 0)), *more])


write("fuzz_tokenizer", "small", model() + "abc 12 <|a|>b<u> a\u00e9 \U0001F600".encode() + b"\xff\xfe abcabc")
write("fuzz_tokenizer", "pre", model(pre="other"))
write("fuzz_tokenizer", "merge", model(merges=("a z z",)))
write("fuzz_tokenizer", "absent", model(merges=("a d",)))
write("fuzz_tokenizer", "twice", model(vocab=tokens + ["ab"]))
write("fuzz_tokenizer", "bos", model(more=(entry("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 9999)),)))
