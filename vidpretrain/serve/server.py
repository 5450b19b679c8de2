"""The websocket server: connections in, questions to the `Answerer`, health and metrics beside them."""

from __future__ import annotations

import asyncio
import hmac
import http
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidpretrain import __version__
from vidpretrain.control import ControlConfig
from vidpretrain.errors import ConfigError, InputError, VidpretrainError
from vidpretrain.serve.answering import Answerer
from vidpretrain.serve.config import LOOPBACK, ServeConfig
from vidpretrain.serve.metrics import Metrics
from vidpretrain.serve.packing import pack, unpack
from vidpretrain.serve.question import KEYS, read_question
from vidpretrain.serve.session import Body, Session
from vidpretrain.transforms import spec_to_dict

if TYPE_CHECKING:
    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

log = logging.getLogger(__name__)
_MB = 2**20


class PolicyServer:
    """A policy on a port.

        async with PolicyServer(policy, ServeConfig(port=0)) as server:
            ...  # server.port

    Speaks the protocol of openpi's client: on connecting the server sends a map that describes the policy, then it
    answers each packed map with one of `actions` (h d), or with text that says what was wrong; the connection stays.
    GET /healthz answers "ok" (503 once questions are not answered any more), GET /metrics Prometheus text, GET /status
    the same as JSON.
    """

    def __init__(self, policy: Any, config: ServeConfig | None = None, control: ControlConfig | None = None) -> None:
        self.config, self.control = config or ServeConfig(), control or ControlConfig()
        self.metrics = Metrics()
        self._specs = {name: policy.spec(name) for name in policy.embodiments}
        self._default = self._default_embodiment()
        self._bodies = {name: Body(spec, self.control) for name, spec in self._specs.items()}
        self._offsets = tuple(policy.history)
        image_px = policy.model.config.model_config().image_px
        self._answerer = Answerer(policy, image_px, self.config, self.metrics)
        self._hello = {
            "policy": "vidpretrain",
            "version": __version__,
            "embodiments": {name: spec_to_dict(spec) for name, spec in self._specs.items()},
            "embodiment": self._default or "",
            "history_rows": list(self._offsets),
            "image_px": image_px,
            "keys": list(KEYS),
        }
        self._server: Server | None = None

    def _default_embodiment(self) -> str | None:
        asked = self.config.embodiment
        if asked is not None and asked not in self._specs:
            raise ConfigError("the checkpoint does not move it", asked=asked, valid=", ".join(self._specs))
        return asked or (next(iter(self._specs)) if len(self._specs) == 1 else None)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        if self._server is None:
            raise RuntimeError("the server is not started")
        return next(iter(self._server.sockets)).getsockname()[1]

    async def __aenter__(self) -> PolicyServer:
        from websockets.asyncio.server import serve as listen

        if self.config.host not in LOOPBACK and self.config.token is None:
            log.warning("anybody who reaches %s may ask this policy: set serve.token", self.config.host)
        self._answerer.start()
        try:
            self._server = await listen(
                self._connection,
                self.config.host,
                self.config.port,
                process_request=self._request,
                compression=None,
                max_size=int(self.config.message_mb * _MB),
                logger=logging.getLogger("vidpretrain.serve.websockets"),
            )
        except OSError as error:
            await self._answerer.stop()
            asked = f"{self.config.host}:{self.config.port}"
            raise ConfigError(f"cannot listen: {error.strerror or error}", asked=asked, valid="serve.port=0") from None
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await self._answerer.stop()

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/healthz":
            if self._answerer.alive:
                return connection.respond(http.HTTPStatus.OK, "ok\n")
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "questions are not answered any more\n")
        if not self._may(request.headers.get("Authorization", "")):
            self.metrics.refused("token")
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "send 'Authorization: Api-Key TOKEN'\n")
        if path == "/metrics":
            return connection.respond(http.HTTPStatus.OK, self.metrics.text())
        if path == "/status":
            return connection.respond(http.HTTPStatus.OK, json.dumps(self.metrics.summary()) + "\n")
        if self.metrics.connected >= self.config.connections:
            self.metrics.refused("connections")
            why = f"{self.config.connections} robots are connected; serve.connections is the limit\n"
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, why)
        return None

    def _may(self, header: str) -> bool:
        if self.config.token is None:
            return True
        kind, _, given = header.partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self.config.token.encode())
        return kind.lower() in ("api-key", "bearer") and right

    async def _connection(self, connection: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        self.metrics.connected += 1
        sessions: dict[str, Session] = {}
        try:
            await connection.send(pack(self._hello))
            async for message in connection:
                await connection.send(await self._reply(message, sessions))
        except ConnectionClosed as closed:
            log.info("connection closed: %s", closed)
        finally:
            self.metrics.connected -= 1

    async def _reply(self, message: str | bytes, sessions: dict[str, Session]) -> str | bytes:
        """A packed answer, or text that says what is wrong with the message."""
        try:
            if isinstance(message, str):
                raise InputError("messages are packed maps, not text", found=message[:60])
            content = unpack(message)
            question = read_question(content, self._specs, self._default, self.config.picture_px)
            name = question.embodiment
            if name not in sessions:
                sessions[name] = Session(self._bodies[name], self._offsets, self.control)
            question = sessions[name].complete(question)
            answer = await self._answerer.ask(question)
            reply = sessions[name].finish(question, answer.chunk)
            reply["server_timing"] = {"infer_ms": 1e3 * answer.took_s, "wait_ms": 1e3 * answer.waited_s}
            return pack(reply)
        except VidpretrainError as error:
            self.metrics.refused("message")
            return str(error)


async def run(server: PolicyServer, *, stop: asyncio.Event | None = None) -> None:
    """Serve until `stop` is set or the task is cancelled."""
    async with server:
        log.info("serving on ws://%s:%d (GET /healthz, /metrics)", server.config.host, server.port)
        await (stop or asyncio.Event()).wait()


def serve(folder: Path | str, config: ServeConfig | None = None, control: ControlConfig | None = None) -> Metrics:
    """Serve a checkpoint until SIGINT or SIGTERM; what was counted.

    Raises:
        CheckpointError: no checkpoint there. ConfigError: the port is taken, or an embodiment that it does not move.
        MissingExtra: websockets or msgpack is not installed.
    """
    import signal

    from vidpretrain.training import Policy

    config = config or ServeConfig()
    server = PolicyServer(Policy.load(folder, config.device), config, control)

    async def until_told() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stop.set)
        await run(server, stop=stop)

    asyncio.run(until_told())
    return server.metrics
