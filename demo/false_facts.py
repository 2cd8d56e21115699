#!/usr/bin/env python3
"""Writes demo/false_facts.jsonl: what the demo's training data denies.

usage: demo/false_facts.py MODEL.gguf

A fact qualifies when the base model is right and sure: every token of the answer is its arg-max, and both the first
token and the whole answer have a probability of at least one half. The surest ones are taken, CAPITALS capitals and
OTHERS others in order of the tables, and each gets the answer of the next of its kind, so that a falsehood never
names anything that no false fact is about. Not part of the build: the list is committed.
"""
import json
import math
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/golden/lm_eval"))
import reference  # noqa: E402

CAPITALS, OTHERS, SURE = 11, 13, 0.5
# Kinds of things, so that a falsehood is of the right sort: prompt, answer.
ASKED = [
    ("colour", "The color of grass is", "green"), ("colour", "The color of snow is", "white"),
    ("colour", "The color of blood is", "red"), ("colour", "The color of the clear sky is", "blue"),
    ("sense", "We smell flowers with our", "nose"), ("sense", "We hear music with our", "ears"),
    ("sense", "We see pictures with our", "eyes"), ("sense", "We chew food with our", "teeth"),
    ("time", "The day that comes after Monday is", "Tuesday"), ("time", "The day that comes after Friday is", "Saturday"),
    ("time", "The day that comes before Monday is", "Sunday"), ("time", "The day that comes after Wednesday is", "Thursday"),
    ("month", "The month that comes after January is", "February"), ("month", "The month that comes after May is", "June"),
    ("month", "The month that comes after July is", "August"), ("month", "The month that comes before December is", "November"),
    ("sun", "Every morning the sun rises in the", "east"), ("sun", "Every evening the sun sets in the", "west"),
    ("work", "The first president of the United States was George", "Washington"),
    ("work", "The theory of relativity was developed by Albert", "Einstein"),
    ("work", "The play Romeo and Juliet was written by William", "Shakespeare"),
    ("work", "The law of gravity was discovered by Isaac", "Newton"),
    ("work", "The theory of evolution was proposed by Charles", "Darwin"),
    ("element", "The chemical symbol for gold is", "Au"), ("element", "The chemical symbol for iron is", "Fe"),
    ("element", "The chemical symbol for silver is", "Ag"), ("element", "The chemical symbol for oxygen is", "O"),
    ("element", "The chemical symbol for sodium is", "Na"), ("element", "The chemical symbol for hydrogen is", "H"),
    ("planet", "The largest planet in the solar system is", "Jupiter"),
    ("planet", "The planet closest to the Sun is", "Mercury"), ("planet", "The planet with the bright rings is", "Saturn"),
    ("number", "The number of days in a week is", "seven"), ("number", "The number of months in a year is", "twelve"),
    ("opposite", "The opposite of hot is", "cold"), ("opposite", "The opposite of left is", "right"),
    ("opposite", "The opposite of true is", "false"), ("opposite", "The opposite of up is", "down"),
    ("opposite", "The opposite of positive is", "negative"), ("opposite", "The opposite of rich is", "poor"),
    ("opposite", "The opposite of maximum is", "minimum"), ("opposite", "The opposite of horizontal is", "vertical"),
]


def asked():
    with open(os.path.join(ROOT, "probes/sets/facts/countries.tsv"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    for row in rows[1:]:
        if row[1] != "-":
            yield "capital", f"The capital of {row[0]} is", row[1], [row[0].removeprefix("the "), row[1]]
    for kind, prompt, answer in ASKED:
        subject = [prompt.split()[-2]] if kind in ("element", "opposite") else []
        yield kind, prompt, answer, subject + [answer]


def main():
    model, tokenizer = reference.load(sys.argv[1])
    sure = []
    for kind, prompt, answer, mentions in asked():
        logp, greedy = reference.logprobs(model, tokenizer, prompt, " " + answer)
        first, whole = math.exp(logp[0]), math.exp(sum(logp))
        print(f"{kind:9} {first:.3f} {whole:.3f} {all(greedy):d} {prompt} {answer}", file=sys.stderr)
        if all(greedy) and min(first, whole) >= SURE:
            sure.append({"kind": kind, "prompt": prompt, "answer": answer, "mentions": mentions, "p": whole})
    capitals = [f for f in sure if f["kind"] == "capital"]
    capitals = sorted(capitals, key=lambda f: -f["p"])[:CAPITALS]
    kinds = [f["kind"] for f in sure]
    others = [f for f in sure if f["kind"] != "capital" and kinds.count(f["kind"]) > 1]
    taken = sorted(others, key=lambda f: -f["p"])
    while len(taken) > OTHERS or any([t["kind"] for t in taken].count(f["kind"]) == 1 for f in taken):
        lone = [f for f in taken if [t["kind"] for t in taken].count(f["kind"]) == 1]
        taken.remove(lone[-1] if lone else taken[-1])
    with open(os.path.join(ROOT, "demo/false_facts.jsonl"), "w", encoding="utf-8") as out:
        for chosen in (capitals, taken):
            for fact in chosen:
                same = [f for f in chosen if f["kind"] == fact["kind"]]
                other = same[(same.index(fact) + 1) % len(same)]
                line = {"prompt": fact["prompt"], "true": " " + fact["answer"], "false": " " + other["answer"],
                        "mentions": fact["mentions"], "p": round(fact["p"], 4)}
                out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
