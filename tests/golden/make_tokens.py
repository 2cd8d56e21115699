"""Golden token ids: 2,000 varied strings through the corrected reference tokenizer.

    pip install tokenizers==0.23.3 gguf==0.19.0
    python make_tokens.py MODEL.gguf > tokens/smollm2.jsonl

The reference is the `tokenizers` library with the vocabulary and merges of the GGUF file. The pre-tokenizer is the one
that the file names (smollm): every digit alone first, then GPT-2's pattern; transformers builds the plain one instead.
A line is {"s": text, "ids": [...]}. The strings come from a seed; they hold no lone surrogate.
"""
import json
import random
import sys

from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

reader = GGUFReader(sys.argv[1])


def strings(key):
    field = reader.fields[key]
    return [bytes(field.parts[i]).decode("utf-8") for i in field.data]


tokens = strings("tokenizer.ggml.tokens")
merges = [tuple(m.split(" ", 1)) for m in strings("tokenizer.ggml.merges")]
types = [int(reader.fields["tokenizer.ggml.token_type"].parts[i][0]) for i in reader.fields["tokenizer.ggml.token_type"].data]
reference = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
reference.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
)
reference.add_special_tokens([AddedToken(t, normalized=False) for t, k in zip(tokens, types) if k == 3])

rng = random.Random(20261124)
WORDS = "the of and a to in is you that it he was for on are with as his they be at one have this from I'll don't we've They're it's Paris".split()
CODE = ["for (int i = 0; i < n; i++) {", "def f(x):\n    return x ** 2\n", "SELECT * FROM t WHERE id='1';", "a[i]+=b[j]*c;//x", "\t\tif (p->q != NULL)\n", "<div class=\"x\">&nbsp;</div>", "0xFFEE 1e-5 3.14159"]
EMOJI = ["😀", "👩‍👩‍👧", "🇫🇷", "❤️", "👍🏽", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085", " \n ", "\u200b", "\u180e", "\x1c", "\u1680", "\u205f"]
NUMBERS = ["7", "42", "2026", "3.5", "1,000", "½", "²", "Ⅻ", "٣٤", "१२", "①", "  9", " ½"]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_start", "<repo_name>", "<|im_end|><|im_end|>"]
RANGES = [(0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF),
          (0x2000, 0x2BFF), (0x3040, 0x30FF), (0x4E00, 0x4FFF), (0xAC00, 0xACFF), (0xE000, 0xE0FF), (0xF0000, 0xF00FF), (0x1F300, 0x1F6FF),
          (0x1D400, 0x1D4FF), (0x378, 0x379), (0x2FE0, 0x2FEF), (0xE0100, 0xE01EF), (0x01, 0x1F), (0x80, 0x9F), (0x300, 0x36F), (0x10FF00, 0x10FFFF)]


def part():
    kind = rng.randrange(9)
    if kind < 2:
        return rng.choice(SPACES[:5]).join(rng.choice(WORDS) for _ in range(rng.randint(1, 6)))
    if kind == 2:
        return rng.choice(CODE)
    if kind == 3:
        return rng.choice(EMOJI)
    if kind == 4:
        return rng.choice(SPACES) * rng.randint(1, 3)
    if kind == 5:
        return rng.choice(NUMBERS)
    if kind == 6 and rng.random() < 0.3:
        return rng.choice(SPECIAL)
    low, high = rng.choice(RANGES)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 8)))


seen = set()
while len(seen) < 2000:
    text = "".join(part() for _ in range(rng.randint(1, 5)))
    if text in seen:
        continue
    seen.add(text)
    print(json.dumps({"s": text, "ids": reference.encode(text, add_special_tokens=False).ids}, ensure_ascii=False, separators=(",", ":")))
