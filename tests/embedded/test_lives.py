"""How long the server runs: while somebody uses it, and some seconds more (G22)."""

from __future__ import annotations

import gc
import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from sessionstream.errors import EmbeddedUnavailable
from sessionstream.wire.embedded import EmbeddedServer
from tests.embedded.stage import Stage, add, environment, notes, until


def test_it_stops_after_the_last_user_has_gone(stage: Stage) -> None:
    """And leaves no process, socket or word about where to connect."""
    first, second = stage.actor("acquire"), stage.actor("acquire")
    first.leave()
    second.leave()
    stage.end()
    assert not (stage.folder / "control").exists()


def test_the_data_are_there_at_the_next_start(stage: Stage) -> None:
    """The server was stopped in order, and keeps an append-only file."""
    actor = stage.actor()
    add(actor.do("acquire"), "a", "b")
    actor.leave()
    stage.end()
    assert notes(stage.actor().do("acquire")) == ["a", "b"]


def test_a_release_is_enough(stage: Stage) -> None:
    """The process may live on."""
    actor = stage.actor("acquire", "release")
    stage.end()
    assert actor.do("alive") == "False"


async def test_a_release_twice_is_one(stage: Stage) -> None:
    """The lease of somebody else in this process is not given back with it."""
    mine, others = await EmbeddedServer.acquire(stage.folder), await EmbeddedServer.acquire(stage.folder)
    mine.release()
    mine.release()
    assert others.alive()
    assert not mine.alive()
    others.release()


async def test_a_lease_that_is_dropped_is_given_back(stage: Stage) -> None:
    """Who forgets to release keeps no server running."""
    await EmbeddedServer.acquire(stage.folder)
    gc.collect()
    stage.end()


async def test_a_released_lease_is_not_made_anew(stage: Stage) -> None:
    """It says what to do instead."""
    lease = await EmbeddedServer.acquire(stage.folder)
    lease.release()
    with pytest.raises(EmbeddedUnavailable, match="acquire another"):
        await lease.ensure()


def test_a_program_may_end_without_a_release(stage: Stage) -> None:
    """Nothing warns of a socket that was not closed."""
    code = (
        "import asyncio, pathlib, sys; from sessionstream.wire.embedded import EmbeddedServer\n"
        "async def main(): return await EmbeddedServer.acquire(pathlib.Path(sys.argv[1]))\n"
        "kept = asyncio.run(main())\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code, str(stage.folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_short_commands_beside_a_long_lived_process_stop_nothing(
    stage: Stage, make_stage: Callable[[Path], Stage], tmp_path: Path
) -> None:
    """A neighbour's server, whose last user went after the last command, stops; this one goes on."""
    stage.actor("acquire")
    server = stage.server()
    for _ in range(3):
        stage.actor("acquire").leave()
    neighbour = make_stage(tmp_path / "neighbour")
    neighbour.actor("acquire").leave()
    neighbour.end()
    assert stage.server() == server


def test_who_comes_within_the_grace_period_finds_the_same_server(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A series of short commands starts it once."""
    monkeypatch.setenv("SESSIONSTREAM_EMBEDDED_GRACE", "1")
    # Both run before the period begins: on a busy machine the start of a process takes longer than that.
    first, second = stage.actor("acquire"), stage.actor("acquire", "release")
    server = stage.server()
    first.leave()
    second.do("acquire")
    assert stage.server() == server


def test_who_comes_while_it_stops_gets_a_fresh_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a grace period every process meets the end of the server before; nothing fails, nothing is lost."""
    monkeypatch.setenv("SESSIONSTREAM_EMBEDDED_GRACE", "0")
    for number in range(8):
        actor = stage.actor()
        add(actor.do("acquire"), str(number))
        actor.leave()
    assert notes(stage.actor().do("acquire")) == [str(number) for number in range(8)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_processes_killed_in_any_order_count_as_gone(stage: Stage, order: tuple[int, ...]) -> None:
    """Number 0 started the server; it runs while one is left, and then no longer."""
    actors = [stage.actor() for _ in range(3)]
    socket_path, *_ = (actor.do("acquire") for actor in actors)
    server = stage.server()
    for number in order[:-1]:
        actors[number].kill()
        add(socket_path, str(number))
    assert stage.server() == server
    assert actors[order[-1]].do("alive") == "True"
    actors[order[-1]].kill()
    stage.end()


def test_a_client_without_a_control_connection_is_not_cut_off(
    stage: Stage, make_stage: Callable[[Path], Stage], tmp_path: Path
) -> None:
    """It may have lost it unknowingly; the server goes on until it has closed its own connection too."""
    actor = stage.actor()
    with redis.Redis(unix_socket_path=actor.do("acquire"), single_connection_client=True) as client:
        actor.leave()
        neighbour = make_stage(tmp_path / "neighbour")
        neighbour.actor("acquire").leave()
        neighbour.end()
        assert client.ping()
    stage.end()


def test_a_folder_that_is_deleted_takes_its_server_along(stage: Stage) -> None:
    """Also while it has a user, who could not use it any more."""
    actor = stage.actor("acquire")
    shutil.rmtree(stage.folder)
    until(stage.gone, "the server of the deleted folder has stopped")
    assert actor.do("alive") == "False"
