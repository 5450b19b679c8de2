#!/usr/bin/env python3
"""Does lerobot read our data sets as we do? Called by scripts/interop.sh, in two environments.

    interop.py make DATASET             (ours)     write a data set with shared files, two tasks and rejected items
    interop.py write DATASET            (lerobot)  let lerobot write one, in its default codec AV1
    interop.py dump DATASET OUT         (ours)     what our reader sees: every value, the sha256 of every picture
    interop.py compare DATASET OUT      (lerobot)  open it with LeRobotDataset and demand the same, bit for bit

No tolerance anywhere: both sides decode the same file with FFmpeg's H.264 decoder and convert with its scaler.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np

CHECK_CHUNK = 16
KEPT_PICTURES = 3  # per episode, kept whole, so that a difference can be told in grey levels


def make(root: Path) -> None:
    """Write nine episodes of moving pictures, several per file and more than one file of each kind."""
    from vidpretrain.dataset import DatasetConfig, DatasetWriter
    from vidpretrain.types import Reason, Reject

    config = DatasetConfig(max_video_s=2.5, data_file_mb=0.02)
    lengths = (30, 41, 17, 1, 60, 33, 25, 2, 48)
    with DatasetWriter(root, _spec(), 30.0, (120, 160), "g1_test", config=config) as writer:
        for number, length in enumerate(lengths):
            writer.add_episode(*_episode(number, length))
        writer.add_reject("broken.mp4", Reject(reason=Reason.TRUNCATED, detail="for the test"))


def _spec():
    from vidpretrain.types import ActionSpec, Group

    arm = Group(name="left_arm", names=("a", "b", "c"), quantity="joint", representation="relative", unit="rad")
    hand = Group(name="left_hand", names=("d",), quantity="hand", representation="absolute", unit="fraction")
    return ActionSpec(embodiment="g1_test", groups=(arm, hand), rate_hz=30.0, horizon=CHECK_CHUNK)


def _episode(number: int, length: int):
    from vidpretrain.types import Camera, Clip, Episode, Source, Trajectory

    rng = np.random.default_rng(number)
    state = np.cumsum(rng.normal(scale=0.05, size=(length, 4)), axis=0).astype(np.float32)
    trajectory = Trajectory(
        spec=_spec(),
        state=state,
        action=np.concatenate([state[1:], state[-1:]]),
        valid=rng.random((length, 4)) < 0.9,
        confidence=rng.random((length, 4)).astype(np.float32),
        imputed=rng.random((length, 4)) < 0.1,
    )
    v, u = np.mgrid[:180, :320]
    places = rng.uniform(20, 150, size=2)
    pictures = []
    for k in range(length):
        disc = (u - places[0] - 2 * k) ** 2 + (v - places[1]) ** 2 < 900
        picture = np.stack([u * 255 // 320, v * 255 // 180, (u + v + 3 * k) % 256], axis=-1).astype(np.uint8)
        picture[disc] = (230, 60 + number * 15, 40)
        pictures.append(picture)
    camera = Camera(
        K=np.array([[250.0, 0, 159.5], [0, 250.0, 89.5], [0, 0, 1]]), distortion=np.zeros(5), width_px=320,
        height_px=180,
    )  # fmt: skip
    clip = Clip(
        clip_id=f"clip{number}", source_id=f"s{number}", path="", start_ns=0, exclusive_end_ns=10**10, width_px=320,
        height_px=180,
    )  # fmt: skip
    source = Source(
        source_id=f"s{number}", uri="made by interop.py", sha256=hashlib.sha256(bytes([number])).hexdigest(),
        license="CC0-1.0",
    )  # fmt: skip
    episode = Episode(
        trajectory=trajectory,
        clip=clip,
        source=source,
        camera=camera,
        instruction=("follow the disc", 'say "hello" to the disc')[number % 2],
        frame_time_ns=np.arange(length) * 33_333_333,
        source_frame=np.arange(length),
        code_version="interop",
    )
    return episode, pictures


def write(root: Path) -> None:
    """Let lerobot write a data set of three episodes, so that we read what we did not write."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    names = {"dtype": "float32", "shape": (3,), "names": ["a", "b", "c"]}
    picture = {"dtype": "video", "shape": (96, 128, 3), "names": ["height", "width", "channels"]}
    features = {"observation.state": names, "action": names, "observation.images.top": picture}
    theirs = LeRobotDataset.create("local/written", 30, features, root=root, robot_type="arm", use_videos=True)
    rng = np.random.default_rng(0)
    v, u = np.mgrid[:96, :128]
    for number, length in enumerate((20, 33, 15)):
        for k in range(length):
            image = np.stack([u * 2, v * 2, (u + v + 5 * k + 40 * number) % 256], axis=-1).astype(np.uint8)
            state, action = rng.normal(size=(2, 3)).astype(np.float32)
            frame = {"observation.state": state, "action": action, "observation.images.top": image}
            theirs.add_frame(frame | {"task": f"task {number % 2}"})
        theirs.save_episode()
    theirs.finalize()


def dump(root: Path, out: Path) -> None:
    """Write what our reader sees of every episode."""
    from vidpretrain.dataset import check_dataset, open_dataset

    report = check_dataset(root)
    if not report["ok"]:
        sys.exit("\n".join(["our own check complains:", *report["problems"]]))
    dataset = open_dataset(root)
    out.mkdir(parents=True, exist_ok=True)
    about = {"cameras": list(dataset.camera_keys), "episodes": [], "rate_hz": dataset.rate_hz}
    for episode in dataset.episodes:
        columns = {key: value for key, value in dataset.columns(episode.index).items() if key in dataset.features}
        strings = {key: value.tolist() for key, value in columns.items() if value.dtype == object}
        np.savez(
            out / f"columns_{episode.index}.npz",
            allow_pickle=False,
            **{k: v for k, v in columns.items() if k not in strings},
        )
        hashes = {}
        for camera in dataset.camera_keys:
            hashes[camera], kept = [], []
            for picture in dataset.iter_frames(episode.index, None, camera):
                hashes[camera].append(_hash(picture))
                if len(kept) < KEPT_PICTURES:
                    kept.append(picture)
            np.save(out / f"pictures_{episode.index}_{camera}.npy", np.stack(kept))
        about["episodes"].append(
            {"length": episode.length, "task": episode.instruction, "hashes": hashes, "strings": strings}
        )
    (out / "about.json").write_text(json.dumps(about))


def _hash(picture: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()


def compare(root: Path, out: Path, backend: str) -> None:
    """Open with lerobot, without the Hub, and compare every row; exit 1 on any difference."""
    import lerobot
    import torch
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    about = json.loads((out / "about.json").read_text())
    theirs = LeRobotDataset("local/interop", root=root, video_backend=backend)
    differences: list[str] = []
    total = sum(entry["length"] for entry in about["episodes"])
    if (len(theirs), theirs.num_episodes, theirs.fps) != (total, len(about["episodes"]), about["rate_hz"]):
        differences.append(f"sizes: {len(theirs)} rows, {theirs.num_episodes} episodes, {theirs.fps} fps")
    row = pictures = values = 0
    for number, entry in enumerate(about["episodes"]):
        columns = np.load(out / f"columns_{number}.npz")
        for k in range(entry["length"]):
            item = theirs[row]
            where = f"episode {number} row {k}"
            for key in columns.files:
                same = torch.equal(item[key].reshape(-1), torch.from_numpy(columns[key][k : k + 1]).reshape(-1))
                values += columns[key][k].size
                if not same or item[key].numpy().dtype != columns[key].dtype:
                    differences.append(f"{where}: {key} {item[key]} is not {columns[key][k]}")
            for key, strings in entry["strings"].items():
                values += 1
                if item[key] != strings[k]:
                    differences.append(f"{where}: {key} {item[key]!r} is not {strings[k]!r}")
            if item["task"] != entry["task"]:
                differences.append(f"{where}: task {item['task']!r} is not {entry['task']!r}")
            for camera in about["cameras"]:
                picture = (item[camera].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
                pictures += 1
                if _hash(picture) != entry["hashes"][camera][k]:
                    differences.append(f"{where}: {camera} differs{_how_much(out, number, camera, k, picture)}")
            row += 1
    differences += _chunks(theirs, about, out, root, backend)
    differences += _stats(theirs, root)
    for text in differences[:20]:
        print(text)
    print(
        f"lerobot {lerobot.__version__}, {backend}: {len(about['episodes'])} episodes, {row} rows, {values} values and "
        f"{pictures} pictures compared, {len(differences)} differences"
    )
    sys.exit(bool(differences))


def _how_much(out: Path, number: int, camera: str, k: int, picture: np.ndarray) -> str:
    kept = np.load(out / f"pictures_{number}_{camera}.npy")
    if k >= len(kept):
        return ""
    off = np.abs(kept[k].astype(int) - picture.astype(int))
    return f" by up to {off.max()} grey levels in {np.mean(off > 0):.1%} of the values"


def _chunks(theirs, about: dict, out: Path, root: Path, backend: str) -> list[str]:
    """Action chunks by delta_timestamps, as policies are trained with them, at each episode's last rows."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    deltas = {"action": [k / about["rate_hz"] for k in range(CHECK_CHUNK)]}
    chunked = LeRobotDataset("local/interop", root=root, video_backend=backend, delta_timestamps=deltas)
    differences, end = [], 0
    for number, entry in enumerate(about["episodes"]):
        length = entry["length"]
        end += length
        k = max(0, length - 5)
        item = chunked[end - length + k]
        action = np.load(out / f"columns_{number}.npz")["action"]
        rows = np.minimum(np.arange(k, k + CHECK_CHUNK), length - 1)
        if not np.array_equal(item["action"].numpy().reshape(CHECK_CHUNK, -1), action[rows]):
            differences.append(f"episode {number}: the action chunk of row {k} differs")
        if not np.array_equal(item["action_is_pad"].numpy(), np.arange(k, k + CHECK_CHUNK) >= length):
            differences.append(f"episode {number}: the padding of row {k} differs")
    return differences


def _stats(theirs, root: Path) -> list[str]:
    """Shapes of the statistics as lerobot's aggregation demands them, and their values as written."""
    from lerobot.datasets.compute_stats import aggregate_stats

    aggregate_stats([theirs.meta.stats, theirs.meta.stats])
    written = json.loads((root / "meta/stats.json").read_text())
    return [
        f"stats: {key} {name} differs"
        for key, entry in written.items()
        for name, value in entry.items()
        if not np.array_equal(theirs.meta.stats[key][name], np.asarray(value))
    ]


def main() -> None:
    """Parse the command line and run one step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("make", "write", "dump", "compare"))
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--backend", default="pyav", help="lerobot's video backend (pyav or torchcodec)")
    args = parser.parse_args()
    if args.step in ("dump", "compare") and args.out is None:
        parser.error(f"{args.step} needs OUT")
    if args.step == "make":
        make(args.dataset)
    elif args.step == "write":
        write(args.dataset)
    elif args.step == "dump":
        dump(args.dataset, args.out)
    else:
        compare(args.dataset, args.out, args.backend)


if __name__ == "__main__":
    main()
