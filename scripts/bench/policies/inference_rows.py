"""What a chunk costs in process, and through the server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[3]
PEER = ROOT / ".venv-openpi" / "bin" / "python"
CLIENT = Path(__file__).with_name("client.py")
ROBOT = "g1_inspire"
Row = Callable[..., dict[str, Any]]


def made_policy(preset: str = "nano") -> Any:
    """A policy of a preset for the real robot's columns, with weights as they are at the start."""
    import torch

    from vidpretrain.actions import ActionConfig, spec_for
    from vidpretrain.model import ModelConfig, VidPolicy, VidPolicyConfig
    from vidpretrain.robot import load_robot
    from vidpretrain.training import Policy
    from vidpretrain.transforms import Normalizer, Paired

    spec = spec_for(load_robot(ROBOT), ActionConfig())
    ones = np.ones(spec.width)
    normalizer = Normalizer(
        names=spec.names, state_q01=-ones, state_q99=ones, action_q01=-ones, action_q99=ones, clip=None
    )
    torch.manual_seed(0)
    config = VidPolicyConfig.make(ModelConfig(preset=preset), [Paired(spec=spec, normalizer=normalizer)])  # type: ignore[arg-type]
    return Policy(VidPolicy(config))


def question(policy: Any) -> dict[str, Any]:
    """Arguments of one call."""
    size = policy.model.config.model_config().image_px
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    return {"images": image, "state": np.zeros((1, policy.spec(ROBOT).width), np.float32), "embodiment": ROBOT}


def flow_rows(row: Row, calls: int = 40) -> list[dict[str, Any]]:
    """Ten flow steps against one, taken in turns on one thread."""
    policy = made_policy()
    asked = question(policy)
    seconds: dict[int, list[float]] = {1: [], 10: []}
    for turn in range(calls + 5):
        for steps in seconds:
            start = time.perf_counter()
            policy.predict(**asked, steps=steps)
            if turn >= 5:
                seconds[steps].append(time.perf_counter() - start)
    one, ten = (float(np.median(seconds[steps])) for steps in (1, 10))
    return [
        row("inference: a chunk of nano, 10 flow steps, one thread", 1e3 * ten, "ms"),
        row("inference: 10 flow steps over 1", ten / one, "times", 2.5),
    ]


def chunk_seconds(preset: str = "nano", steps: int = 10, calls: int = 20) -> float:
    """Median seconds of a chunk of one picture."""
    policy = made_policy(preset)
    asked, seconds = question(policy), []
    for turn in range(calls + 3):
        start = time.perf_counter()
        policy.predict(**asked, steps=steps)
        if turn >= 3:
            seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def serving_rows(row: Row, calls: int = 300, clients: int = 8) -> list[dict[str, Any]]:
    """Round trips of one robot against calls in process, taken in turns; then several robots at once."""
    policy = made_policy()
    asked, size = question(policy), policy.model.config.model_config().image_px
    direct: list[float] = []
    served: list[float] = []
    with _server(policy) as port:
        for _ in range(3):
            for turn in range(calls // 3 + 5):
                start = time.perf_counter()
                policy.predict(**asked)
                if turn >= 5:
                    direct.append(time.perf_counter() - start)
            served += _ask(port, 1, calls // 3 + 5, asked["state"].shape[1], size)["seconds"][0][5:]
        many = _ask(port, clients, calls // 6, asked["state"].shape[1], size)
    every = np.concatenate([np.asarray(one[3:]) for one in many["seconds"]])
    p99, here = float(np.quantile(served, 0.99)), float(np.quantile(direct, 0.99))
    whole = clients * (calls // 6)
    return [
        row("serving: call in process, median", 1e3 * float(np.median(direct)), "ms"),
        row("serving: call in process, 99th percentile", 1e3 * here, "ms"),
        row(f"serving: round trip of openpi-client {many['client']}, median", 1e3 * float(np.median(served)), "ms"),
        row("serving: round trip, 99th percentile", 1e3 * p99, "ms"),
        row("serving: round trip over call in process, both 99th percentile", p99 / here, "times", 1.5),
        row("serving: round trip's 99th percentile over the call's median", p99 / float(np.median(direct)), "times"),
        row(f"serving: errors of {clients} clients in {whole} calls", len(many["errors"]), "errors", 0),
        row(f"serving: round trip of one of {clients} clients, median", 1e3 * float(np.median(every)), "ms"),
    ]


class _server:
    """The policy on a free port, in a thread of this process: both sides then share its interpreter."""

    def __init__(self, policy: Any) -> None:
        from vidpretrain.serve import PolicyServer, ServeConfig

        self._server, self._ready = PolicyServer(policy, ServeConfig(port=0)), threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._server:
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> int:
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("the server did not start")
        return self._server.port

    def __exit__(self, *exc: object) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)


def _ask(port: int, clients: int, calls: int, width: int, size: int) -> dict[str, Any]:
    words = [str(PEER), str(CLIENT), *map(str, (port, clients, calls, width, size))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"the client failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)
