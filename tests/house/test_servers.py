"""What the tests rely on: their servers are real, obey, lose nothing that they kept, and leave nothing behind."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeout

from tests.servers import Server, ServerFailed

ROOT = Path(__file__).resolve().parents[2]


def test_a_server_answers_on_both_its_addresses(make_server: Callable[..., Server]) -> None:
    """TCP and the unix socket lead to the same data."""
    server = make_server()
    with Redis.from_url(server.url) as tcp, Redis.from_url(server.unix_url) as unix:
        tcp.set("a", 1)
        assert unix.get("a") == b"1"


def test_settings_reach_the_server(make_server: Callable[..., Server]) -> None:
    """Underscores become dashes, a tuple several words."""
    server = make_server(appendfsync="always", client_output_buffer_limit=("pubsub", "1mb", "1mb", 7))
    with Redis.from_url(server.url) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        assert "pubsub 1048576 1048576 7" in client.config_get("client-output-buffer-limit").popitem()[1]


def test_the_addresses_carry_the_password(make_server: Callable[..., Server]) -> None:
    """A server that asks for one is ready all the same."""
    server = make_server(requirepass="secret")
    with Redis.from_url(server.url) as tcp, Redis.from_url(server.unix_url) as unix:
        assert tcp.ping()
        assert unix.ping()


def test_what_was_kept_survives_a_crash_and_a_restart(make_server: Callable[..., Server]) -> None:
    """The append-only file is on, and the port stays the same."""
    server = make_server()
    url = server.url
    with Redis.from_url(url) as client:
        client.set("a", 1)
        server.kill()
        assert not server.running
        server.start()
        assert client.get("a") == b"1"
        server.restart()
        assert client.get("a") == b"1"
    assert server.url == url


def test_a_paused_server_answers_after_it_is_resumed(make_server: Callable[..., Server]) -> None:
    """Its connections stay open meanwhile."""
    server = make_server()
    with Redis.from_url(server.url, socket_timeout=0.1) as client:
        client.ping()
        server.pause()
        assert server.running
        with pytest.raises(RedisTimeout):
            client.ping()
        server.resume()
        assert client.ping()


def test_a_paused_server_can_be_stopped(make_server: Callable[..., Server]) -> None:
    """A test may end while its server is frozen."""
    server = make_server()
    server.pause()
    server.stop()
    assert not server.running


def test_a_server_that_cannot_start_says_why() -> None:
    """The error ends with the server's own words."""
    with pytest.raises(ServerFailed, match="perhaps"), Server(appendonly="perhaps"):
        pass


def test_a_closed_server_leaves_nothing(make_server: Callable[..., Server]) -> None:
    """Neither a process nor a folder."""
    server = make_server()
    server.close()
    assert not server.running
    assert not server.folder.exists()
    assert refuses(server.port)


@pytest.mark.parametrize("how", ["end", "exception", "SIGTERM", "SIGKILL"])
def test_a_server_is_gone_when_its_process_is(how: str) -> None:
    """However that one went."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, how], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    output, _ = owner.communicate(timeout=60)
    port, folder = output.split()
    deadline = time.monotonic() + 20
    while Path(folder).exists() or not refuses(int(port)):
        assert time.monotonic() < deadline, "the server or its folder is still there"
        time.sleep(0.01)


OWNER = """
import os, signal, sys
from tests.servers import Server
server = Server().start()
print(server.port, server.folder, flush=True)
match sys.argv[1]:
    case "exception":
        raise RuntimeError
    case "SIGTERM" | "SIGKILL" as name:
        os.kill(os.getpid(), getattr(signal, name))
"""


def refuses(port: int) -> bool:
    """Whether nobody listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
