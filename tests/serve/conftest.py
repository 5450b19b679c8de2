from __future__ import annotations

import pytest


@pytest.fixture
def hold():
    """A policy that stays where it is."""
    pytest.importorskip("websockets")
    pytest.importorskip("msgpack")
    from toy_server import Hold

    return Hold()
