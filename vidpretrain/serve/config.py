"""How a policy is served. Nothing heavy here: the command line reads this."""

from __future__ import annotations

from dataclasses import dataclass

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Where the server listens and what it bears.

    `host` other than loopback lets others in: set a `token` then, which clients send as `Authorization: Api-Key TOKEN`
    (openpi's client: api_key=TOKEN) or `Bearer TOKEN`. `embodiment` is asked for where a message names none (None: the
    checkpoint's only one). At most `connections` robots are connected and `queue` questions wait; up to `batch` of them
    are answered together. A question that waited longer than `deadline_s` is not answered any more: the robot has
    moved on. Messages above `message_mb` close their connection. `picture_px` is the largest side of a picture.
    `device` is torch's. `port` 0 takes a free one.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    embodiment: str | None = None
    connections: int = 64
    queue: int = 64
    batch: int = 16
    deadline_s: float = 2.0
    message_mb: float = 32.0
    picture_px: int = 4096
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("connections", "queue", "batch", "picture_px"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        for name in ("deadline_s", "message_mb"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is above 0, not {getattr(self, name)}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port lies in 0 to 65535, not {self.port}")
        if self.token is not None and len(self.token) < 8:
            raise ValueError("token has at least 8 characters")
