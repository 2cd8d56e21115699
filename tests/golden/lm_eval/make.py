#!/usr/bin/env python3
"""Writes tests/golden/lm_eval/<suite>.jsonl: what lm-eval gives for every NTH item of shipped suites.

usage: make.py MODEL.gguf

lm-eval 0.4.13 (HF backend, f32, batch 16) scores task definitions made here over the items of probes/sets; a pair is
two choices with empty context. A line: the item's id, lm-eval's choice, and the log-likelihood of each choice. Not
part of the build: the files are committed. Needs what reference.py needs, and lm_eval 0.4.13.
"""
import json
import os
import sys
import tempfile

import torch
from lm_eval import evaluator
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

import reference

HERE = os.path.dirname(os.path.abspath(__file__))
SETS = os.path.join(HERE, "../../../probes/sets")
NTH = {"everyday": 4, "dates": 2, "letters": 4, "grammar": 10}


def task(suite, nth, folder):
    with open(os.path.join(SETS, suite + ".jsonl"), encoding="utf-8") as file:
        header, *items = [json.loads(line) for line in file]
    items = items[::nth]
    path = os.path.join(folder, suite + ".jsonl")
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(item) + "\n" for item in items)
    pair = header["kind"] == "pair"
    return [item["id"] for item in items], {
        "task": suite, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": path}},
        "test_split": "test", "output_type": "multiple_choice", "target_delimiter": " ",
        "doc_to_text": "" if pair else "{{context}}",
        "doc_to_choice": "{{[good, bad]}}" if pair else "choices",
        "doc_to_target": 0 if pair else "gold",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }


def main():
    torch.set_num_threads(1)
    model, tokenizer = reference.load(sys.argv[1])
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16, device="cpu")
    assert lm.prefix_token_id == reference.PREFIX
    with tempfile.TemporaryDirectory() as folder:
        made = {suite: task(suite, nth, folder) for suite, nth in NTH.items()}
        result = evaluator.simple_evaluate(lm, tasks=[config for _, config in made.values()],
                                           task_manager=TaskManager(), bootstrap_iters=0)
    for suite, (ids, _) in made.items():
        samples = sorted(result["samples"][suite], key=lambda s: s["doc_id"])
        assert len(samples) == len(ids)
        with open(os.path.join(HERE, suite + ".jsonl"), "w", encoding="utf-8") as out:
            for item, sample in zip(ids, samples):
                ll = [float(r[0]) for r in sample["filtered_resps"]]
                line = {"id": item, "best": ll.index(max(ll)), "ll": [round(x, 6) for x in ll]}
                out.write(json.dumps(line, separators=(",", ":")) + "\n")
        print(suite, len(ids), result["results"][suite]["acc,none"], file=sys.stderr)


if __name__ == "__main__":
    main()
