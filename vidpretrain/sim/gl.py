"""Off-screen OpenGL for MuJoCo: the back end that works here, and a small renderer that returns depth with colour.

Worker processes only: an EGL context in a process that later builds its first torch optimizer ends in a segfault.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vidpretrain.errors import MissingAsset

if TYPE_CHECKING:
    import mujoco

_BACKENDS = ("egl", "osmesa")
_PROBE = "import mujoco; c = mujoco.GLContext(16, 16); c.make_current(); c.free()"


def choose_gl() -> str:
    """Name of a working back end ("egl" or "osmesa"), also put into MUJOCO_GL for this process and its children.

    A back end that the user set in MUJOCO_GL comes first. Each is tried in a process of its own, because a failing
    one can end the process. Call it before anything imports mujoco's renderer.

    Raises:
        MissingAsset: neither back end works.
    """
    if os.environ.get("VIDPRETRAIN_GL"):
        return _use(os.environ["VIDPRETRAIN_GL"])
    own = os.environ.get("MUJOCO_GL", "").lower()
    wanted = dict.fromkeys([own if own in _BACKENDS else "", *_BACKENDS])
    found = []
    for name in (name for name in wanted if name):
        env = {**os.environ, "MUJOCO_GL": name, "PYOPENGL_PLATFORM": name}
        run = subprocess.run([sys.executable, "-c", _PROBE], env=env, capture_output=True, text=True, timeout=120)
        if run.returncode == 0:
            return _use(name)
        found.append(f"{name}: {(run.stderr.strip().splitlines() or [f'exit code {run.returncode}'])[-1]}")
    raise MissingAsset(
        "no off-screen OpenGL for MuJoCo",
        asked="MUJOCO_GL=egl or osmesa",
        found="; ".join(found),
        next_command="apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri libosmesa6",
    )


def _use(name: str) -> str:
    for variable in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "VIDPRETRAIN_GL"):  # the last: children need not try again
        os.environ[variable] = name
    return name


class Renderer:
    """Renders one model at one size, without reflections; a context manager.

    `render` returns the picture (h w 3) uint8 and, when asked, the distance along the optical axis (h w) float32 m.
    `samples` is that of the multi-sampling (0: none), `shadows` casts them where the model's lights do.
    """

    def __init__(
        self, model: mujoco.MjModel, width_px: int, height_px: int, *, samples: int = 0, shadows: bool = False
    ) -> None:
        backend = choose_gl()
        import mujoco

        self._mj, self._model = mujoco, model
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width_px)
        model.vis.global_.offheight = max(model.vis.global_.offheight, height_px)
        model.vis.quality.offsamples = samples
        # mujoco.GLContext is the back end of the time mujoco was imported, which may have been before the choice
        self._gl = importlib.import_module(f"mujoco.{backend}").GLContext(width_px, height_px)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=max(1000, 2 * model.ngeom))
        for flag in ("mjRND_SHADOW", "mjRND_REFLECTION", "mjRND_SKYBOX", "mjRND_FOG", "mjRND_HAZE"):
            if hasattr(mujoco.mjtRndFlag, flag):
                self._scene.flags[getattr(mujoco.mjtRndFlag, flag)] = int(shadows and flag == "mjRND_SHADOW")
        self._option = mujoco.MjvOption()
        self._option.geomgroup[3:] = 0  # groups 3 to 5: collision shapes
        self._rect = mujoco.MjrRect(0, 0, width_px, height_px)
        self._rgb = np.empty((height_px, width_px, 3), dtype=np.uint8)
        self._depth = np.empty((height_px, width_px), dtype=np.float32)

    def render(
        self,
        data: mujoco.MjData,
        camera: str | mujoco.MjvCamera,
        depth: bool = False,
        draw: Callable[[mujoco.MjvScene], None] | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Picture and, with `depth`, metres along the optical axis, seen by a named camera or a free one.

        `draw` may add shapes to the scene that the model does not have.
        """
        mujoco = self._mj
        if isinstance(camera, str):
            view = mujoco.MjvCamera()
            view.type = mujoco.mjtCamera.mjCAMERA_FIXED
            view.fixedcamid = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_CAMERA, camera)
            if view.fixedcamid < 0:
                raise KeyError(camera)
        else:
            view = camera
        self._gl.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, data, self._option, None, view, everything, self._scene)
        if draw is not None:
            draw(self._scene)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(self._rgb, self._depth if depth else None, self._rect, self._context)
        return self._rgb[::-1].copy(), self._metres() if depth else None

    def skins(self) -> np.ndarray:
        """Number (h w) of the skin that each pixel of the last picture shows, -1 where it shows something else."""
        mujoco, flags = self._mj, self._scene.flags
        marks = (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR, mujoco.mjtRndFlag.mjRND_SHADOW)
        before = [flags[mark] for mark in marks]
        for mark, value in zip(marks, (1, 1, 0), strict=True):
            flags[mark] = value
        self._gl.make_current()
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(self._rgb, None, self._rect, self._context)
        for mark, value in zip(marks, before, strict=True):
            flags[mark] = value
        number = self._rgb[::-1].astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32) - 1
        geoms = self._scene.geoms[: self._scene.ngeom]
        table = np.full(max(1, self._scene.ngeom), -1, dtype=np.int32)
        for geom in geoms:
            if geom.objtype == mujoco.mjtObj.mjOBJ_SKIN and 0 <= geom.segid < len(table):
                table[geom.segid] = geom.objid
        known = (number >= 0) & (number < len(table))  # where samples of two things were mixed, anything may stand
        return np.where(known, table[np.where(known, number, 0)], -1)

    def _metres(self) -> np.ndarray:
        camera = self._scene.camera[0]  # reversed z: 1 at the near plane, 0 at the far one (see mjr_readPixels)
        near, far = camera.frustum_near, camera.frustum_far
        buffer = self._depth[::-1]
        mapping = self._context.readDepthMap
        z = buffer if mapping == self._mj.mjtDepthMap.mjDEPTH_ZERONEAR else 1.0 - buffer
        return (near * far / (far - z * (far - near))).astype(np.float32)

    def close(self) -> None:
        """Free the context."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
