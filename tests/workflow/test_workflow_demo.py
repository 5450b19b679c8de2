"""The whole path in small: rendered people, a scripted robot, training, evaluation, report; and again, for free."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidpretrain.config import load
from vidpretrain.workflow.config import RunConfig

SMALL = (
    *("sim.clips=2", "sim.bodies=1", "sim.duration_s=1.5", "sim.robot_task.episodes=5", "sim.robot_task.duration_s=2"),
    *("sim.robot_task.width_px=160", "sim.robot_task.height_px=120"),
    *("pretrain.steps=4", "pretrain.warmup=1", "finetune.steps=4", "finetune.warmup=1", "evaluate.every=20"),
    *("evaluate.bootstrap=50", "robot_data.held_out=2", "report.clips=1", "report.clip_s=1", "predict.every=60"),
)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_leaves_everything_it_promises_and_does_nothing_twice(tmp_path):
    pytest.importorskip("anny", reason="the demo renders Anny people: pip install vidpretrain[sim]")
    from vidpretrain.workflow.predicting import predict
    from vidpretrain.workflow.whole import demo, report

    demo_yaml = Path(__file__).parents[2] / "configs" / "demo.yaml"
    config = load(RunConfig, demo_yaml, [f"out={tmp_path}/demo", *SMALL])
    first = demo(config, ())
    assert first["ok"]
    assert first["in"] == first["accepted"] + first["rejected"] == 2
    assert set(first["checkpoints"]) == {"pretrain", "finetune", "scratch"}
    page = Path(first["report"]).read_text()
    for word in ("Labels against the truth", "wrist in the camera frame", "data:video/mp4;base64,", "hold state"):
        assert word in page
    evaluation = json.loads((config.out / "evaluation.json").read_text())
    assert set(evaluation["methods"]) == {"policy", "scratch", "hold_state", "mean_action", "last_velocity"}
    assert evaluation["episodes"] == [1, 4]

    second = demo(config, ())
    assert second["recomputed"] == 0
    assert "nothing was recomputed" in second["message"]

    Path(first["report"]).unlink()
    assert Path(report(RunConfig(), (str(config.out),))["report"]).is_file()

    predicted = predict(config, (str(config.out / "robot"),))
    assert (predicted["embodiment"], predicted["rows"]) == ("g1_inspire", 5)  # every 60th row of 5 times 60
    assert predict(config, (str(config.out / "robot"),))["computed_shards"] == 0
