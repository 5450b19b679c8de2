#!/usr/bin/env bash
# Write constraints.txt: the exact version of every package in .venv, but for pip, the project itself and the packages
# that only 'make robots' installs (constraints-robots.txt).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
FROZEN=$(.venv/bin/uv pip freeze -q --python .venv/bin/python --exclude-editable)
SETUP=$(sed -n 's/^uv_install --no-deps //p' scripts/setup.sh | tr ' ' '\n')
ROBOTS=$(grep -vE '^(#|$)' constraints-robots.txt | grep -vE "^($(paste -sd'|' <<<"$SETUP"))==")
{
    echo "# Exact versions of everything that setup installs: made by 'make constraints' (Python 3.11)."
    grep -vE '^(-e |pip==|vidpretrain[ =@])' <<<"$FROZEN" | grep -vxFf <(printf '%s\n' "$ROBOTS")
} >constraints.txt.tmp
mv constraints.txt.tmp constraints.txt
