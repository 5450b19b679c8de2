"""Small episodes with a picture per row that can be told apart after H.264."""

import numpy as np
import pytest

from vidpretrain.types import ActionSpec, Camera, Clip, Episode, Group, Source, Trajectory

SPEC = ActionSpec(
    embodiment="toy",
    groups=(
        Group(name="left_arm", names=("l0", "l1"), quantity="joint", representation="relative", unit="rad"),
        Group(name="left_hand", names=("lh",), quantity="hand", representation="absolute", unit="fraction"),
    ),
    rate_hz=30.0,
    horizon=4,
)


def picture(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Grey left half that tells `value`, coloured right half."""
    out = np.zeros((height, width, 3), dtype=np.uint8)
    out[:, : width // 2] = value
    out[:, width // 2 :] = (200, 40, 90)
    return out


def make_episode(length: int = 12, seed: int = 0, instruction: str = "reach", height: int = 48, width: int = 64):
    """An episode and its pictures; row k's grey is 40 + (10 seed + 4 k) modulo 200."""
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(length, 3)).astype(np.float32)
    trajectory = Trajectory(
        spec=SPEC,
        state=state,
        action=np.concatenate([state[1:], state[-1:]]),
        valid=np.ones((length, 3), dtype=bool),
        confidence=rng.random((length, 3)).astype(np.float32),
        imputed=rng.random((length, 3)) < 0.2,
    )
    camera = Camera(
        K=np.array([[60.0, 0, width / 2], [0, 60.0, height / 2], [0, 0, 1]]),
        distortion=np.zeros(5),
        width_px=width,
        height_px=height,
        intrinsics_from="given",
    )
    source_frame = 5 + 2 * np.arange(length)
    episode = Episode(
        trajectory=trajectory,
        clip=Clip(
            clip_id=f"clip{seed}",
            source_id=f"source{seed}",
            path=f"/somewhere/{seed}.mp4",
            start_ns=0,
            exclusive_end_ns=10**9,
            width_px=width,
            height_px=height,
        ),
        source=Source(source_id=f"source{seed}", uri=f"file:{seed}.mp4", sha256=f"{seed:064x}", license="CC-BY-4.0"),
        camera=camera,
        instruction=instruction,
        frame_time_ns=source_frame * 16_683_333,
        source_frame=source_frame,
        code_version="0.0.test",
    )
    grey = [40 + (10 * seed + 4 * k) % 200 for k in range(length)]
    return episode, [picture(value, height, width) for value in grey]


@pytest.fixture
def spec():
    return SPEC


@pytest.fixture
def episode_maker():
    return make_episode


@pytest.fixture
def write_toy(tmp_path):
    """Write a data set of episodes of these lengths; return its folder."""
    from vidpretrain.dataset import DatasetConfig, DatasetWriter

    def write(lengths=(12, 7, 15), name="toy", **config):
        root = tmp_path / name
        with DatasetWriter(root, SPEC, 30.0, (48, 64), "toy", config=DatasetConfig(**config)) as writer:
            for seed, length in enumerate(lengths):
                writer.add_episode(*make_episode(length, seed, "reach" if seed % 2 == 0 else "grasp"))
        return root

    return write
