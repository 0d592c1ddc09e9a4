"""Forked workers are users of their own (G22)."""

from __future__ import annotations

import subprocess
import sys

from tests.embedded.stage import Stage, environment, notes


def test_a_forked_child_has_no_connection_of_its_own_yet(stage: Stage) -> None:
    """What it inherited is the parent's; the wire asks before it relies on it."""
    actor = stage.actor("acquire")
    assert actor.do("fork") == "0"
    assert actor.do("alive") == "False"


def test_a_child_that_ends_takes_nothing_from_its_parent(stage: Stage) -> None:
    """It ends as any program, with everything that runs at exit."""
    actor = stage.actor("acquire", "fork")
    actor.say("exit")
    assert int(actor.hear()) > 0
    assert actor.do("alive") == "True"


def test_a_child_that_releases_takes_nothing_from_its_parent(stage: Stage) -> None:
    """The lease that it inherited is a copy."""
    actor = stage.actor("acquire", "fork", "release")
    actor.say("exit")
    assert int(actor.hear()) > 0
    assert actor.do("alive") == "True"


def test_a_child_that_uses_the_store_keeps_it_running(stage: Stage) -> None:
    """Its parent may be killed."""
    actor = stage.actor("acquire", "fork", "ensure")
    server = stage.server()
    actor.kill()
    assert stage.server() == server


def test_a_child_acquires_like_any_process(stage: Stage) -> None:
    """On the same server."""
    actor = stage.actor()
    socket_path = actor.do("acquire")
    actor.do("fork")
    assert actor.do("acquire") == socket_path
    assert actor.do("alive") == "True"


def test_a_child_that_does_not_use_the_store_keeps_nothing_running(stage: Stage) -> None:
    """Though it has inherited the descriptor, and outlives its parent."""
    code = (
        "import asyncio, os, pathlib, sys; from sessionstream.wire.embedded import EmbeddedServer\n"
        "lease = asyncio.run(EmbeddedServer.acquire(pathlib.Path(sys.argv[1])))\n"
        "if os.fork() == 0: sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(stage.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as parent:
        parent.wait()
        stage.end()
        assert parent.stdin is not None
        parent.stdin.close()


def test_workers_of_multiprocessing_share_the_server(stage: Stage) -> None:
    """Forked while the parent's lease stands; what each wrote is there."""
    code = (
        "import asyncio, multiprocessing, pathlib, sys; from sessionstream.wire.embedded import EmbeddedServer\n"
        "from tests.embedded.stage import add\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "def work(number):\n"
        "    lease = asyncio.run(EmbeddedServer.acquire(folder))\n"
        "    add(lease.socket_path, str(number))\n"
        "lease = asyncio.run(EmbeddedServer.acquire(folder))\n"
        "with multiprocessing.get_context('fork').Pool(3) as pool: pool.map(work, range(9))\n"
    )
    command = [sys.executable, "-c", code, str(stage.folder)]
    subprocess.run(command, check=True, env=environment())
    actor = stage.actor()
    assert sorted(notes(actor.do("acquire"))) == [str(number) for number in range(9)]
