"""A policy without a network, and a server around it in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from types import SimpleNamespace

import numpy as np

from vidpretrain.serve import PolicyServer, ServeConfig
from vidpretrain.types import ActionSpec, Group

SPEC = ActionSpec(
    embodiment="toy",
    groups=(Group(name="left_arm", names=("a", "b"), quantity="joint", representation="relative", unit="rad"),),
    rate_hz=10.0,
    horizon=4,
)


class Hold:
    """A policy that stays where it is, and remembers what it was asked. `gate` makes it wait, `fail` makes it raise."""

    embodiments = ("toy",)
    history = (-1, -2)
    model = SimpleNamespace(config=SimpleNamespace(model_config=lambda: SimpleNamespace(image_px=32)))

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fail: Exception | None = None
        self.entered = 0

    def spec(self, name: str) -> ActionSpec:
        return SPEC

    def predict(self, images, state, embodiment, **options):
        self.entered += 1
        self.gate.wait(20)
        if self.fail is not None:
            raise self.fail
        self.asked.append({"images": images, "state": state, **options})
        return np.repeat(state[:, None], SPEC.horizon, axis=1)


@contextlib.contextmanager
def running(policy, config: ServeConfig | None = None, **options):
    """A server in a thread of its own; gives (server, port)."""
    server = PolicyServer(policy, config or ServeConfig(port=0), **options)
    ready, loops = threading.Event(), []

    async def main() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        async with server:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield server, server.port
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive()


def until(condition, seconds: float = 10.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.005)
