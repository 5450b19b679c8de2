"""Landmark models and robots: found, whole, and loadable."""

from __future__ import annotations

from collections.abc import Iterator

from vidpretrain.doctor.row import SETUP, Row, guarded, missing_package


def check_models() -> Iterator[Row]:
    """A row per landmark model; finding one checks its sha256."""
    missing = missing_package("MediaPipe", "mediapipe")
    yield missing or Row(check="MediaPipe", status="ok", found=_version("mediapipe"))
    from vidpretrain.pose import MODELS

    for name in MODELS:
        yield from guarded(f"model {name}", lambda name=name: [_model(name)])


def _model(name: str) -> Row:
    from vidpretrain.pose import find_model

    return Row(check=f"model {name}", status="ok", found=str(find_model(name, download=False)))


def check_robots() -> Iterator[Row]:
    """A row per shipped robot, which is really loaded."""
    from vidpretrain.robot import robot_names

    for name in robot_names():
        yield from guarded(f"robot {name}", lambda name=name: [_robot(name)])


def _robot(name: str) -> Row:
    from vidpretrain.robot import load_robot

    robot = load_robot(name)
    found = f"{len(robot.columns)} action columns, {robot.license}"
    return Row(check=f"robot {name}", status="ok", found=found)


def check_people() -> Iterator[Row]:
    """The body model that the demo renders."""
    yield missing_package("Anny (the demo's person)", "anny", status="warn") or Row(
        check="Anny (the demo's person)", status="ok", found=_version("anny")
    )


def check_recordings() -> Iterator[Row]:
    """The package that writes recordings of `retarget --view`."""
    yield missing_package("rerun (recordings of --view)", "rerun", status="warn") or Row(
        check="rerun (recordings of --view)", status="ok", found=_version("rerun-sdk")
    )


def _version(package: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return f"without metadata; next: {SETUP}"
