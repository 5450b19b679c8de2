"""A user's own task: one Python file and one YAML, checked and refused."""

from __future__ import annotations

import os

import pytest

from vidpretrain.errors import ConfigError, InputError, UnknownName, UsageError
from vidpretrain.sim.worlds import Job, World, WorldConfig, check_task, load_task, run_jobs
from vidpretrain.sim.worlds.check import tasks
from vidpretrain.sim.worlds.jobs import Died
from vidpretrain.sim.worlds.stage import Unstable

GOOD = '''
"""Touch a box."""
import numpy as np
from vidpretrain import geometry
from vidpretrain.sim.worlds import Task, turn


class Mine(Task):
    name = "mine"
    instruction = "touch the box"
    duration_s = 4.0
    needs_hands = False

    def scene(self, scene):
        scene.add(scene.fixed("box"), "box", (0.03, 0.03, 0.08), (0.8, 0.2, 0.2), at=(0, 0, 0.08))

    def reset(self, stage):
        stage.put("box", stage.draw(0.02, 0.08), stage.draw(-0.18, -0.08), 0.0)

    def success(self, stage):
        return stage.touching("box", "right")

    def expert(self, stage, do):
        q = turn((1, 0, 0), (0, -1, 0))
        yield from do.move(2.0, {"right": geometry.pose(q, stage.at("box", x=-0.10, z=0.08))})
        yield from do.wait(1.0)
'''


def write(folder, text, yaml=""):
    path = folder / "mine.py"
    path.write_text(text)
    if yaml:
        path.with_suffix(".yaml").write_text(yaml)
    return str(path)


def test_own_task_is_checked(tmp_path):
    path = write(tmp_path, GOOD, "instruction: touch my box\nrobots: [g1_inspire]\nworld: {image_px: 64}\n")
    assert len(GOOD.splitlines()) < 60
    task, settings = load_task(path)
    assert task.instruction == "touch my box"
    assert settings.world.image_px == 64
    found = check_task(path, episodes=6, workers=1)
    assert found["task"] == "mine"
    assert [rate["policy"] for rate in found["rates"]] == ["expert", "expert, shifted", "hold", "random"]
    assert found["rates"][0]["success"] == 1.0
    assert found["rates"][2]["success"] == 0.0
    assert not found["floor"]


def test_floor_and_ceiling_are_found(tmp_path):
    always = GOOD.replace('return stage.touching("box", "right")', "return True")
    found = check_task(write(tmp_path, always), episodes=5, workers=1)
    assert found["ceiling"]
    assert not found["ok"]
    assert any("success at the start" in r["remark"] for r in found["remarks"])
    never = GOOD.replace('return stage.touching("box", "right")', "return False")
    found = check_task(write(tmp_path, never), episodes=5, workers=1)
    assert found["floor"]
    assert not found["ceiling"]


def test_things_that_do_not_move_are_remarked(tmp_path):
    fixed = GOOD.replace("stage.draw(0.02, 0.08), stage.draw(-0.18, -0.08)", "0.05, -0.12")
    found = check_task(write(tmp_path, fixed), episodes=5, workers=1)
    assert any("nothing is placed differently" in r["remark"] for r in found["remarks"])


def test_own_randomness_is_remarked(tmp_path):
    own = GOOD.replace("stage.draw(0.02, 0.08)", "np.random.default_rng().uniform(0.02, 0.08)")
    own = own.replace('scene.fixed("box")', 'scene.thing("box")')
    found = check_task(write(tmp_path, own), episodes=5, workers=1)
    assert any("same start twice" in r["remark"] for r in found["remarks"])


@pytest.mark.parametrize("part", ["success", "expert", "scene", "reset"])
def test_task_without_a_part(tmp_path, part):
    path = write(tmp_path, GOOD.replace(f"def {part}(", f"def not_{part}("))
    with pytest.raises(ConfigError, match="not whole") as error:
        World(path)
    assert f"without {part}" in str(error.value.found)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (GOOD.replace("class Mine(Task)", "class Mine"), "one class"),
        ("import nothing_like_this", "does not run"),
        (GOOD + "\n\nclass Second(Mine):\n    pass\n", "one class"),
    ],
)
def test_file_that_holds_no_task(tmp_path, text, match):
    with pytest.raises(ConfigError, match=match):
        load_task(write(tmp_path, text))


def test_bad_yaml_names_the_key(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'instruction'"):
        load_task(write(tmp_path, GOOD, "instructoin: x\n"))
    with pytest.raises(UnknownName, match="unknown axis"):
        load_task(write(tmp_path, GOOD, "world: {shifted: [weather]}\n"))


def test_unstable_scene_is_said(tmp_path):
    """A box that is still falling when the episode begins."""
    inside = GOOD.replace('scene.fixed("box")', 'scene.thing("box")').replace("-0.08), 0.0)", "-0.08), 30.0)")
    world = World(write(tmp_path, inside), images=False)
    with pytest.raises(Unstable, match="not stable at its start"):
        world.reset(seed=0)
    found = check_task(write(tmp_path, inside), episodes=5, workers=1)
    assert found["rates"][0]["unstable"] == 5
    assert found["floor"]


def test_scene_that_does_not_compile(tmp_path):
    bad = GOOD.replace("(0.03, 0.03, 0.08), (0.8", "(0.03, -0.03, 0.08), (0.8")
    with pytest.raises(ConfigError, match="cannot compile"):
        World(write(tmp_path, bad))
    twice = GOOD.replace("def scene(self, scene):", 'def scene(self, scene):\n        scene.fixed("box")')
    with pytest.raises(ConfigError, match="different names"):
        World(write(tmp_path, twice))


def test_expert_that_breaks_is_said(tmp_path):
    path = write(tmp_path, GOOD.replace("yield from do.move(2.0", "yield from do.dance(2.0"))
    with pytest.raises(InputError, match="fails: AttributeError"):
        check_task(path, episodes=2, workers=1)


def dies_at_two(job: Job) -> int:
    if job.seed == 2:
        os._exit(9)
    return job.seed


def test_a_worker_that_dies_costs_its_job_alone():
    jobs = [Job(task="reach_touch", robot="g1_inspire", world=WorldConfig(), seed=k) for k in range(5)]
    found = list(run_jobs(dies_at_two, jobs, workers=2))
    assert isinstance(found[2], Died)
    assert [f for f in found if not isinstance(f, Died)] == [0, 1, 3, 4]


def test_verb_lists_and_refuses():
    found = tasks()
    assert len(found["tasks"]) == 8
    with pytest.raises(UsageError, match="what to do"):
        tasks(inputs=("judge", "pour"))
    with pytest.raises(UsageError, match="what to do"):
        tasks(inputs=("record", "pour"))


def test_the_documents_own_task_works(tmp_path):
    """The task that docs/tasks.md shows, with its YAML, as it stands there."""
    import re
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text()
    code, yaml = (re.search(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("python", "yaml"))
    assert code is not None
    assert yaml is not None
    assert len(code[1].splitlines()) < 60
    (tmp_path / "my_task.py").write_text(code[1])
    (tmp_path / "my_task.yaml").write_text(yaml[1])
    found = check_task(str(tmp_path / "my_task.py"), episodes=8, workers=1)
    assert found["ok"], found["message"]
    assert found["rates"][0]["success"] == 1.0
