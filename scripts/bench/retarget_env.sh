#!/usr/bin/env bash
# The peers of 'make bench-retarget' in an environment of their own, .venv-bench (with torch, which dex-retargeting imports).
# Safe to call again: the environment is made once for each constraints-bench.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

VENV=.venv-bench
STAMP=$VENV/.setup-$(sha256sum <constraints-bench.txt | cut -c1-16)
[[ -f $STAMP ]] && exit 0
printf 'bench: installing the peers into %s\n' "$VENV" >&2
.venv/bin/uv venv -q --clear --python .venv/bin/python "$VENV"
.venv/bin/uv pip install -q --python "$VENV/bin/python" --constraint constraints-bench.txt \
    dex-retargeting==0.5.0 dexi-rs==0.4.1 mink==1.3.0 daqp torch six
: >"$STAMP"
