"""The robot's MuJoCo model: body, hands put on, unwanted meshes taken off, named sites added."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from vidpretrain.errors import ConfigError, InputError, nearest
from vidpretrain.robot.assets import find_assets
from vidpretrain.robot.file import HandFile, RobotFile
from vidpretrain.robot.types import Robot

FREE_JOINT = "floating_base_joint"


def mj_spec(robot: Robot):
    """A fresh `mujoco.MjSpec` of the whole robot; see `robot.mj_spec`."""
    from vidpretrain.robot.load import read_file

    file, beside = read_file(robot.source)
    return build_spec(file, beside)


def build_spec(file: RobotFile, beside: Path | None):
    """The MjSpec of a robot file; `beside` is the folder of a user's YAML.

    Raises:
        MissingAsset: a model file is not on this machine.
        ConfigError: the file names a body that the model does not have.
        InputError: MuJoCo cannot read a model file.
    """
    spec = _read(find_assets(file.model.file, file.model.packages, file.model.next_command, beside))
    _remove_meshes(spec, file.remove_meshes)
    for hand in file.hands:
        _attach(spec, hand, beside)
    base = body(spec, file.base)
    if not any(int(joint.type) == 0 for joint in base.joints):  # 0 is mjJNT_FREE
        base.add_freejoint(name=FREE_JOINT)
    taken = {site.name for site in spec.sites}
    for name, frame in file.frames.items():
        T = frame.T_body_frame
        if name in taken:  # the model's own site gives way: the YAML's frame is the one that is documented
            spec.delete(spec.site(name))
        body(spec, frame.body).add_site(name=name, pos=T[4:], quat=T[:4], group=5)
    return spec


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


def _read(path: Path):
    import mujoco

    try:
        if path.suffix.lower() == ".urdf":
            return _read_urdf(path)
        spec = mujoco.MjSpec.from_file(str(path))
    except (ValueError, ElementTree.ParseError) as error:
        raise InputError(f"MuJoCo cannot read the model: {error}", asked=path) from None
    folder = path.parent / (spec.compiler.meshdir or "")
    for mesh in spec.meshes:
        mesh.file = str((folder / mesh.file).resolve())
    return spec


def _read_urdf(path: Path):
    """URDF drops its visual meshes and merges fixed links unless told not to."""
    import mujoco

    root = ElementTree.parse(path).getroot()
    for element in root.findall("mujoco"):
        root.remove(element)
    extension = ElementTree.SubElement(root, "mujoco")
    ElementTree.SubElement(extension, "compiler", discardvisual="false", fusestatic="false", strippath="false")
    for mesh in root.iter("mesh"):
        mesh.set("filename", str((path.parent / mesh.get("filename", "")).resolve()))
    return mujoco.MjSpec.from_string(ElementTree.tostring(root, encoding="unicode"))


def _remove_meshes(spec, meshes: tuple[str, ...]) -> None:
    for geom in list(spec.geoms):
        if geom.meshname in meshes:
            spec.delete(geom)
    for mesh in list(spec.meshes):
        if mesh.name in meshes or (not mesh.name and Path(mesh.file).stem in meshes):
            spec.delete(mesh)


def _attach(spec, hand: HandFile, beside: Path | None) -> None:
    child = _read(find_assets(hand.file, hand.packages, hand.next_command, beside))
    roots = [b for b in child.bodies if b.parent is not None and b.parent.name == "world"]
    if len(roots) != 1:
        raise ConfigError("a hand's model has exactly one root body", asked=hand.file, found=[b.name for b in roots])
    T = hand.T_body_frame
    frame = body(spec, hand.body).add_frame(pos=T[4:], quat=T[:4])
    frame.attach_body(roots[0], hand.prefix, "")
