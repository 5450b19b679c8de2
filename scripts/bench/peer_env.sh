#!/usr/bin/env bash
# An environment of its own for the peers of a benchmark: VENV CONSTRAINTS PACKAGE...
# Safe to call again: the environment is made once for each version of the constraints.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

VENV=$1 CONSTRAINTS=$2
STAMP=$VENV/.setup-$(sha256sum <"$CONSTRAINTS" | cut -c1-16)
[[ -f $STAMP ]] && exit 0
printf 'bench: installing the peers into %s\n' "$VENV" >&2
.venv/bin/uv venv -q --clear --python .venv/bin/python "$VENV"
.venv/bin/uv pip install -q --python "$VENV/bin/python" --constraint "$CONSTRAINTS" "${@:3}"
: >"$STAMP"
