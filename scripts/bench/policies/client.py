"""Robots that ask a server through the unmodified openpi-client; runs in its environment, without vidpretrain.

    python client.py PORT CLIENTS CALLS WIDTH SIZE
One line of JSON: the seconds of every round trip, and how many answers were wrong.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from importlib.metadata import version

import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy


def main(words: list[str]) -> None:
    port, clients, calls, width, size = map(int, words)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    seconds: list[list[float]] = [[] for _ in range(clients)]
    errors: list[str] = []

    def robot(number: int) -> None:
        try:
            client = WebsocketClientPolicy("127.0.0.1", port)
            for step in range(calls):
                asked = {"observation/image": image, "observation/state": np.zeros(width, np.float32), "step": step}
                start = time.perf_counter()
                actions = client.infer(asked)["actions"]
                seconds[number].append(time.perf_counter() - start)
                if actions.ndim != 2 or actions.shape[1] != width or not np.isfinite(actions).all():
                    errors.append(f"actions {actions.shape}")
        except Exception as error:  # noqa: BLE001 - counted: that is what is measured
            errors.append(repr(error))

    threads = [threading.Thread(target=robot, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = {"seconds": seconds, "errors": errors, "client": version("openpi-client"), "numpy": np.__version__}
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
