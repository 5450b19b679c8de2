"""A user's own robot is read, and whatever is wrong with a robot, its file or its packages is said so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from vidpretrain.errors import ConfigError, InputError, MissingAsset, UnknownName
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import Robot, find_assets, load_robot, mj_spec
from vidpretrain.robot import load as loading
from vidpretrain.robot.qpos import qpos_columns


def poses(r: Robot, q: np.ndarray | None = None) -> dict[str, np.ndarray]:
    return dict(zip(r.tree.site_names, site_poses(r.tree, (r.home if q is None else q)[None])[0], strict=True))


def own(tmp_path: Path, **changes) -> Path:
    """A user's robot: two hinges, its YAML beside its MJCF."""
    (tmp_path / "mine.xml").write_text(
        """<mujoco><compiler angle="radian"/><worldbody><body name="trunk"><freejoint/>
        <inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
        <body name="upper" pos="0 0.2 0.3"><joint name="lift" axis="0 1 0" range="-1 1"/><geom size=".05"/>
        <body name="fore" pos="0 0 -.2"><joint name="bend" axis="0 1 0" range="-2 0"/><geom size=".05"/>
        </body></body></body></worldbody></mujoco>"""
    )
    data = {
        "name": "mine",
        "license": "mine",
        "model": {"file": "mine.xml"},
        "base": "trunk",
        "base_height_m": 0.5,
        "groups": {"left_arm": ["lift", "bend"]},
        "sites": {"left_wrist": {"body": "fore", "pos": [0, 0, -0.2], "x": [0, 0, -1], "z": [0, 1, 0]}},
        "columns": [{"group": "left_arm"}],
        "max_speed": {"left_arm": 3, "bend": 2},
        "camera": {"body": "trunk", "x": [0, -1, 0], "z": [1, 0, 0]},
        **changes,
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_a_users_own_robot(tmp_path):
    path = own(tmp_path)
    r = load_robot(path)
    assert r.tree.joint_names == ("lift", "bend")
    np.testing.assert_array_equal(r.max_speed, [3.0, 2.0])
    np.testing.assert_array_equal(r.max_torque, [np.inf, np.inf])
    np.testing.assert_allclose(poses(r)["left_wrist"][4:], [0, 0.2, -0.1], atol=1e-12)
    assert mj_spec(r).compile().nq == 9
    changed = load_robot(own(tmp_path, home={"lift": 0.5}))
    assert changed.digest != r.digest
    assert changed.tree.digest == r.tree.digest


def test_a_users_robot_with_a_ball(tmp_path):
    groups = {"left_arm": ["lift.x", "lift.y", "lift.z", "bend"]}
    path = own(tmp_path, groups=groups, home={"lift.y": 0.3})
    model = (tmp_path / "mine.xml").read_text()
    text = model.replace('axis="0 1 0" range="-1 1"', 'type="ball" range="0 1" actuatorfrcrange="-7 7"')
    (tmp_path / "mine.xml").write_text(text)
    r = load_robot(path)
    assert r.tree.kind == ("ball", "ball", "ball", "hinge")
    np.testing.assert_array_equal(r.tree.upper, [1.0, 1.0, 1.0, 0.0])
    np.testing.assert_array_equal(r.max_torque, [7.0, 7.0, 7.0, np.inf])
    np.testing.assert_array_equal(r.home, [0.0, 0.3, 0.0, 0.0])
    np.testing.assert_allclose(
        poses(r)["left_wrist"][4:], [-0.4 * np.sin(0.3), 0.2, 0.3 - 0.4 * np.cos(0.3)], atol=1e-12
    )
    model, home = mj_spec(r).compile(), np.empty(mj_spec(r).compile().nq)
    columns = qpos_columns(model, r.tree.joint_names)
    columns.put(home, r.home)
    np.testing.assert_allclose(columns.take(home), r.home, atol=1e-12)


def test_digest_changes_with_the_model(tmp_path):
    before = load_robot(own(tmp_path)).digest
    path = own(tmp_path)
    (tmp_path / "mine.xml").write_text((tmp_path / "mine.xml").read_text().replace('range="-2 0"', 'range="-1.5 0"'))
    loading._assemble.cache_clear()
    assert load_robot(path).digest != before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"groups": {"left_arm": ["lift", "bendd"]}}, "did you mean 'bend'"),
        ({"base": "trunkk"}, "did you mean 'trunk'"),
        ({"home": {"bend": 1.0}}, "outside the joint limits"),
        ({"max_speed": {"lift": 1}}, "max_speed"),
        ({"sitess": {}}, "did you mean 'sites'"),
        ({"sites": {"a": {"body": "fore", "x": [0, 0, 1], "z": [0, 0, 1]}}}, "parallel"),
        ({"groups": {"left_arm": ["lift", "bend"], "waist": ["lift"]}}, "two groups"),
        ({"columns": [{"group": "left_hand"}]}, "no group"),
    ],
)
def test_a_wrong_robot_file_says_so(tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words):
        load_robot(own(tmp_path, **changes))


@pytest.mark.parametrize(("suffix", "text"), [("xml", "<mujoco><oops/></mujoco>"), ("urdf", "<robot"), ("xml", "")])
def test_a_broken_model_file_is_bad_input(tmp_path, suffix, text):
    path = own(tmp_path, model={"file": f"broken.{suffix}"})
    (tmp_path / f"broken.{suffix}").write_text(text)
    with pytest.raises(InputError, match="cannot read"):
        load_robot(path)


def test_a_urdf_with_mimic_joints_is_read(tmp_path):
    inertia = '<inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/>'
    links = "".join(f'<link name="l{i}"><inertial><mass value="1"/>{inertia}</inertial></link>' for i in range(3))
    joints = (
        '<joint name="lift" type="revolute"><parent link="l0"/><child link="l1"/><axis xyz="0 1 0"/>'
        '<origin xyz="0 0.2 0.3"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint>'
        '<joint name="bend" type="revolute"><parent link="l1"/><child link="l2"/><axis xyz="0 1 0"/>'
        '<limit lower="-2" upper="0" effort="1" velocity="1"/>'
        '<mimic joint="lift" multiplier="0.5" offset="-0.5"/></joint>'
    )
    path = own(
        tmp_path, model={"file": "mine.urdf"}, base="l0", sites={"left_wrist": {"body": "l2"}}, camera={"body": "l0"}
    )
    (tmp_path / "mine.urdf").write_text(f'<robot name="mine">{links}{joints}</robot>')
    tree = load_robot(path).tree
    np.testing.assert_array_equal(tree.mimic_source, [-1, 0])
    np.testing.assert_allclose(tree.with_mimic(np.array([0.4, 0.0])), [0.4, -0.3])


def test_unknown_robot_and_missing_model(tmp_path, monkeypatch):
    with pytest.raises(UnknownName, match="did you mean 'g1_inspire'"):
        load_robot("g1_inspir")
    with pytest.raises(UnknownName):
        load_robot(tmp_path / "nothing.yaml")
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path / "menagerie"))
    with pytest.raises(MissingAsset) as caught:
        find_assets("no/such.xml", ("no_such_package_at_all/models",), "pip install it")
    text = str(caught.value)
    assert str(tmp_path / "menagerie") in text
    assert "no_such_package_at_all" in text
    assert "pip install it" in text
    (tmp_path / "menagerie" / "no").mkdir(parents=True)
    (tmp_path / "menagerie" / "no" / "such.xml").write_text("<mujoco/>")
    assert find_assets("no/such.xml") == tmp_path / "menagerie" / "no" / "such.xml"


def test_mujoco_menagerie_is_asked_last(tmp_path, monkeypatch):
    """A stand-in for the package: its cache is searched, then it downloads, and its errors are passed on."""
    package = tmp_path / "site" / "mujoco_menagerie"
    package.mkdir(parents=True)
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    (package / "__init__.py").write_text(
        "class MenagerieError(Exception): pass\n"
        "class R:\n"
        f"    def path(self): return {str(fetched)!r}\n"
        "def get(name):\n"
        "    if name != 'good': raise MenagerieError('no robot ' + name)\n"
        "    return R()\n"
    )
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("MENAGERIE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("MENAGERIE_ROOT", raising=False)
    with pytest.raises(MissingAsset, match=r"good has no robot\.xml"):
        find_assets("good/robot.xml")
    (fetched / "robot.xml").write_text("<mujoco/>")
    assert find_assets("good/robot.xml") == fetched / "robot.xml"
    with pytest.raises(MissingAsset, match="no robot bad"):
        find_assets("bad/robot.xml")
    cached = tmp_path / "cache" / "models" / "bad-0123" / "robot.xml"
    cached.parent.mkdir(parents=True)
    cached.write_text("<mujoco/>")
    assert find_assets("bad/robot.xml") == cached
    sys.modules.pop("mujoco_menagerie", None)


def test_the_doors_import_nothing_heavy():
    code = (
        "import sys, vidpretrain.robot, vidpretrain.solve, vidpretrain.kinematics, vidpretrain.tree;"
        "bad = {'mujoco', 'numba', 'scipy', 'torch'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["talos", "icub", "shadow_right"])
def test_a_robot_whose_package_is_missing_says_make_robots(name, monkeypatch, tmp_path):
    from vidpretrain.robot import assets

    loading._assemble.cache_clear()
    monkeypatch.setattr(assets, "_installed", lambda distribution, relative: None)
    monkeypatch.setattr(assets.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("MENAGERIE_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("MENAGERIE_ROOT", raising=False)
    with pytest.raises(MissingAsset) as caught:
        load_robot(name)
    assert caught.value.next_command == "make robots"
