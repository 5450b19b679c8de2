"""The robot's MuJoCo model: body, hands put on, unwanted meshes taken off, named sites added."""

from __future__ import annotations

import warnings
from pathlib import Path

from vidpretrain import geometry
from vidpretrain.errors import ConfigError, MissingAsset, nearest
from vidpretrain.robot.assets import find_assets
from vidpretrain.robot.file import HandFile, RobotFile
from vidpretrain.robot.reading import missing_meshes, read_model
from vidpretrain.robot.types import Robot

FREE_JOINT = "floating_base_joint"
ROOT = "vidpretrain_base"


def mj_spec(robot: Robot):
    """A fresh `mujoco.MjSpec` of the whole robot; see `robot.mj_spec`."""
    from vidpretrain.robot.load import read_file

    file, beside = read_file(robot.source)
    spec = build_spec(file, beside)
    if missing := missing_meshes(spec):
        raise MissingAsset(
            f"{len(missing)} meshes of robot {file.name} are not on this machine, or in a format MuJoCo cannot read",
            asked=next(iter(missing.values())),
            found=", ".join(missing),
            valid="formats .stl, .obj, .msh; meshes named under 'remove_meshes' are left out",
        )
    return spec


def build_spec(file: RobotFile, beside: Path | None):
    """The MjSpec of a robot file; `beside` is the folder of a user's YAML.

    Raises:
        MissingAsset: a model file is not on this machine.
        ConfigError: the file names a body that the model does not have.
        InputError: MuJoCo cannot read a model file, or its links make no tree.
    """
    path = find_assets(file.model.file, file.model.packages, file.model.next_command, beside)
    spec = read_model(path, file.remove_meshes)
    for hand in file.hands:
        _attach(spec, hand, beside)
    base = body(spec, file.base)
    if file.base_frame is not None or base.parent.name != "world":
        spec, base = _rooted(spec, file)
    if not any(int(joint.type) == 0 for joint in base.joints):  # 0 is mjJNT_FREE
        base.add_freejoint(name=FREE_JOINT)
    taken = {site.name for site in spec.sites}
    for name, frame in file.frames.items():
        T = frame.T_body_frame
        if name in taken:  # the model's own site gives way: the YAML's frame is the one that is documented
            spec.delete(spec.site(name))
        body(spec, frame.body).add_site(name=name, pos=T[4:], quat=T[:4], group=5)
    return spec


def base_body(file: RobotFile, spec) -> str:
    """Name of the body whose pose is T_world_base in what `build_spec` made of a file."""
    return ROOT if spec.body(ROOT) is not None else file.base


def _rooted(spec, file: RobotFile):
    """(new spec, its root body): the part of the model at and below the base, on a root with the frame's axes."""
    import mujoco

    # MuJoCo says so at every compile; names must stay as the model has them, and nobody saves this spec
    warnings.filterwarnings("ignore", message="Attaching a spec with an empty prefix")
    new = mujoco.MjSpec()
    new.modelfiledir = spec.modelfiledir
    for name in (n for n in dir(spec.option) if not n.startswith("_") and n != "copy"):
        setattr(new.option, name, getattr(spec.option, name))
    for key in list(spec.keys):  # poses of the whole model
        spec.delete(key)
    root = new.worldbody.add_body(name=ROOT)
    base = body(spec, file.base)
    for joint in list(base.joints):
        spec.delete(joint)  # what moves the base in its model is T_world_base here
    base.pos, base.quat = [0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]
    T = geometry.inverse(geometry.IDENTITY_POSE if file.base_frame is None else file.base_frame.T_body_frame)
    root.add_frame(pos=T[4:], quat=T[:4]).attach_body(base, "", "")
    return new, root


def body(spec, name: str):
    """The body of that name.

    Raises:
        ConfigError: there is none.
    """
    found = spec.body(name)
    if found is None:
        names = [b.name for b in spec.bodies]
        raise ConfigError(f"the model has no body {name!r}{nearest(name, names)}", asked=name, valid=", ".join(names))
    return found


def _attach(spec, hand: HandFile, beside: Path | None) -> None:
    child = read_model(find_assets(hand.file, hand.packages, hand.next_command, beside), hand.remove_meshes)
    roots = [b for b in child.bodies if b.parent is not None and b.parent.name == "world"]
    if len(roots) != 1:
        raise ConfigError("a hand's model has exactly one root body", asked=hand.file, found=[b.name for b in roots])
    T = hand.T_body_frame
    frame = body(spec, hand.body).add_frame(pos=T[4:], quat=T[:4])
    frame.attach_body(roots[0], hand.prefix, "")
