#!/usr/bin/env python3
"""BLiMP pairs a second in lm-eval (HF backend, f32), how long it takes from the start of the process to the first scored
pair, and the most memory. One JSON line.

    peer_lm_eval.py --gguf model.gguf --blimp FOLDER --batch 16
    peer_lm_eval.py --gguf model.gguf --blimp FOLDER --batch 1 8 16 32    # the best of these, tried on a tenth first

FOLDER holds paradigms as BLiMP ships them, <name>.jsonl with sentence_good and sentence_bad. Needs requirements.txt.
"""
import argparse
import glob
import json
import os
import time

import peer_model


def process_age():
    """Seconds since this process began."""
    with open("/proc/self/stat", encoding="ascii") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def task(path):
    return {
        "task": os.path.basename(path).removesuffix(".jsonl").lower(), "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": os.path.abspath(path)}}, "test_split": "test",
        "output_type": "multiple_choice", "doc_to_text": "", "doc_to_target": 0,
        "doc_to_choice": "{{[sentence_good, sentence_bad]}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }


class Watch:
    """Notes when the first answer came, and how long the model's scoring took in all."""

    def __init__(self, lm):
        self.first_s = None
        self.scoring_s = 0.0
        add, score = lm.cache_hook.add_partial, lm.loglikelihood

        def added(*args):
            if self.first_s is None:
                self.first_s = process_age()
            add(*args)

        def scored(*args, **kwargs):
            started = time.perf_counter()
            answers = score(*args, **kwargs)
            self.scoring_s += time.perf_counter() - started
            return answers

        lm.cache_hook.add_partial, lm.loglikelihood = added, scored


def run(lm, paths, limit):
    from lm_eval import evaluator
    from lm_eval.tasks import TaskManager
    watch = Watch(lm)
    result = evaluator.simple_evaluate(lm, tasks=[task(p) for p in paths], task_manager=TaskManager(), limit=limit,
                                       bootstrap_iters=0, log_samples=True)
    samples = [s for per in result["samples"].values() for s in per]
    return watch, len(samples), sum(s["acc"] for s in samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peer_model.add_arguments(parser)
    parser.add_argument("--blimp", required=True)
    parser.add_argument("--batch", type=int, nargs="+", default=[16])
    parser.add_argument("--limit", type=int, help="pairs of each paradigm")
    args = parser.parse_args()
    paths = sorted(glob.glob(os.path.join(args.blimp, "*.jsonl")))
    if not args.gguf or not paths:
        parser.error("--gguf is wanted, and a --blimp folder with *.jsonl in it")

    import torch
    torch.set_num_threads(args.threads)
    from lm_eval.models.huggingface import HFLM
    folder = peer_model.folder_of(args.gguf, args.cache)

    def model(batch):
        return HFLM(pretrained=folder, dtype="float32", batch_size=batch, device=args.device)

    tried = {}
    for batch in args.batch if len(args.batch) > 1 else []:
        watch, n, _ = run(model(batch), paths, max(1, (args.limit or 200) // 10))
        tried[batch] = n / watch.scoring_s
    best = max(tried, key=tried.get) if tried else args.batch[0]
    watch, n, right = run(model(best), paths, args.limit)
    print(json.dumps({
        "peer": "lm_eval", "batch": best, "tried": tried, "pairs": n, "right": right, "threads": args.threads,
        "scoring_s": watch.scoring_s, "first_s": None if tried else watch.first_s, "wall_s": process_age(),
        "process_bytes": peer_model.memory_most(),
        "versions": peer_model.versions("torch", "transformers", "lm_eval"),
    }))


if __name__ == "__main__":
    main()
