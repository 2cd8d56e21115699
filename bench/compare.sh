#!/usr/bin/env bash
# lethe beside its peers: the same work in turn on the same cores, ratios of medians, into bench/results/NAME.json.
#
# usage: bench/compare.sh NAME [--rows ROW...] [--quick] [...]      bench/compare.sh --help says the rest
#
# Exits 0 when every row was measured (reached or not), 2 when one could not be.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TOKENIZERS_PARALLELISM=false TRANSFORMERS_VERBOSITY=error LC_ALL=C.UTF-8
exec python3 bench/compare.py "$@"
