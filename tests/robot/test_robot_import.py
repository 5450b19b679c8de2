"""A model nobody has described: mapped by tree and shape alone; what is wrong with it is said, never passed over."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from vidpretrain import geometry
from vidpretrain.cli import app
from vidpretrain.errors import InputError, MissingAsset, UsageError
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import load_robot, mj_spec
from vidpretrain.robot_import import add_robot

UP, DOWN = 1.0, -1.0


class Urdf:
    """A small humanoid in URDF whose names say nothing. `turn` is the heading it is built with (radians about z)."""

    def __init__(self, *, turn: float = 0.0, arm: float = 0.27, limits: bool = True) -> None:
        self.links, self.joints, self.turn, self.arm, self.limits = [], [], turn, arm, limits
        self.count = itertools.count(10)
        self.root = self.link((0.1, 0.16, 0.1), (0, 0, 0))

    def vector(self, v) -> str:
        x, y, z = v
        c, s = np.cos(self.turn), np.sin(self.turn)
        return f"{c * x - s * y:.6f} {s * x + c * y:.6f} {z:.6f}"

    def link(self, size, centre, mesh: str | None = None) -> str:
        name = f"b{next(self.count)}"
        shape = f'<mesh filename="{mesh}"/>' if mesh else f'<box size="{size[0]} {size[1]} {size[2]}"/>'
        inertia = '<inertial><mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial>'
        origin = f'<origin xyz="{self.vector(centre)}" rpy="0 0 {self.turn}"/>'
        self.links.append(f'<link name="{name}">{inertia}<visual>{origin}<geometry>{shape}</geometry></visual></link>')
        return name

    def joint(self, parent, at, axis, size, centre, low=-1.5, high=1.5, kind="revolute", mesh=None) -> str:
        child = self.link(size, centre, mesh)
        limit = f'<limit lower="{low}" upper="{high}" effort="5" velocity="3"/>' if self.limits else ""
        kind = "continuous" if kind == "revolute" and not self.limits else kind
        self.joints.append(
            f'<joint name="m{child}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
            f'<origin xyz="{self.vector(at)}"/><axis xyz="{self.vector(axis)}"/>{limit}</joint>'
        )
        return child

    def leg(self, side: float) -> None:
        at = self.joint(self.root, (0, 0.09 * side, -0.05), (0, 1, 0), (0.06, 0.06, 0.06), (0, 0, 0))
        at = self.joint(at, (0, 0, 0), (1, 0, 0), (0.08, 0.08, 0.38), (0, 0, -0.2))
        at = self.joint(at, (0, 0, -0.4), (0, 1, 0), (0.07, 0.07, 0.38), (0, 0, -0.2), 0.0, 2.2)
        self.joint(at, (0, 0, -0.4), (0, 1, 0), (0.2, 0.08, 0.04), (0.05, 0, -0.05), -0.8, 0.8)

    def trunk(self) -> str:
        return self.joint(self.root, (0, 0, 0.06), (0, 0, 1), (0.16, 0.3, 0.44), (0, 0, 0.24))

    def arms(self, trunk: str, side: float, wrist: bool = True) -> str:
        a, y = self.arm, 0.2 * side
        at = self.joint(trunk, (0, y, 0.4), (0, 1, 0), (0.06, 0.06, 0.06), (0, 0, 0), -2.8, 2.8)
        at = self.joint(at, (0, 0, 0), (1, 0, 0), (0.06, 0.06, a), (0, 0, -a / 2))
        at = self.joint(at, (0, 0, -a), (0, 1, 0), (0.05, 0.05, 0.9 * a), (0, 0, -0.45 * a), -2.3, 0.0)
        at = self.joint(at, (0, 0, -0.45 * a), (0, 0, 1), (0.05, 0.05, 0.2 * a), (0, 0, -0.1 * a))
        kind = "revolute" if wrist else "fixed"
        return self.joint(at, (0, 0, -0.45 * a), (1, 0, 0), (0.08, 0.03, 0.06), (0, 0, -0.04), -0.7, 0.7, kind)

    def hand(self, palm: str, side: float) -> None:
        """Fingers down, palm to the middle of the body, thumb in front; `side` is whose hand it is."""
        low, high = (0.0, 1.6) if side > 0 else (-1.6, 0.0)  # about the thumb's direction
        for x, length in ((0.03, 0.04), (0.0, 0.045), (-0.03, 0.035)):
            at = self.joint(palm, (x, 0, -0.08), (-1, 0, 0), (0.014, 0.014, length), (0, 0, -length / 2), low, high)
            self.joint(at, (0, 0, -length), (-1, 0, 0), (0.014, 0.014, length), (0, 0, -length / 2), low, high)
        at = self.joint(palm, (0.045, 0, -0.03), (0, 0, 1), (0.02, 0.016, 0.016), (0.01, 0, 0), -0.8, 0.8)
        self.joint(at, (0.03, 0, 0), (0, 0, 1), (0.03, 0.016, 0.016), (0.015, 0, 0), -0.8, 0.8)

    def write(self, path: Path) -> Path:
        path.write_text(f'<robot name="x">{"".join(self.links)}{"".join(self.joints)}</robot>')
        return path


def build(path: Path, hands: tuple[float, ...] = (1.0, -1.0), *, wrist: bool = True, legs: bool = True, **keys) -> Path:
    u = Urdf(**keys)
    trunk = u.trunk()
    if legs:
        u.leg(1.0)
        u.leg(-1.0)
    palms = [u.arms(trunk, side, wrist) for side in (1.0, -1.0)]
    for palm, hand in zip(palms, hands, strict=False):
        u.hand(palm, hand)
    return u.write(path)


def at_home(robot) -> dict[str, np.ndarray]:
    return dict(zip(robot.tree.site_names, site_poses(robot.tree, robot.home[None])[0], strict=True))


@pytest.mark.parametrize("turn", [0.0, np.pi / 2, np.pi, -np.pi / 2])
def test_a_humanoid_without_telling_names_is_mapped(tmp_path, turn):
    """Whatever way it faces: left and right, arms, legs, waist, hands, and frames that follow the convention."""
    added = add_robot(build(tmp_path / "x.urdf", turn=turn), tmp_path / "mine.yaml", draw=False)
    robot = load_robot(tmp_path / "mine.yaml")
    assert added.kind == "humanoid"
    assert not added.remarks
    sizes = {"left_arm": 5, "right_arm": 5, "left_hand": 8, "right_hand": 8, "waist": 1, "left_leg": 4, "right_leg": 4}
    assert {group: len(names) for group, names in robot.groups.items()} == sizes
    at = at_home(robot)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        assert at[f"{side}_shoulder"][4:] == pytest.approx([0, 0.2 * sign, 0.46], abs=0.02)
        assert at[f"{side}_foot"][5] * sign > 0.05
        wrist = geometry.matrix_from_quat(at[f"{side}_wrist"][:4])
        assert wrist[0, 0] > 0.7  # fingers forward
        assert wrist[1, 2] * sign > 0.7  # backs of the hands outwards
        assert at[f"{side}_thumb_tip"][6] > at[f"{side}_middle_tip"][6] + 0.02  # thumbs up
        assert at[f"{side}_index_tip"][6] > at[f"{side}_ring_tip"][6] + 0.02
    np.testing.assert_allclose(at["left_wrist"][4:] * [1, -1, 1], at["right_wrist"][4:], atol=0.02)
    assert robot.base_height_m == pytest.approx(0.92, abs=0.01)
    assert geometry.rotate(robot.T_base_camera[:4], np.array([0, 0, 1.0]))[0] > 0.8
    assert robot.max_speed.max() == 3.0


def test_the_page_shows_five_poses_and_the_yaml_says_why(tmp_path):
    try:
        added = add_robot(build(tmp_path / "x.urdf"), tmp_path / "mine.yaml")
    except MissingAsset as error:
        pytest.skip(str(error))
    text, page = added.yaml.read_text(), added.page.read_text()
    assert "  # where its first two axes meet" in text
    assert "axis, direction and place differ most" in text
    assert page.count("data:image/jpeg;base64,") == 5
    assert "Against a person of 1.7 m" in page
    assert "left upper arm" in page
    assert not list(tmp_path.glob(".*"))
    assert mj_spec(load_robot(added.yaml)).compile().nq == 7 + 35


def test_missing_meshes_are_counted_and_left_out(tmp_path):
    u = Urdf()
    trunk = u.trunk()
    for side in (1.0, -1.0):
        u.leg(side)
        palm = u.arms(trunk, side)
        u.hand(palm, side)
    u.joint(trunk, (0, 0, 0.5), (0, 0, 1), (0.1, 0.1, 0.1), (0, 0, 0.1), mesh="package://gone/head.stl")
    u.joint(trunk, (0, 0, 0.6), (0, 0, 1), (0.1, 0.1, 0.1), (0, 0, 0.1), mesh="hat.dae")
    added = add_robot(u.write(tmp_path / "x.urdf"), tmp_path / "mine.yaml", draw=False)
    assert any(remark.startswith("2 meshes are not there") for remark in added.remarks)
    assert mj_spec(load_robot(added.yaml)).compile().nmesh == 0
    data = yaml.safe_load(added.yaml.read_text())
    assert sorted(data.pop("remove_meshes")) == ["hat", "head"]
    careless = tmp_path / "careless.yaml"
    careless.write_text(yaml.safe_dump(data))
    robot = load_robot(careless)  # kinematics needs no meshes
    with pytest.raises(MissingAsset, match="2 meshes"):
        mj_spec(robot)


def remarks_of(path: Path) -> tuple[str, ...]:
    return add_robot(path, path.with_suffix(".yaml"), draw=False).remarks


def test_joints_without_limits_are_counted(tmp_path):
    remarks = remarks_of(build(tmp_path / "x.urdf", limits=False))
    assert any(remark.startswith("35 joints have no limits") for remark in remarks)
    robot = load_robot(tmp_path / "x.yaml")
    assert np.isfinite(robot.max_speed).all()


def test_a_fixed_wrist_and_no_hands_are_said(tmp_path):
    remarks = remarks_of(build(tmp_path / "x.urdf", hands=(), wrist=False))
    assert any("no hands with fingers" in remark for remark in remarks)
    assert sum("no wrist after the elbow" in remark for remark in remarks) == 2
    robot = load_robot(tmp_path / "x.yaml")
    assert "left_hand" not in robot.groups
    assert {"left_wrist", "left_palm"} <= set(robot.tree.site_names)
    assert "left_thumb_tip" not in robot.tree.site_names


def test_two_left_hands_are_said(tmp_path):
    remarks = remarks_of(build(tmp_path / "x.urdf", hands=(1.0, 1.0)))
    assert any("the right arm carries a left hand" in remark for remark in remarks)
    assert "both hands are left hands" in remarks


def test_short_arms_are_said_with_a_figure(tmp_path):
    remarks = remarks_of(build(tmp_path / "x.urdf", arm=0.12))
    assert sum("arm is short" in remark and "%" in remark for remark in remarks) == 2


def test_no_legs_are_said(tmp_path):
    remarks = remarks_of(build(tmp_path / "x.urdf", legs=False))
    assert any("no legs" in remark for remark in remarks)
    assert load_robot(tmp_path / "x.yaml").base_height_m == 0.0


@pytest.mark.parametrize("kind", ["two parents", "ring"])
def test_a_closed_loop_names_the_joints(tmp_path, kind):
    u = Urdf()
    trunk = u.trunk()
    end = u.arms(trunk, 1.0)
    child, parent = (end, u.root) if kind == "two parents" else (u.root, end)
    u.joints.append(f'<joint name="closer" type="fixed"><parent link="{parent}"/><child link="{child}"/></joint>')
    with pytest.raises(InputError, match="closed loop") as caught:
        add_robot(u.write(tmp_path / "x.urdf"), tmp_path / "mine.yaml")
    assert "closer" in str(caught.value)
    assert not (tmp_path / "mine.yaml").exists()


def test_loops_of_an_mjcf_are_counted(tmp_path):
    spec = mj_spec(load_robot(add_robot(build(tmp_path / "x.urdf"), tmp_path / "a.yaml", draw=False).yaml))
    names = [b.name for b in spec.bodies if b.name != "world"]
    spec.add_equality(type=0, objtype=1, name1=names[5], name2=names[9])
    for site in list(spec.sites):
        spec.delete(site)
    spec.compile()
    (tmp_path / "loop.xml").write_text(spec.to_xml())
    assert any(remark.startswith("1 closed loops") for remark in remarks_of(tmp_path / "loop.xml"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<mujoco/>", "no bodies"),
        ("<mujoco><worldbody><body name='a'><geom size='.1'/></body></worldbody></mujoco>", "nothing moves"),
        ("not xml", "cannot read"),
        (
            "<mujoco><worldbody><body name='a'><geom size='.1'/><body name='b' pos='0 0 1'><joint name='j'/>"
            "<geom size='.1'/></body></body></worldbody></mujoco>",
            "no pair of arms",
        ),
        (
            "<mujoco><worldbody><body name='a'><geom size='.1'/><body pos='0 0 1'><joint/>"
            "<geom size='.1'/></body></body></worldbody></mujoco>",
            "need names",
        ),
        (
            "<mujoco><worldbody><body name='a'><geom size='.1'/><body name='b'><joint name='j' type='ball'/>"
            "<geom size='.1'/></body></body></worldbody></mujoco>",
            "ball joints are not supported",
        ),
    ],
)
def test_what_is_no_robot_is_bad_input(tmp_path, text, words):
    (tmp_path / "x.xml").write_text(text)
    with pytest.raises(InputError, match=words):
        add_robot(tmp_path / "x.xml", tmp_path / "mine.yaml", draw=False)
    assert not (tmp_path / "mine.yaml").exists()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_hand_of_its_own_knows_its_side(tmp_path, side):
    sign = 1.0 if side == "left" else -1.0
    u = Urdf()
    u.links.clear()
    u.root = u.link((0.08, 0.03, 0.08), (0, 0, -0.04))
    u.hand(u.root, sign)
    added = add_robot(u.write(tmp_path / "x.urdf"), tmp_path / "mine.yaml", draw=False)
    robot = load_robot(added.yaml)
    assert added.kind == "hand"
    assert robot.sides == (side,)
    assert len(robot.groups[f"{side}_hand"]) == 8
    wrist = geometry.matrix_from_quat(at_home(robot)[f"{side}_wrist"][:4])
    assert wrist[1, 2] * sign > 0.9
    assert wrist[2, 0] < -0.9


def test_the_command_writes_and_the_result_is_accepted_everywhere(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build(tmp_path / "x.urdf")
    monkeypatch.setattr("vidpretrain.robot_import.page.render_postures", lambda *a, **k: [[]] * 5)

    def run(*words: str) -> tuple[int, dict]:
        with pytest.raises(SystemExit) as caught:
            app.main(["robots", *words, "--json"])
        return int(caught.value.code or 0), json.loads(capfd.readouterr().out)

    code, result = run("add", "x.urdf", "--out", "my_robot.yaml")
    assert code == 0
    assert result["yaml"] == "my_robot.yaml"
    assert (tmp_path / result["page"]).is_file()
    assert len(result["mapped"]) == 7
    code, shown = run("my_robot.yaml")
    assert code == 0
    assert shown["dof"] == 35
    code, result = run("add", "x.urdf", "out=other.yaml")
    assert (code, result["yaml"]) == (0, "other.yaml")
    code, result = run("--out", "other.yaml")
    assert (code, result["error"]["kind"]) == (2, "UsageError")
    code, result = run("add", "gone.urdf")
    assert (code, result["error"]["kind"]) == (1, "InputError")
    with pytest.raises(UsageError, match=r"end in \.yaml"):
        add_robot("x.urdf", "mine.txt")
