"""Model files as MuJoCo specs: MJCF as it is, URDF with its meshes found, links kept and packages resolved."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from vidpretrain.errors import InputError

_ROUND = (2, 3, 5, 6)  # sphere, capsule, cylinder, box
READABLE = (".stl", ".obj", ".msh")  # mesh formats that MuJoCo reads


def read_model(path: Path, without: tuple[str, ...] = ()):
    """The `mujoco.MjSpec` of a model file, mesh paths absolute; geoms of the meshes named in `without` are left out.

    Nothing is said about meshes that are missing: kinematics need none (see `missing_meshes`).

    Raises:
        InputError: MuJoCo cannot read it, or links and joints make no tree.
    """
    import mujoco

    try:
        spec = _read_urdf(path, without) if is_urdf(path) else mujoco.MjSpec.from_file(str(path))
    except (ValueError, ElementTree.ParseError) as error:
        raise InputError(f"MuJoCo cannot read the model: {error}", asked=path) from None
    folder = path.parent / (spec.compiler.meshdir or "")
    for mesh in spec.meshes:
        if mesh.file:
            mesh.file = str((folder / mesh.file).resolve())
    remove_meshes(spec, without)
    return spec


def missing_meshes(spec) -> dict[str, str]:
    """Name and file of every mesh of a spec that MuJoCo cannot load: not there, or in another format."""
    files = {mesh.name or Path(mesh.file).stem: Path(mesh.file) for mesh in spec.meshes if mesh.file}
    return {n: str(f) for n, f in files.items() if f.suffix.lower() not in READABLE or not f.is_file()}


def remove_meshes(spec, meshes: tuple[str, ...]) -> None:
    """Delete the named meshes and the geoms that show them; a mesh without a name has its file's."""
    for geom in list(spec.geoms):
        if geom.meshname in meshes:
            spec.delete(geom)
    for mesh in list(spec.meshes):
        if mesh.name in meshes or (not mesh.name and Path(mesh.file).stem in meshes):
            spec.delete(mesh)


def is_urdf(path: Path) -> bool:
    """Whether the file is a URDF: by its suffix, or by its root element."""
    if path.suffix.lower() == ".urdf":
        return True
    try:
        return ElementTree.parse(path).getroot().tag == "robot"
    except (ElementTree.ParseError, OSError):
        return False


def _read_urdf(path: Path, without: tuple[str, ...]):
    """URDF drops its visual meshes and merges fixed links unless told not to."""
    import mujoco

    root = ElementTree.parse(path).getroot()
    _check_tree(root, path)
    for element in root.findall("mujoco"):
        root.remove(element)
    extension = ElementTree.SubElement(root, "mujoco")
    ElementTree.SubElement(extension, "compiler", discardvisual="false", fusestatic="false", strippath="false")
    for link in root.iter("link"):
        for kind in ("visual", "collision"):
            for shape in link.findall(kind):
                shape.attrib.pop("name", None)  # one that stands twice makes MuJoCo complain, and nobody asks for it
                mesh = shape.find("geometry/mesh")
                if mesh is None:
                    continue
                file = mesh_file(mesh.get("filename", ""), path)
                if file.stem in without or str(file) in without:
                    link.remove(shape)
                else:
                    mesh.set("filename", str(file))
    spec = mujoco.MjSpec.from_string(ElementTree.tostring(root, encoding="unicode"))
    for geom in list(spec.geoms):
        if int(geom.type) in _ROUND and not geom.size[0] > 0:
            spec.delete(geom)  # a shape of no size, which MuJoCo would not compile
    spec.compiler.balanceinertia = True  # exporters write inertias that no body can have
    spec.compiler.boundmass, spec.compiler.boundinertia = 1e-6, 1e-12
    return spec


def mesh_file(name: str, urdf: Path) -> Path:
    """The file that a URDF's mesh name means: relative to the URDF, or `package://NAME/...` below one of its parents.

    A format that MuJoCo cannot read gives way to a readable file of the same name beside it.
    """
    file = _located(name, urdf)
    if file.suffix.lower() not in READABLE:
        for suffix in READABLE:
            if (other := file.with_suffix(suffix)).is_file():
                return other
    return file


def _located(name: str, urdf: Path) -> Path:
    scheme, separator, rest = name.partition("://")
    if not separator:
        return (urdf.parent / name).resolve()
    rest = rest.lstrip("/")
    if scheme == "file":
        return Path("/" + rest)
    inside = rest.partition("/")[2]
    for parent in urdf.resolve().parents:
        for candidate in (parent / rest, parent / inside):
            if inside and candidate.is_file():
                return candidate
    return (urdf.parent / rest).resolve()


def _check_tree(root: ElementTree.Element, path: Path) -> None:
    """Raise InputError where links and joints of a URDF make no tree; MuJoCo's own words name neither."""
    parent: dict[str, tuple[str, str]] = {}
    links = {link.get("name", "") for link in root.findall("link")}
    for joint in root.findall("joint"):
        ends = [joint.find(end) for end in ("parent", "child")]
        above, below = (None if end is None else end.get("link") for end in ends)
        name = joint.get("name", "")
        if not above or not below or above not in links or below not in links:
            raise InputError(
                f"joint {name!r} joins a link that the model does not have", asked=path, found=f"{above} -> {below}"
            )
        if below in parent:
            raise InputError(
                f"link {below!r} hangs on two joints, {parent[below][1]!r} and {name!r}: a closed loop is no tree",
                asked=path,
                valid="open the loop at one of them; a joint that follows another is a <mimic>",
            )
        parent[below] = (above, name)
    roots = sorted(links - set(parent))
    if links and not roots:
        names = ", ".join(sorted(name for _, name in parent.values()))
        raise InputError("every link hangs on another: a closed loop is no tree", asked=path, found=names)
    if len(roots) > 1:
        raise InputError("the model is in pieces: more than one link hangs on nothing", asked=path, found=roots)
    for link in parent:
        seen, at = {link}, link
        while at in parent:
            at = parent[at][0]
            if at in seen:
                raise InputError("links hang on each other in a closed loop", asked=path, found=", ".join(sorted(seen)))
            seen.add(at)


def joint_speeds(path: Path) -> dict[str, float]:
    """Speed limits (rad/s) that a URDF states, by joint; none for other formats."""
    if not is_urdf(path):
        return {}
    found = {}
    for joint in ElementTree.parse(path).getroot().findall("joint"):
        limit = joint.find("limit")
        speed = float(limit.get("velocity") or 0) if limit is not None else 0.0
        if speed > 0:
            found[joint.get("name", "")] = speed
    return found


def mimics(path: Path) -> int:
    """How many joints of a URDF follow another by their own words; 0 for other formats."""
    return len(ElementTree.parse(path).getroot().findall("joint/mimic")) if is_urdf(path) else 0
