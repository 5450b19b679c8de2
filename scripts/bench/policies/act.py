"""ACT of lerobot, beside which policies are timed and judged; runs in lerobot's environment, without vidpretrain.

    python act.py speed THREADS HEIGHT WIDTH ROUNDS       seconds of training steps (batch 8) and of chunks (batch 1)
    python act.py read DATASET OUT                        pictures, states and actions of a data set by its own reader
    python act.py train READ TASK OUT SECONDS LR          train for so long, answer TASK's rows, chunks to OUT

One line of JSON each. Everything is ACT's default but what a line of this file says.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.act.processor_act import make_act_pre_post_processors

CAMERA, BATCH = "observation.images.head", 8


def made(height: int, width: int, columns: int, chunk: int | None = None) -> ACTPolicy:
    """ACT's default for one camera; its first weights are random, because there is no network to fetch others from."""
    sizes = {} if chunk is None else {"chunk_size": chunk, "n_action_steps": chunk}
    config = ACTConfig(
        input_features={
            CAMERA: PolicyFeature(type=FeatureType.VISUAL, shape=(3, height, width)),
            "observation.state": PolicyFeature(type=FeatureType.STATE, shape=(columns,)),
        },
        output_features={"action": PolicyFeature(type=FeatureType.ACTION, shape=(columns,))},
        pretrained_backbone_weights=None,
        device="cpu",
        push_to_hub=False,
        **sizes,
    )
    torch.manual_seed(0)
    return ACTPolicy(config)


def optimizer_of(policy: ACTPolicy, lr: float | None = None) -> torch.optim.Optimizer:
    """ACT's own, at its own rate or another one for all of it."""
    preset = policy.config.get_optimizer_preset()
    groups = policy.get_optim_params()
    if lr is not None:
        groups = [{"params": group["params"]} for group in groups]
    return torch.optim.AdamW(groups, lr=lr or preset.lr, weight_decay=preset.weight_decay, betas=preset.betas)


def step(policy: ACTPolicy, optimizer: torch.optim.Optimizer, batch: dict[str, torch.Tensor]) -> float:
    """One update as lerobot's training script does it."""
    policy.train()
    loss, _ = policy.forward(batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), policy.config.get_optimizer_preset().grad_clip_norm)
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


def speed(threads: int, height: int, width: int, rounds: int) -> dict:
    """Seconds of each step on a batch that lies ready, and of each chunk."""
    torch.set_num_threads(threads)
    policy = made(height, width, 26)
    optimizer, chunk = optimizer_of(policy), policy.config.chunk_size
    batch = {
        CAMERA: torch.rand(BATCH, 3, height, width),
        "observation.state": torch.rand(BATCH, 26),
        "action": torch.rand(BATCH, chunk, 26),
        "action_is_pad": torch.zeros(BATCH, chunk, dtype=torch.bool),
    }
    one = {name: value[:1] for name, value in batch.items() if name.startswith("observation")}
    steps, chunks = [], []
    for turn in range(rounds + 1):
        start = time.perf_counter()
        step(policy, optimizer, batch)
        middle = time.perf_counter()
        policy.predict_action_chunk(one)
        if turn:
            steps.append(middle - start)
            chunks.append(time.perf_counter() - middle)
    return {"steps": steps, "chunks": chunks, "parameters": sum(p.numel() for p in policy.parameters())}


def read(dataset: Path, out: Path) -> dict:
    """The data set's rows by LeRobotDataset and its video reader, once, as arrays: training then waits for nothing."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from lerobot.datasets.video_utils import decode_video_frames

    theirs = LeRobotDataset("local/bench", root=dataset, video_backend="pyav")
    rows = theirs.hf_dataset.with_format("numpy")
    episode, stamp = np.asarray(rows["episode_index"]), np.asarray(rows["timestamp"], dtype=np.float64)
    pictures = []
    for number in range(theirs.num_episodes):
        path = dataset / theirs.meta.get_video_file_path(number, CAMERA)
        begin = theirs.meta.episodes[number][f"videos/{CAMERA}/from_timestamp"]
        times = (begin + stamp[episode == number]).tolist()
        frames = decode_video_frames(path, times, 1e-4, "pyav")
        pictures.append((frames * 255).round().to(torch.uint8).numpy())
    arrays = {
        "images": np.concatenate(pictures),
        "state": np.stack(list(rows["observation.state"])).astype(np.float32),
        "action": np.stack(list(rows["action"])).astype(np.float32),
        "episode": episode.astype(np.int64),
    }
    np.savez(out, **arrays)
    return {"rows": len(episode), "episodes": theirs.num_episodes}


def train(read_file: Path, task: Path, out: Path, seconds: float, lr: float | None) -> dict:
    """Train on the episodes that TASK lists for so many seconds, then answer its rows."""
    data, asked = dict(np.load(read_file)), dict(np.load(task))
    torch.set_num_threads(int(asked["threads"]))
    chunk, episode = int(asked["horizon"]), data["episode"]
    mine = np.flatnonzero(np.isin(episode, asked["train"]))
    height, width = data["images"].shape[2:4]
    policy = made(height, width, data["state"].shape[1], chunk)
    optimizer = optimizer_of(policy, lr)
    before, after = make_act_pre_post_processors(policy.config, _stats(data, mine))
    last = {number: int(np.flatnonzero(episode == number)[-1]) for number in np.unique(episode)}
    end = np.array([last[number] for number in episode])
    rng, steps, loss, start = np.random.default_rng(0), 0, 0.0, 0.0
    while steps < 2 or time.perf_counter() - start < seconds:
        which = rng.choice(mine, BATCH, replace=False)
        rows = which[:, None] + np.arange(chunk)
        batch = _inputs(data, which)
        batch["action"] = torch.from_numpy(data["action"][np.minimum(rows, end[which][:, None])])
        batch["action_is_pad"] = torch.from_numpy(rows > end[which][:, None])
        loss = step(policy, optimizer, before(batch))
        steps += 1
        if steps == 1:  # the first step sets everything up, and is not timed
            start = time.perf_counter()
    spent = time.perf_counter() - start
    said = []
    for first in range(0, len(asked["rows"]), 32):
        batch = before(_inputs(data, asked["rows"][first : first + 32]))
        said.append(after(policy.predict_action_chunk(batch)).numpy())
    np.save(out, np.concatenate(said).astype(np.float32))
    return {"steps": steps, "seconds": spent, "loss": loss, "samples_per_s": (steps - 1) * BATCH / spent}


def _inputs(data: dict[str, np.ndarray], which: np.ndarray) -> dict[str, torch.Tensor]:
    return {
        CAMERA: torch.from_numpy(data["images"][which]).float() / 255,
        "observation.state": torch.from_numpy(data["state"][which]),
    }


def _stats(data: dict[str, np.ndarray], mine: np.ndarray) -> dict[str, dict[str, torch.Tensor]]:
    """Means and deviations of the training rows, as lerobot's normaliser takes them."""
    some = data["images"][mine[:: max(1, len(mine) // 500)]].astype(np.float64) / 255
    values = {CAMERA: (some.mean((0, 2, 3))[:, None, None], some.std((0, 2, 3))[:, None, None])}
    for key, name in (("observation.state", "state"), ("action", "action")):
        values[key] = (data[name][mine].mean(0), np.maximum(data[name][mine].std(0), 0.01))
    return {
        key: {"mean": torch.tensor(mean, dtype=torch.float32), "std": torch.tensor(std, dtype=torch.float32)}
        for key, (mean, std) in values.items()
    }


def main(words: list[str]) -> None:
    if words[0] == "speed":
        threads, height, width, rounds = map(int, words[1:5])
        told = speed(threads, height, width, rounds)
    elif words[0] == "read":
        told = read(Path(words[1]), Path(words[2]))
    else:
        episodes, task, out = map(Path, words[1:4])
        told = train(episodes, task, out, float(words[4]), float(words[5]) or None)
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
