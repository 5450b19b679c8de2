"""The server over real sockets: answers, refusals, many robots, and things that are no robots."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from toy_server import Hold, running, until

from vidpretrain.control import ControlConfig
from vidpretrain.errors import ConfigError
from vidpretrain.serve import PolicyServer, ServeConfig
from vidpretrain.serve.packing import pack, unpack

IMAGE = np.full((40, 40, 3), 7, np.uint8)


def connect(port, **options):
    from websockets.sync.client import connect as dial

    link = dial(f"ws://127.0.0.1:{port}", compression=None, max_size=None, **options)
    return link, unpack(link.recv(timeout=20))


def ask(link, **message):
    link.send(pack({"image": IMAGE, "state": [0.5, -0.5], **message}))
    reply = link.recv(timeout=20)
    return reply if isinstance(reply, str) else unpack(reply)


def get(port, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_robot_is_told_what_the_policy_is_and_gets_its_actions(hold):
    with running(hold) as (_, port):
        link, hello = connect(port)
        assert hello["embodiments"]["toy"]["horizon"] == 4
        assert (hello["embodiment"], hello["history_rows"]) == ("toy", [-1, -2])
        answer = ask(link, step=3)
        np.testing.assert_array_equal(answer["actions"], np.tile(np.float32([0.5, -0.5]), (4, 1)))
        assert answer["step"] == 3
        assert answer["server_timing"]["infer_ms"] >= 0
        assert hold.asked[0]["images"].shape == (1, 32, 32, 3)  # brought to the policy's size
        ask(link, step=4, state=[0.6, -0.6])
        np.testing.assert_allclose(hold.asked[1]["history"][0, 0], [0.5, -0.5])
        link.close()


def test_what_is_wrong_is_said_and_the_connection_stays(hold):
    with running(hold) as (server, port):
        link, _ = connect(port)
        assert "channels first" in ask(link, image=IMAGE.transpose(2, 0, 1))
        assert "does not fit toy" in ask(link, state=[1.0])
        for rubbish in (b"\xc1 not msgpack", "text", b""):
            link.send(rubbish)
            assert isinstance(link.recv(timeout=20), str)
        hold.fail = RuntimeError("out of memory")
        assert "the policy failed: RuntimeError('out of memory')" in ask(link)
        hold.fail = None
        assert ask(link)["actions"].shape == (4, 2)
        assert server.metrics.summary()["refused"] == {"message": 6, "failed": 1}
        link.close()


def test_a_huge_message_closes_its_connection_alone(hold):
    from websockets.exceptions import ConnectionClosed

    with running(hold, ServeConfig(port=0, message_mb=0.1)) as (_, port):
        other, _ = connect(port)
        link, _ = connect(port)
        link.send(bytes(300_000))
        with pytest.raises(ConnectionClosed, match="1009"):
            link.recv(timeout=20)
        assert ask(other)["actions"].shape == (4, 2)
        other.close()


def test_health_metrics_and_token(hold):
    with running(hold, ServeConfig(port=0, token="open sesame")) as (_, port):
        assert get(port, "/healthz") == (200, "ok\n")
        assert get(port, "/metrics")[0] == 401
        for header in ("Api-Key open sesame", "Bearer open sesame"):
            link, _ = connect(port, additional_headers={"Authorization": header})
            assert ask(link)["actions"].shape == (4, 2)
            link.close()
        for header in ("Api-Key open sesam", "Basic open sesame", ""):
            with pytest.raises(Exception, match="401"):
                connect(port, additional_headers={"Authorization": header})
        allowed = {"Authorization": "Bearer open sesame"}
        text = get(port, "/metrics", **allowed)[1]
        assert "vidpretrain_answers_total 2" in text
        assert 'vidpretrain_refused_total{reason="token"} 4' in text
        assert json.loads(get(port, "/status", **allowed)[1])["answered"] == 2


def test_what_a_robot_is_told_reaches_the_policy(hold):
    with running(hold) as (_, port):
        link, _ = connect(port)
        ask(link, prompt="open the drawer")
        ask(link)
        assert [one["instructions"] for one in hold.asked] == [["open the drawer"], [""]]
        link.close()


def test_a_server_that_answers_no_more_is_not_healthy(hold):
    with running(hold) as (server, port):
        assert get(port, "/healthz")[0] == 200
        task = server._answerer._task
        task.get_loop().call_soon_threadsafe(task.cancel)
        until(task.done)
        status, why = get(port, "/healthz")
        assert (status, "not answered" in why) == (503, True)


def test_eight_robots_at_once_get_their_own_answers(hold):
    with running(hold) as (server, port):
        wrong: list[str] = []

        def robot(number: int) -> None:
            link, _ = connect(port)
            for step in range(25):
                value = number + step / 100
                actions = ask(link, state=[value, -value], step=step)["actions"]
                if not np.allclose(actions[0], [value, -value]):
                    wrong.append(f"{number}/{step}")
            link.close()

        threads = [threading.Thread(target=robot, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert wrong == []
        assert server.metrics.summary()["answered"] == 200
        until(lambda: server.metrics.connected == 0)


def test_questions_that_wait_together_are_answered_together_and_late_ones_dropped(hold):
    with running(hold, ServeConfig(port=0, queue=3, deadline_s=0.4)) as (server, port):
        links = [connect(port)[0] for _ in range(6)]
        hold.gate.clear()
        links[0].send(pack({"image": IMAGE, "state": [0, 0]}))
        until(lambda: hold.entered == 1)
        for i, link in enumerate(links[1:4]):
            link.send(pack({"image": IMAGE, "state": [i, i]}))
        until(lambda: server._answerer._queue.qsize() == 3)
        assert "busy" in ask(links[4])
        threading.Event().wait(0.5)
        hold.gate.set()
        assert not isinstance(links[0].recv(timeout=20), str)  # it was being computed: its robot waits for it
        for link in links[1:4]:
            assert "waited too long" in link.recv(timeout=20)
        hold.gate.clear()
        links[0].send(pack({"image": IMAGE, "state": [9, 9]}))
        until(lambda: hold.entered == 2)
        for i, link in enumerate(links[1:4]):
            link.send(pack({"image": IMAGE, "state": [i, i]}))
        until(lambda: server._answerer._queue.qsize() == 3)
        hold.gate.set()
        for i, link in enumerate(links[1:4]):
            np.testing.assert_array_equal(unpack(link.recv(timeout=20))["actions"][0], [i, i])
        assert len(hold.asked[-1]["state"]) == 3
        assert server.metrics.counts["refused/late"] == 3
        for link in links:
            link.close()


def test_a_thousand_connections_leave_the_server_up(hold):
    with running(hold, ServeConfig(port=0, connections=8)) as (server, port):
        link, _ = connect(port)
        raw = []
        for _ in range(300):  # sockets that never say anything
            raw.append(socket.create_connection(("127.0.0.1", port), timeout=20))
        for _ in range(700):  # and robots beyond the limit
            with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
                one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ask(link)["actions"].shape == (4, 2)
        more = [connect(port)[0] for _ in range(7)]
        with pytest.raises(Exception, match="503"):
            connect(port)
        assert server.metrics.counts["refused/connections"] == 1
        for one in [link, *more, *raw]:
            one.close()
        until(lambda: server.metrics.connected == 0)
        link, _ = connect(port)
        assert ask(link)["actions"].shape == (4, 2)
        link.close()


def test_a_connection_that_breaks_off_leaves_the_others(hold):
    with running(hold) as (server, port):
        link, _ = connect(port)
        gone, _ = connect(port)
        hold.gate.clear()
        gone.send(pack({"image": IMAGE, "state": [0, 0]}))
        gone.socket.close()
        hold.gate.set()
        assert ask(link)["actions"].shape == (4, 2)
        link.close()
        until(lambda: server.metrics.connected == 0)


def test_chunks_are_blended_when_asked_for(hold):
    with running(hold, control=ControlConfig(blend="ensemble", decay=0.0)) as (_, port):
        link, _ = connect(port)
        ask(link, state=[0.0, 0.0], step=0)
        actions = ask(link, state=[1.0, 1.0], step=2)["actions"]
        np.testing.assert_allclose(actions[:, 0], [0.5, 0.5, 1.0, 1.0])
        link.close()


def test_ports_and_embodiments_that_cannot_be_served_are_named(hold):
    with pytest.raises(ConfigError, match="does not move it"):
        PolicyServer(hold, ServeConfig(embodiment="h1"))

    async def second(port: int) -> None:
        async with PolicyServer(Hold(), ServeConfig(port=port)):
            pass

    with running(hold) as (_, port), pytest.raises(ConfigError, match="cannot listen"):
        asyncio.run(second(port))


def test_values_that_make_no_sense_are_refused():
    for key, value in (("queue", 0), ("deadline_s", 0), ("port", 70_000), ("token", "short")):
        with pytest.raises(ValueError, match=key):
            ServeConfig(**{key: value})
