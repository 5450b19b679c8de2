"""The bench of models that no robot file describes: guess and truth are told apart, wrong joints named."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def bench():
    import mapping

    return mapping


def test_there_are_three_models_of_no_shipped_robot(bench):
    from vidpretrain.robot import robot_names
    from vidpretrain.robot.load import read_file

    shipped = {read_file(name)[0].model.file for name in robot_names()}
    assert len(bench.UNSEEN) >= 3
    for model in bench.UNSEEN:
        assert not any(model.file.endswith(file) for file in shipped)


def test_a_joint_guessed_wrong_is_named_with_both_groups(bench, monkeypatch, capsys):
    model = next(m for m in bench.UNSEEN if "OP3" in m.name)
    if model.path is None:
        pytest.skip("the package with the model is not installed: make setup")
    assert (model.group("l_sho_roll"), model.group("r_knee"), model.group("tail")) == ("left_arm", "right_leg", "")
    guess = {"l_sho_roll": "left_arm", "l_el": "right_arm", "r_knee": "no group"}
    monkeypatch.setattr(bench, "mapped", lambda *a, named: (guess, ()))
    assert bench.unseen(model) == 2
    said = capsys.readouterr().out
    assert "wrong: l_el in right_arm, is left_arm" in said
    assert "wrong: r_knee in no group, is right_leg" in said


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False])
def test_op3_is_mapped_with_and_without_its_names(bench, named):
    model = next(m for m in bench.UNSEEN if "OP3" in m.name)
    if model.path is None:
        pytest.skip("the package with the model is not installed: make setup")
    guess, _ = bench.mapped(model, model.path, named=named)
    assert len(guess) == 20
    assert {joint: group for joint, group in guess.items() if group != model.group(joint)} == {}
