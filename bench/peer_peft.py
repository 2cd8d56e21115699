#!/usr/bin/env python3
"""Forward passes of PyTorch and LoRA steps of PEFT on one sequence, as `lethe bench` runs them: f32, logits and loss at
every position, adapters on every linear, gradient norm, AdamW. With --full the steps train every weight, by PyTorch
alone. One JSON line: medians, and the most memory of a step.

    peer_peft.py --gguf model.gguf --tokens 512
    peer_peft.py --shape llama-1.2b --tokens 128 --rank 8

usage: see --help. Needs requirements.txt.
"""
import argparse
import json
import statistics
import time

import peer_model


def timed(rounds, run, device):
    import torch
    times = []
    for i in range(rounds + 1):
        started = time.perf_counter()
        run()
        if device != "cpu":
            torch.cuda.synchronize()
        if i > 0:  # the first warms up
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peer_model.add_arguments(parser)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--full", action="store_true", help="every weight, no adapter")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    import torch
    model = peer_model.load(args)
    ids = torch.randint(0, model.config.vocab_size, (1, args.tokens), device=args.device)

    def forward():
        with torch.no_grad():
            model(input_ids=ids)

    model.eval()
    forward_s = timed(args.rounds, forward, args.device)
    if not args.full:
        from peft import LoraConfig, get_peft_model
        model = get_peft_model(model, LoraConfig(
            r=args.rank, lora_alpha=2 * args.rank, lora_dropout=0.0, task_type="CAUSAL_LM",
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]))
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)

    def step():
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    peer_model.memory_reset()
    step_s = timed(args.rounds, step, args.device)
    memory = peer_model.memory_most()
    result = {
        "peer": "torch" if args.full else "peft", "shape": args.shape, "tokens": args.tokens,
        "rank": None if args.full else args.rank, "threads": args.threads,
        "device": "cpu" if args.device == "cpu" else torch.cuda.get_device_name(),
        "forward_s": forward_s, "step_s": step_s, "process_bytes": memory,
        "versions": peer_model.versions("torch", "transformers", "peft"),
    }
    if args.device != "cpu":
        result["device_bytes"] = torch.cuda.max_memory_allocated()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
