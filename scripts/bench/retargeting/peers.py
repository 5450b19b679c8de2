"""Peers at work, in their own environment: reads requests as lines of JSON, answers with seconds and joint positions.

    {"solver": "dex" | "dexi" | "mink", "case": CASE.json, "out": Q.npy, "frames": 621, "iterations": 3}

A case names the model (URDF for dex-retargeting and dexi-rs, the same model as MJCF for mink), the joints in the order
of the answer, and an npz with targets. Building a solver is not timed; all frames are, one after the other.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_FREE = 0  # mjJNT_FREE


def main() -> int:
    """Answer until standard input ends; what peers print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        with open(asked["case"]) as file:
            case = json.load(file)
        try:
            q, times = _SOLVERS[asked["solver"]](case, asked)
            answer = {"seconds": float(np.sum(times)), "p99_s": float(np.percentile(times, 99))}
            np.save(asked["out"], q)
        except Exception as error:  # noqa: BLE001 (a peer may fail in any way; the benchmark says so and goes on)
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


@cache
def _points(path: str) -> np.ndarray:
    return np.load(path)["p_hand"]


def _vector_config(case: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "vector",
        "urdf_path": case["urdf"],
        "target_joint_names": case["free"],
        "target_origin_link_names": [case["origin"]] * len(case["links"]),
        "target_task_link_names": case["links"],
        "target_link_human_indices": [[0] * len(case["links"]), case["human"]],
        "scaling_factor": case["scale"],
        "low_pass_alpha": -1.0,  # no filter
    }


@cache
def _dex(path: str) -> Any:
    import torch
    from dex_retargeting.retargeting_config import RetargetingConfig

    torch.set_num_threads(1)
    return RetargetingConfig.from_dict(_vector_config(json.loads(Path(path).read_text()))).build()


@cache
def _dexi(path: str) -> Any:
    import dexi_rs

    config = _vector_config(json.loads(Path(path).read_text()))
    config["target_link_human_indices"] = np.array(config["target_link_human_indices"]).tolist()
    try:
        return dexi_rs.load_config(config).build()
    except ValueError:  # it may refuse a share outside 0 to 1: 1 is no filter, too
        return dexi_rs.load_config(config | {"low_pass_alpha": 1.0}).build()


def _hand(retargeting: Any, case: dict[str, Any], asked: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """One frame after the other from the peer's own start, as its users do."""
    p = _points(case["targets"])[: asked["frames"]]
    vectors = p[:, case["human"]] - p[:, :1]
    names = list(retargeting.joint_names)
    fixed = np.zeros(len(case["locked"]))
    columns = [names.index(joint) for joint in case["joints"]]
    retargeting.reset()
    out, times = np.empty((len(p), len(columns))), np.empty(len(p))
    rows = vectors if asked["solver"] == "dex" else [vector.reshape(-1) for vector in vectors]
    for t, row in enumerate(rows):
        start = time.perf_counter()
        q = retargeting.retarget(row, fixed) if len(fixed) else retargeting.retarget(row)
        times[t] = time.perf_counter() - start
        out[t] = np.asarray(q)[columns]
    return out, times


def run_dex(case: dict[str, Any], asked: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """dex-retargeting's vector optimizer."""
    return _hand(_dex(asked["case"]), case, asked)


def run_dexi(case: dict[str, Any], asked: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """dexi-rs's vector optimizer."""
    return _hand(_dexi(asked["case"]), case, asked)


def run_mink(case: dict[str, Any], asked: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """mink on the case's tasks: `iterations` steps a frame, daqp, joint limits; a free base comes first."""
    import mink
    import mujoco

    model = mujoco.MjModel.from_xml_path(case["mjcf"])
    configuration = mink.Configuration(model)
    free = bool(model.njnt) and int(model.jnt_type[0]) == _FREE
    at = [int(model.joint(name).qposadr[0]) for name in case["joints"]]
    data = np.load(case["targets"])
    tasks = [
        mink.FrameTask(task["site"], "site", position_cost=task["position"], orientation_cost=task["orientation"])
        for task in case["tasks"]
    ]
    poses = [data[task["name"]][: asked["frames"]] for task in case["tasks"]]
    turns_free = [task["orientation"] == 0.0 for task in case["tasks"]]
    posture = mink.PostureTask(model, cost=_posture_cost(model, case, at))
    q = model.qpos0.copy()
    q[at] = case["start"]
    posture.set_target(q)
    if free:
        q[:3], q[3:7] = data["T_world_base"][0, 4:], data["T_world_base"][0, :4]
    configuration.update(q)
    every, limits = [*tasks, posture], [mink.ConfigurationLimit(model)]
    frames = len(poses[0])
    out, times = np.empty((frames, len(at) + 7 * free)), np.empty(frames)
    for t in range(frames):
        start = time.perf_counter()
        for task, pose, free_turn in zip(tasks, poses, turns_free, strict=True):
            if free_turn:  # a place alone: mink's error is that of a whole pose, so its rotation must not be off
                now = configuration.get_transform_frame_to_world(task.frame_name, "site")
                task.set_target(mink.SE3(wxyz_xyz=np.concatenate([now.wxyz_xyz[:4], pose[t, 4:]])))
            else:
                task.set_target(mink.SE3(wxyz_xyz=pose[t]))
        for _ in range(asked["first_iterations"] if t == 0 else asked["iterations"]):
            step = mink.solve_ik(configuration, every, 1.0, "daqp", damping=case["damping"], limits=limits)
            configuration.integrate_inplace(step, 1.0)
        times[t] = time.perf_counter() - start
        out[t, 7 * free :] = configuration.q[at]
        if free:
            out[t, :4], out[t, 4:7] = configuration.q[3:7], configuration.q[:3]
    return out, times


def _posture_cost(model: Any, case: dict[str, Any], at: list[int]) -> np.ndarray:
    cost = np.zeros(model.nv)
    for name in case["joints"]:
        cost[int(model.joint(name).dofadr[0])] = case["posture"]
    return cost


_SOLVERS = {"dex": run_dex, "dexi": run_dexi, "mink": run_mink}

if __name__ == "__main__":
    sys.exit(main())
