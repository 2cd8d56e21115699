"""Writes tests/golden/quant/<type>.{blocks,values}: random blocks, and their values by the package gguf.

    pip install gguf==0.19.0 numpy        python make_quant.py

Blocks are random bytes with finite f16 scales: whatever a file may hold, not only what a quantiser would write.
Values are f32, little-endian; a test wants equal bits.
"""
import os

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Q, dequantize

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quant")
SCALES = {Q.Q8_0: [0], Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2],
          Q.Q6_K: [208], Q.F16: [0], Q.BF16: [], Q.F32: []}
rng = np.random.default_rng(20261124)
os.makedirs(HERE, exist_ok=True)
for kind, scales in SCALES.items():
    block, size = GGML_QUANT_SIZES[kind]
    n = max(8, 512 // block) if block > 1 else 256
    data = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for i, at in enumerate(scales):
        f = (rng.standard_normal(n) * 10.0 ** rng.integers(-6, 3, n)).astype(np.float16)
        f[:3] = np.array([0.0, -0.0, 6e-8], dtype=np.float16)
        data[:, at:at + 2] = f.view(np.uint8).reshape(n, 2)
    if kind in (Q.BF16, Q.F32):  # finite
        data[:, -1] &= 0xBF
    flat = data.reshape(1, -1)
    if kind == Q.F32:
        values = flat.view(np.float32)
    elif kind == Q.F16:
        values = flat.view(np.float16).astype(np.float32)
    else:
        values = dequantize(flat, kind)
    assert np.isfinite(values).all(), kind
    flat.tofile(os.path.join(HERE, kind.name + ".blocks"))
    values.astype("<f4").tofile(os.path.join(HERE, kind.name + ".values"))
