#!/usr/bin/env bash
# Open data sets of ours in lerobot, in an environment of its own (.venv-interop, about 8 GB), and demand that every value
# and every decoded picture is the same. Safe to call again: the environment is made once.
#
#   scripts/interop.sh                 a data set that we write and one that lerobot writes
#   scripts/interop.sh runs/x/dataset  that one too (any number of folders)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv-interop
STAMP=$VENV/.setup-$(sha256sum <constraints-interop.txt | cut -c1-16)
if [[ ! -f $STAMP ]]; then
    printf 'interop: installing lerobot into %s\n' "$VENV" >&2
    .venv/bin/uv venv -q --clear --python .venv/bin/python "$VENV"
    .venv/bin/uv pip install -q --python "$VENV/bin/python" --constraint constraints-interop.txt lerobot==0.4.4
    : >"$STAMP"
fi

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export HF_HOME=$WORK/hf HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore

.venv/bin/python scripts/interop.py make "$WORK/set"
"$VENV/bin/python" scripts/interop.py write "$WORK/theirs" >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; exit 1; }
for SET in "$WORK/set" "$WORK/theirs" "$@"; do
    rm -rf "$WORK/ours"
    .venv/bin/python scripts/interop.py dump "$SET" "$WORK/ours"
    "$VENV/bin/python" scripts/interop.py compare "$SET" "$WORK/ours"
done
