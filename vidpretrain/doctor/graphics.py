"""Off-screen rendering: a small scene is really rendered, in a process of its own, by each back end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from vidpretrain.doctor.row import Row, missing_package

APT = "apt-get install -y libegl1 libegl-mesa0 libgl1-mesa-dri libosmesa6 libgles2 libgl1 libglib2.0-0"
_BACKENDS = ("egl", "osmesa")
_TIMEOUT_S = 60
_SCENE = """
import mujoco, time
model = mujoco.MjModel.from_xml_string(
    "<mujoco><worldbody><light pos='0 0 2'/><geom type='sphere' size='.4' rgba='1 0 0 1'/>"
    "<camera name='c' pos='0 -2 0' xyaxes='1 0 0 0 0 1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 48, 64) as renderer:
    renderer.update_scene(data, "c")
    renderer.render()
    start = time.perf_counter()
    picture = renderer.render()
    spent = time.perf_counter() - start
assert picture[24, 32, 0] > picture[24, 32, 2] + 40, "the red sphere is not in the picture"
print(f"{1e3 * spent:.1f} ms for 64x48")
"""


def check_graphics() -> Iterator[Row]:
    """A row per back end: one that works is enough, so a single failure is a warning."""
    missing = missing_package("rendering", "mujoco")
    if missing:
        yield missing
        return
    tried = {backend: _render(backend) for backend in _BACKENDS}
    any_works = any(works for works, _ in tried.values())
    for backend, (works, found) in tried.items():
        status = "ok" if works else ("warn" if any_works else "fail")
        yield Row(check=f"rendering with {backend}", status=status, found=found, next="" if works else APT)


def _render(backend: str) -> tuple[bool, str]:
    environment = {**os.environ, "MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _SCENE],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"no picture within {_TIMEOUT_S} s"
    if done.returncode == 0:
        return True, done.stdout.strip()
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    errors = [line for line in lines if "Error" in line]  # Renderer.__del__ complains after the real error
    return False, (errors or lines)[0].strip()
