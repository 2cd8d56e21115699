#!/usr/bin/env python3
"""The work of bench/compare.sh: runs lethe and a peer in turn, and writes medians, ratios, device, driver and versions.

    bench/compare.sh NAME --python VENV/bin/python --blimp FOLDER
    bench/compare.sh NAME --rows lora512 forward --rounds 5

Rows: matmul (shares of the FMA peak, for each driver), lora512, full512, forward, memory (PyTorch and PEFT, 512 tokens), lora128
(QVAC, F32 weights), blimp, startup (lm-eval), demo (scripts/demo.sh, wall time; only when it is named). A peer that is
not given leaves its rows out, and the end says so. Needs nothing but Python; the peers need requirements.txt.
"""
import argparse
import datetime
import glob
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

# Row: (what, unit, larger is better, least, goal). A ratio is lethe over peer, or peer over lethe where less is better
# and the figure says "times faster"; memory is lethe over peer, and small is good.
ROWS = {
    "matmul": ("share of the FMA peak, the worst shape", "", True, None, None),
    "lora512": ("LoRA step, r 8, all linears", "tokens/s", True, 0.6, 1.0),
    "full512": ("full step, every weight in f32", "tokens/s", True, 0.5, 0.8),
    "forward": ("forward", "tokens/s", True, 0.6, 1.0),
    "lora128": ("LoRA step at 128 tokens, F32 weights", "tokens/s", True, 60, 150),
    "memory": ("most memory of the LoRA step", "MiB", False, 0.4, 0.25),
    "blimp": ("BLiMP pairs", "pairs/s", True, 0.75, 1.5),
    "startup": ("start to first scored item, times faster", "s", True, 6, None),
    "demo": ("demo after set-up", "s", False, 480, 240),
}
SHARES = {"mesa26": {"fwd": (0.75, 0.9), "bwd0": (0.6, 0.85), "bwd1": (0.6, 0.75)},
          "mesa25": {"fwd": (0.5, None), "bwd0": (0.45, None), "bwd1": (0.45, None)}}
QVAC_TOKENS_S = 1.1  # not reached by it on lavapipe 26.1.6, width 256, 128 tokens, F32, two cores of this kind (Zen 4)


class Failed(Exception):
    pass


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help="of the result: bench/results/NAME.json")
    p.add_argument("--rows", nargs="+", choices=ROWS, default=[r for r in ROWS if r != "demo"])
    p.add_argument("--rounds", type=int, default=3, help="turns of lethe and peer (3)")
    p.add_argument("--quick", action="store_true", help="small sizes, one turn: shows that it runs, not how fast")
    p.add_argument("--threads", type=int, default=2, help="cores of both (2)")
    p.add_argument("--build", default="build/release")
    p.add_argument("--model", default=".deps/model/SmolLM2-135M-Instruct.Q4_1.gguf")
    p.add_argument("--driver", action="append", metavar="NAME=ICD", default=[],
                   help="Vulkan driver; the first is compared, matmul takes all. Default: those of set-up, else the system's")
    p.add_argument("--python", help="a Python with torch, transformers and peft")
    p.add_argument("--python-lm-eval", help="one with lm_eval too (default: --python)")
    p.add_argument("--torch-device", default="cpu")
    p.add_argument("--blimp", default=os.environ.get("LETHE_BLIMP"), help="folder of paradigms ($LETHE_BLIMP)")
    p.add_argument("--batch", nargs="+", default=["16"], help="lm-eval's batch; several: it finds its best first")
    p.add_argument("--qvac", help="llama-finetune-lora of QVAC Fabric; without it the constant 1.1 tokens/s")
    p.add_argument("--qvac-model", help="an F32 GGUF for it")
    p.add_argument("--cache", default=os.path.expanduser("~/.cache/lethe-peers"))
    return p.parse_args()


def drivers_of(args):
    """[(name, path of the ICD or None)]"""
    if args.driver:
        return [tuple(d.split("=", 1)) for d in args.driver]
    try:
        with open(".deps/driver", encoding="utf-8") as file:
            return [(os.path.basename(os.path.dirname(line.strip())), line.strip()) for line in file if line.strip()]
    except OSError:
        return [("system", None)]


def environment(icd, threads):
    env = dict(os.environ, LP_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    if icd:
        env["VK_DRIVER_FILES"] = icd
    return env


def under_loader(icd):
    """What stands before a program so that it runs under the C library that a driver wants (gpu/launch.h)."""
    path = os.path.join(os.path.dirname(icd), "loader") if icd else ""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        program, libraries = file.read().splitlines()[:2]
    return [program, "--library-path", libraries]


def output_of(command, env=None, ok=(0,)):
    """(stdout, seconds)"""
    started = time.monotonic()
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    except OSError as why:
        raise Failed(f"{command[0]}: {why.strerror}") from why
    seconds = time.monotonic() - started
    if done.returncode not in ok:
        tail = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Failed(f"{os.path.basename(command[0])} ended with {done.returncode}: {tail[0][:300]}")
    return done.stdout, seconds


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


class Compare:
    def __init__(self, args):
        self.args = args
        self.drivers = drivers_of(args)
        self.env = environment(self.drivers[0][1], args.threads)
        self.rounds = 1 if args.quick else args.rounds
        self.tokens = 32 if args.quick else 512
        self.rows, self.left_out, self.facts = [], [], {"peers": {}}

    # ---- single runs ----

    def lethe_bench(self, *options):
        text, _ = output_of([f"{self.args.build}/lethe", "bench", "--quiet", "--json", *options], self.env)
        return json.loads(text)

    def python(self, program, *options, python=None):
        text, _ = output_of([python or self.args.python, f"bench/{program}", "--gguf", self.args.model, "--cache",
                             self.args.cache, "--threads", str(self.args.threads), *options], self.env)
        result = last_json(text)
        self.facts["peers"].update(result["versions"])
        return result

    # ---- rows ----

    def add(self, row, lethe, peer, ratios, peer_name, note=""):
        what, unit, larger, least, goal = ROWS[row]
        ratio = statistics.median(ratios)
        reached = [None if limit is None else bool(ratio >= limit if larger else ratio <= limit)
                   for limit in (least, goal)]
        self.rows.append({"row": row, "what": what, "unit": unit, "lethe": lethe, "peer": peer, "against": peer_name,
                          "ratio": ratio, "ratios": ratios, "least": least, "goal": goal, "reached": reached[0],
                          "reached_goal": reached[1], "note": note})

    def matmul(self):
        for name, icd in self.drivers:
            command = under_loader(icd) + [f"{self.args.build}/bench_matmul", "1" if self.args.quick else "5"]
            shares, seen, peak = {}, {}, 0
            for _ in range(self.rounds):
                text, _ = output_of(command, environment(icd, self.args.threads))
                for line in map(json.loads, text.splitlines()):
                    if line["bench"] != "matmul":
                        peak = max(peak, line["gflops"])
                        continue
                    key = (line["pass"], (line["m"], line["n"], line["k"]), line["variant"], line["weight"])
                    seen.setdefault(key, []).append(line["gflops"])
                    self.facts.setdefault("drivers", {})[name] = line["driver"]
            for (pass_, shape, variant, weight), values in seen.items():
                share = statistics.median(values) / peak
                if share > shares.setdefault(pass_, {}).get(shape, (0,))[0]:
                    shares[pass_][shape] = (share, variant, weight)
            for pass_, shapes in shares.items():
                least, goal = SHARES.get(name, {}).get(pass_, (None, None))
                worst = min(s[0] for s in shapes.values())
                self.rows.append({
                    "row": "matmul", "what": f"matmul {pass_}, {name}: " + ROWS["matmul"][0], "unit": "",
                    "against": "FMA peak", "ratio": worst, "least": least, "goal": goal,
                    "reached": None if least is None else worst >= least,
                    "reached_goal": None if goal is None else worst >= goal,
                    "peak_gflops": peak,
                    "shapes": {"x".join(map(str, shape)): {"share": s, "variant": v, "weight": w}
                               for shape, (s, v, w) in sorted(shapes.items())}})

    def peft(self, rows):
        lethe, peer = [], []
        for _ in range(self.rounds):
            lethe.append(self.lethe_bench("--model", self.args.model, "--tokens", str(self.tokens), "--rounds", "3"))
            peer.append(self.python("peer_peft.py", "--tokens", str(self.tokens), "--device", self.args.torch_device))
        for row, ours, theirs in (("lora512", "step", "step_s"), ("forward", "forward", "forward_s")):
            if row in rows:
                a = [float(r[ours]["tokens_s"]) for r in lethe]
                b = [self.tokens / r[theirs] for r in peer]
                self.add(row, a, b, [x / y for x, y in zip(a, b)], "PEFT" if row == "lora512" else "PyTorch",
                         f"{self.tokens} tokens")
        if "memory" in rows:
            a = [r["memory"]["process_bytes"] / 2**20 for r in lethe]
            b = [r["process_bytes"] / 2**20 for r in peer]
            self.add("memory", a, b, [x / y for x, y in zip(a, b)], "PEFT",
                     "of the process: lethe from its start on, PEFT without loading the model")

    def full(self, _):
        lethe, peer = [], []
        for _ in range(self.rounds):
            ours = self.lethe_bench("--model", self.args.model, "--tokens", str(self.tokens), "--rounds", "3", "--full")
            theirs = self.python("peer_peft.py", "--tokens", str(self.tokens), "--device", self.args.torch_device, "--full")
            lethe.append(float(ours["step"]["tokens_s"]))
            peer.append(self.tokens / theirs["step_s"])
        self.add("full512", lethe, peer, [a / b for a, b in zip(lethe, peer)], "PyTorch", f"{self.tokens} tokens")

    def qvac_tokens_s(self):
        """From its progress lines: sequences done and seconds, until its end or a quarter of an hour."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as text:
            text.write("The quick brown fox jumps over the lazy dog. " * 400)
            text.flush()
            command = ["timeout", "900", self.args.qvac, "-m", self.args.qvac_model, "-f", text.name, "-c", "128", "-b", "128",
                       "-ub", "128", "-ngl", "999", "-fa", "off", "--num-epochs", "1", "--lora-rank", "8"]
            done = subprocess.run(command, env=dict(self.env, LP_NATIVE_VECTOR_WIDTH="256"), capture_output=True,
                                  text=True, check=False)
        seen = re.findall(r"data=0*(\d+)/\d+.*?\bt=(\d+):(\d+):(\d+)", done.stdout + done.stderr)
        if not seen:
            raise Failed("QVAC wrote no progress line")
        n, h, m, s = map(int, seen[-1])
        return n * 128 / max(1, 3600 * h + 60 * m + s)

    def lora128(self):
        tokens, lethe, peer = ("32" if self.args.quick else "128"), [], []
        for _ in range(self.rounds):
            run = self.lethe_bench("--shape", "smollm2-135m", "--weights", "F32", "--tokens", tokens, "--rounds", "3")
            lethe.append(float(run["step"]["tokens_s"]))
            peer.append(self.qvac_tokens_s() if self.args.qvac else QVAC_TOKENS_S)
        self.add("lora128", lethe, peer, [a / b for a, b in zip(lethe, peer)],
                 "QVAC" if self.args.qvac else "QVAC (a constant)",
                 "" if self.args.qvac else "QVAC was not run: it stayed below 1.1 tokens/s where it was measured")

    def first_item(self, folder):
        """A suite of one pair, and seconds of the whole process for it."""
        source = sorted(glob.glob(os.path.join(self.args.blimp, "*.jsonl")))[0]
        path = os.path.join(folder, os.path.basename(source))
        with open(source, encoding="utf-8") as file, open(path, "w", encoding="utf-8") as out:
            out.write(file.readline())
        command = [f"{self.args.build}/lethe", "probe", self.args.model, "--quiet", "--probes", path]
        output_of(command, self.env)  # fills the caches
        return lambda: output_of(command, self.env)[1]

    def blimp(self, rows):
        pairs, starts = ([], []), ([], [])
        with tempfile.TemporaryDirectory() as folder:
            first = self.first_item(folder)
            suites = self.shortened(folder, 8) if self.args.quick else self.args.blimp
            paths = sorted(glob.glob(os.path.join(suites, "*.jsonl")))
            n = sum(sum(1 for line in open(p, encoding="utf-8") if line.strip()) for p in paths)
            for _ in range(self.rounds):
                start = first()
                text, wall = output_of([f"{self.args.build}/lethe", "probe", self.args.model, "--quiet", "--json",
                                        "--probes", *paths], self.env)
                right = sum(round(float(s["value"]) * s["items"]) for s in json.loads(text)["suites"])
                peer = self.python("peer_lm_eval.py", "--blimp", suites, "--batch", *self.args.batch,
                                   python=self.args.python_lm_eval or self.args.python)
                pairs[0].append(n / max(wall - start, 1e-3))
                pairs[1].append(peer["pairs"] / peer["scoring_s"])
                starts[0].append(start)
                starts[1].append(peer["first_s"])
        if "blimp" in rows:
            self.add("blimp", *pairs, [a / b for a, b in zip(*pairs)], "lm-eval",
                     f"{n} pairs, start-up not counted on either side, batch {peer['batch']}; right here {right} of {n}, "
                     f"there {peer['right']:.0f} of {peer['pairs']}")
        if "startup" in rows and None in starts[1]:
            self.left_out.append("startup: lm-eval looked for its batch first; give it one --batch")
        elif "startup" in rows:
            self.add("startup", *starts, [b / a for a, b in zip(*starts)], "lm-eval", "warm caches; whole process of lethe")

    def shortened(self, folder, lines):
        """The first lines of each paradigm, in a folder."""
        short = os.path.join(folder, "short")
        os.mkdir(short)
        for path in glob.glob(os.path.join(self.args.blimp, "*.jsonl")):
            to = os.path.join(short, os.path.basename(path))
            with open(path, encoding="utf-8") as file, open(to, "w", encoding="utf-8") as out:
                out.writelines(line for _, line in zip(range(lines), file))
        return short

    def demo(self):
        output_of(["scripts/setup.sh"])
        output_of(["cmake", "--preset", "release"])
        output_of(["cmake", "--build", "--preset", "release", "--target", "lethe", "lethe-verify"])
        _, seconds = output_of(["scripts/demo.sh"], self.env)
        self.add("demo", [seconds], [], [seconds], "the clock", "one run, built before")

    # ---- all of them ----

    def attempt(self, rows, missing, run):
        wanted = [r for r in rows if r in self.args.rows]
        if not wanted:
            return True
        if missing:
            self.left_out += [f"{r}: {missing}" for r in wanted]
            return True
        try:
            run(wanted)
            return True
        except (Failed, OSError, KeyError, ValueError) as why:
            self.left_out += [f"{r}: {why}" for r in wanted]
            return False

    def run(self):
        no_python = None if self.args.python else "no --python with torch, transformers and peft"
        no_lm_eval = None if self.args.python_lm_eval or self.args.python else "no --python-lm-eval"
        no_blimp = no_lm_eval or (None if self.args.blimp else "no --blimp folder, and LETHE_BLIMP is not set")
        device = self.lethe_bench("--peak")
        self.facts.update({k: device[k] for k in ("tool", "device", "host", "peak")})
        no_matmul = None if os.path.exists(f"{self.args.build}/bench_matmul") else "bench_matmul is not built"
        return all([
            self.attempt(["matmul"], no_matmul, lambda _: self.matmul()),
            self.attempt(["lora512", "forward", "memory"], no_python, self.peft),
            self.attempt(["full512"], no_python, self.full),
            self.attempt(["lora128"], None, lambda _: self.lora128()),
            self.attempt(["blimp", "startup"], no_blimp, self.blimp),
            self.attempt(["demo"], None, lambda _: self.demo()),
        ])

    def document(self):
        return {"lethe_compare": 1, "date": datetime.date.today().isoformat(), "quick": self.args.quick,
                "threads": self.args.threads, "driver": self.drivers[0][0], **self.facts, "rows": self.rows,
                "left_out": self.left_out}


def text_of(rows):
    def median(values):
        return f"{statistics.median(values):10.1f}" if values else " " * 10

    for r in rows:
        limits = "".join(f"  {name} {value:g}{' reached' if ok else ' NOT reached'}" for name, value, ok in
                         (("least", r["least"], r["reached"]), ("goal", r["goal"], r["reached_goal"])) if value is not None)
        spread = f" ({min(r['ratios']):.2f} to {max(r['ratios']):.2f})" if len(r.get("ratios", [])) > 1 else ""
        if r.get("note"):
            limits += f"  ({r['note']})"
        yield f"{r['what']:<58} {median(r.get('lethe'))} {median(r.get('peer'))} {r['unit']:<9} {r['ratio']:8.2f}{spread}{limits}"


def stop(why):
    print(f"compare: {why}", file=sys.stderr)
    sys.exit(2)


def main():
    args = arguments()
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", args.name):
        stop(f"'{args.name}' is no name: a-z, 0-9, '_', '.' and '-'")
    if args.qvac and not args.qvac_model:
        stop("--qvac wants --qvac-model, an F32 GGUF")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:args.threads])
    compare = Compare(args)
    try:
        whole = compare.run()
    except Failed as why:
        stop(why)
    document = compare.document()
    device = document.get("device", {})
    print(f"{device.get('name', 'no device')}, {device.get('driver_version', '')}; peers {document['peers']}")
    print(f"{'':<58} {'lethe':>10} {'peer':>10} {'':<9} {'ratio':>8}")
    print("\n".join(text_of(document["rows"])))
    for line in document["left_out"]:
        print(f"left out: {line}")
    os.makedirs("bench/results", exist_ok=True)
    with open(f"bench/results/{args.name}.json", "w", encoding="utf-8") as out:
        json.dump(document, out, indent=1, sort_keys=True)
        out.write("\n")
    print(f"bench/results/{args.name}.json")
    sys.exit(0 if whole else 2)


if __name__ == "__main__":
    main()
