#!/usr/bin/env bash
# Write constraints.txt: the exact version of every package in .venv, but for pip and the project itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
FROZEN=$(.venv/bin/uv pip freeze -q --python .venv/bin/python --exclude-editable)
{
    echo "# Exact versions of everything that setup installs: made by 'make constraints' (Python 3.11)."
    grep -vE '^(-e |pip==|vidpretrain[ =@])' <<<"$FROZEN"
} >constraints.txt.tmp
mv constraints.txt.tmp constraints.txt
