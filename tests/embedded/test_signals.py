"""Supervisor, server and users killed with SIGKILL: nothing acknowledged is lost, nothing is left behind (G22)."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionstream.errors import EmbeddedUnavailable
from sessionstream.wire.embedded import EmbeddedServer
from tests.embedded.stage import Stage, add, notes, until


def test_a_killed_server_is_started_again(stage: Stage) -> None:
    """By its supervisor, on the same socket, with all that was acknowledged."""
    actor = stage.actor()
    socket_path = actor.do("acquire")
    for number in range(3):
        add(socket_path, str(number))
        stage.kill(stage.server())
        assert stage.actor().do("acquire") == socket_path
    assert notes(socket_path) == ["0", "1", "2"]
    assert actor.do("alive") == "True"


def test_the_supervisor_of_a_killed_server_stays(stage: Stage) -> None:
    """Its users are still counted, and need not notice."""
    actor = stage.actor("acquire")
    supervisor = stage.supervisor()
    stage.kill(stage.server())
    until(stage.servers, "there is a server again")
    assert stage.supervisor() == supervisor
    assert actor.do("alive") == "True"


def test_a_user_notices_that_the_supervisor_was_killed(stage: Stage) -> None:
    """The connection is closed by the system, however the supervisor went."""
    actor = stage.actor("acquire")
    stage.kill(stage.supervisor())
    assert actor.do("alive") == "False"
    actor.leave()


def test_a_user_who_noticed_is_counted_again(stage: Stage) -> None:
    """`ensure` starts another supervisor, which stops the server that was left alone and starts its own."""
    actor = stage.actor()
    socket_path = actor.do("acquire")
    add(socket_path, "a")
    stage.kill(stage.supervisor())
    assert actor.do("ensure") == socket_path
    assert actor.do("alive") == "True"
    assert notes(socket_path) == ["a"]
    assert (len(stage.supervisors()), len(stage.servers())) == (1, 1)


def test_a_newcomer_finds_a_server_without_supervisor(stage: Stage) -> None:
    """Nothing is lost, and there are no two servers for one folder."""
    add(stage.actor().do("acquire"), "a")
    orphan = stage.server()
    stage.kill(stage.supervisor())
    assert notes(stage.actor().do("acquire")) == ["a"]
    assert stage.server() != orphan


def test_newcomers_at_once_find_a_server_without_supervisor(stage: Stage) -> None:
    """One of them replaces it, once."""
    add(stage.actor().do("acquire"), "a")
    stage.kill(stage.supervisor())
    actors = [stage.actor() for _ in range(3)]
    for actor in actors:
        actor.say("acquire")
    assert [notes(actor.hear()) for actor in actors] == [["a"]] * 3
    assert (len(stage.supervisors()), len(stage.servers())) == (1, 1)


def test_the_last_user_leaves_no_server_without_supervisor(stage: Stage) -> None:
    """Whoever goes, and finds the supervisor gone, sees to it that the server stops."""
    actor = stage.actor("acquire")
    stage.kill(stage.supervisor())
    actor.leave()
    stage.end()


def test_a_server_that_hangs_without_supervisor_is_killed(stage: Stage) -> None:
    """It is asked first; what it acknowledged is in its file."""
    add(stage.actor().do("acquire"), "a")
    server = stage.server()
    stage.kill(stage.supervisor())
    os.kill(server, signal.SIGSTOP)
    assert notes(stage.actor().do("acquire")) == ["a"]


def test_a_supervisor_that_is_asked_to_end_stops_its_server(stage: Stage) -> None:
    """As when the machine shuts down; users come again when they need it."""
    actor = stage.actor()
    add(actor.do("acquire"), "a")
    os.kill(stage.supervisor(), signal.SIGTERM)
    until(lambda: actor.do("alive") == "False", "the supervisor hangs up")
    assert notes(actor.do("ensure")) == ["a"]
    actor.leave()
    stage.end()


async def test_a_supervisor_that_hangs_is_an_error_in_time(stage: Stage) -> None:
    """No caller waits for longer than it said."""
    stage.actor("acquire")
    supervisor = stage.supervisor()
    os.kill(supervisor, signal.SIGSTOP)
    with pytest.raises(EmbeddedUnavailable, match="not there in time"):
        await EmbeddedServer.acquire(stage.folder, timeout=0.3)
    os.kill(supervisor, signal.SIGCONT)


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["supervisor", "server", "starter", "other"])), ids="-".join
)
def test_all_killed_in_any_order(stage: Stage, order: tuple[str, ...]) -> None:
    """The next process finds everything that was acknowledged, and one server; after it there is none."""
    starter, other = stage.actor(), stage.actor()
    add(starter.do("acquire"), "a")
    other.do("acquire")
    supervisor, server = stage.supervisor(), stage.server()
    kill: dict[str, Callable[[], None]] = {
        "supervisor": lambda: stage.kill(supervisor),
        "server": lambda: stage.kill(server),
        "starter": starter.kill,
        "other": other.kill,
    }
    for who in order:
        kill[who]()
    heir = stage.actor()
    assert notes(heir.do("acquire")) == ["a"]
    assert (len(stage.supervisors()), len(stage.servers())) == (1, 1)
    heir.leave()
    stage.end()


def test_a_removed_socket_is_noticed(stage: Stage, runtime: Path) -> None:
    """Some systems clear the runtime folder at logout: the server stops, and users get another."""
    actor = stage.actor()
    add(actor.do("acquire"), "a")
    for path in runtime.iterdir():
        path.unlink()
    until(lambda: actor.do("alive") == "False", "the supervisor hangs up")
    assert notes(actor.do("ensure")) == ["a"]
