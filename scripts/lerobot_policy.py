#!/usr/bin/env python3
"""Does LeRobot find our exported policies and get our actions from them? Called by scripts/lerobot_policy.sh.

    lerobot_policy.py make OUT       (ours)     export a policy for G1, once per format, and write down what we would do
    lerobot_policy.py compare OUT    (lerobot)  make_policy and select_action on both, and demand the same actions

The shell script then runs lerobot-eval itself on an environment (scripts/lerobot_env) whose success is that it was sent
the actions that we wrote down.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROWS, STEPS, SEED, TASK = 12, 4, 7, "pick up the red cup"
TOLERANCE = 1e-4


def make(out: Path) -> None:
    """Two folders, onnx and torch_export, and expected.npz: observations and our actions, row by row."""
    from vidpretrain.actions import ActionConfig, spec_for
    from vidpretrain.control import limits_of
    from vidpretrain.export import ExportConfig, export
    from vidpretrain.robot import load_robot
    from vidpretrain.training import Actor, followed

    robot = load_robot("g1_inspire")
    spec = spec_for(robot, ActionConfig())
    policy = _policy(spec)
    export(policy, out / "both", ExportConfig(formats=("onnx", "torch_export")))
    rng = np.random.default_rng(1)
    state = _wandering(rng, ROWS, spec)
    pictures = rng.integers(0, 256, (ROWS, 60, 80, 3), dtype=np.uint8)
    actor = Actor(policy, spec.embodiment, robot, seed=SEED)
    every = np.stack([actor.step(_square(p), s, TASK).action[0] for p, s in zip(pictures, state, strict=True)])
    rows = np.arange(0, ROWS, STEPS)
    past = np.stack([[state[max(0, row + k)] for k in policy.history] for row in rows])
    past[0] = np.nan  # at the first row nothing is remembered
    chunks = policy.predict(
        np.stack([_square(pictures[row]) for row in rows]),
        state[rows],
        spec.embodiment,
        history=past,
        seed=SEED,
        keys=rows,
        instructions=[TASK] * len(rows),
    )
    some = followed(chunks, rows, state, spec, limits_of(robot, spec)).action
    free = followed(chunks, rows, state, spec).action
    np.savez(out / "expected.npz", state=state, pictures=pictures, every=every, some=some, free=free)
    print(f"limits moved {np.mean(np.abs(some - free) > 1e-3):.0%} of the values")


def _policy(spec):
    """A policy with random weights, large enough to move, and a normaliser from random motion."""
    import torch

    from vidpretrain.model import ModelConfig, VidPolicy, VidPolicyConfig
    from vidpretrain.training import Policy
    from vidpretrain.transforms import Paired

    torch.manual_seed(0)
    state = _wandering(np.random.default_rng(0), 200, spec)
    chunk = np.stack([state[k + 1 : k + 1 + spec.horizon] for k in range(100)])
    config = VidPolicyConfig.make(ModelConfig(preset="micro", text="hash"), [Paired.fit(spec, state[:100], chunk)])
    model = VidPolicy(config)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.05 * torch.randn_like(value))
    return Policy(model)


def _wandering(rng: np.random.Generator, rows: int, spec) -> np.ndarray:
    """Absolute states of a random walk, poses with rotations that are some."""
    from vidpretrain import geometry

    state = np.cumsum(rng.normal(0, 0.02, (rows, spec.width)), axis=0)
    for group, columns in zip(spec.groups, spec.slices().values(), strict=True):
        if group.quantity == "wrist_pose":
            six = state[:, columns.start + 3 : columns.stop] + np.array([1.0, 0, 0, 0, 1.0, 0])
            state[:, columns.start + 3 : columns.stop] = geometry.rot6d_from_matrix(geometry.matrix_from_rot6d(six))
    return state.astype(np.float32)


def _square(picture: np.ndarray) -> np.ndarray:
    from vidpretrain.dataset import fit_image

    return fit_image(picture, 64, 64)


def compare(out: Path) -> None:
    """LeRobot's own way to a policy: find the plugin, read the folder, make policy and processors, select actions."""
    from importlib.util import find_spec

    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.policies.factory import get_policy_class, make_policy, make_pre_post_processors
    from lerobot.utils.import_utils import register_third_party_plugins

    register_third_party_plugins()
    sys.path.insert(0, str(Path(__file__).parent / "lerobot_env"))
    from gym_vidpretrain_check import CheckEnv

    found = np.load(out / "expected.npz")
    formats = ["torch_export"] + ["onnx"] * (find_spec("onnxruntime") is not None)
    worst = 0.0
    for name in formats:
        folder = _only(out / "both", name, out / name)
        for steps, limits, right in ((1, True, "every"), (STEPS, True, "some"), (STEPS, False, "free")):
            words = [f"--n_action_steps={steps}", f"--seed={SEED}", f"--limits={str(limits).lower()}", "--device=cpu"]
            config = PreTrainedConfig.from_pretrained(folder, cli_overrides=words)
            config.pretrained_path = folder
            assert config.type == "vidpretrain", config.type
            policy = make_policy(
                config, env_cfg=CheckEnv(), rename_map={"observation.image": "observation.images.head"}
            )
            assert type(policy) is get_policy_class("vidpretrain")
            before, after = make_pre_post_processors(config, pretrained_path=str(folder))
            policy.reset()
            made = np.stack([_asked(policy, before, after, found, row) for row in range(ROWS)])
            apart = float(np.abs(made - found[right]).max())
            print(f"{name}, {steps} of a chunk, limits {limits}: at most {apart:.2g} from ours over {made.size} values")
            worst = max(worst, apart)
    sys.exit(not worst <= TOLERANCE)


def _only(both: Path, name: str, folder: Path) -> Path:
    """The exported folder with one of its two files, so that it is that one which answers."""
    import shutil

    about = json.loads((both / "export.json").read_text())
    shutil.copytree(both, folder, dirs_exist_ok=True)
    for other, told in about["files"].items():
        if other != name:
            (folder / told["file"]).unlink()
    about["files"] = {name: about["files"][name]}
    (folder / "export.json").write_text(json.dumps(about))
    return folder


def _asked(policy, before, after, found, row: int) -> np.ndarray:
    import torch

    picture = torch.from_numpy(found["pictures"][row]).permute(2, 0, 1).float() / 255
    state = torch.from_numpy(found["state"][row])
    batch = before({"observation.images.head": picture[None], "observation.state": state[None], "task": [TASK]})
    return after(policy.select_action(batch))[0].numpy()


def main() -> None:
    """Parse the command line and run one step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("make", "compare"))
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    (make if args.step == "make" else compare)(args.out)


if __name__ == "__main__":
    main()
