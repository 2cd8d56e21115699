"""Does peft load an adapter that lethe wrote, and give the logits that it had before?

    python check_adapter.py FOLDER      (packages: see reference.py)

FOLDER holds `tiny/adapter`, read and written again by lethe (`test_peft` with LETHE_KEEP_ADAPTER=FOLDER leaves it).
Prints the largest difference from `adapter.prompt.6.logits` of tiny/golden.safetensors; over 1e-6 it exits 1.
"""
import os
import sys

import numpy as np
import torch
from peft import PeftModel
from safetensors.numpy import load_file

import reference as ref

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tiny")
golden = load_file(os.path.join(HERE, "golden.safetensors"))
model = PeftModel.from_pretrained(ref.load(os.path.join(HERE, "tiny.gguf")), sys.argv[1]).eval()
with torch.no_grad():
    logits = model(input_ids=torch.tensor([golden["prompt.6.ids"].tolist()])).logits[0].numpy()
worst = float(np.abs(logits - golden["adapter.prompt.6.logits"]).max())
base = float(np.abs(golden["prompt.6.logits"] - golden["adapter.prompt.6.logits"]).max())
print(f"largest difference {worst:.3g}; the adapter moves logits by up to {base:.3g}")
sys.exit(worst > 1e-6)
