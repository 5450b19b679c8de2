#!/usr/bin/env bash
# The client that bench-policy is asked by, in an environment of its own, .venv-openpi (openpi-client needs numpy < 2).
# Safe to call again: the environment is made once for each constraints-openpi.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

VENV=.venv-openpi
STAMP=$VENV/.setup-$(sha256sum <constraints-openpi.txt | cut -c1-16)
[[ -f $STAMP ]] && exit 0
printf 'bench: installing openpi-client into %s\n' "$VENV" >&2
.venv/bin/uv venv -q --clear --python .venv/bin/python "$VENV"
.venv/bin/uv pip install -q --python "$VENV/bin/python" --constraint constraints-openpi.txt openpi-client==0.1.2 typing_extensions  # which it imports and does not name
: >"$STAMP"
