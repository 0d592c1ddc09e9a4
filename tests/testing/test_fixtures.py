"""The fixtures for users' tests, in a project of their own: a server for the run, a namespace for each test."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.servers import Server

CONFTEST = 'pytest_plugins = ["sessionstream.testing"]\n'
TESTS = """
import asyncio

import pytest

seen = set()


@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(3))
async def test_async(sessionstream_manager, sessionstream_open, number):
    assert await sessionstream_manager.get_total_session_count() == 0
    session = await sessionstream_manager.create_session("user_1", "agent_1", session_id="mine")
    other = sessionstream_open(ttl=60)
    assert await other.session_exists(session.session_id)
    async with sessionstream_manager.follow("mine") as events:
        assert (await anext(events)).type == "session.created"
    seen.add(sessionstream_manager.settings.namespace)
    assert len(seen) == number + 1


def test_plain(sessionstream_manager):
    async def story():
        async with sessionstream_manager as manager:
            await manager.create_session("user_1", "agent_1")
            return await manager.get_total_session_count()

    assert asyncio.run(story()) == 1


def test_all_was_removed(sessionstream_url):
    from redis import Redis

    with Redis.from_url(sessionstream_url) as client:
        assert client.dbsize() == 0
    with open("url", "w") as file:
        file.write(sessionstream_url)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty folder with two files in it."""
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_mine.py").write_text(TESTS, encoding="utf-8")
    return tmp_path


# Unset, pytest-asyncio warns of it.
_SCOPE = "asyncio_default_fixture_loop_scope=function"


def _run(project: Path, *words: str, **environment: str) -> str:
    with tempfile.TemporaryDirectory(prefix="sst-", dir="/tmp") as sockets:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", _SCOPE, *words],
            cwd=project,
            env={**os.environ, "SESSIONSTREAM_RUNTIME_DIR": sockets, **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_project_of_ones_own_has_a_server_and_namespaces(project: Path) -> None:
    """Async tests and plain ones; each begins with nothing, and nothing is left; the server has gone with the run."""
    assert "5 passed" in _run(project)
    socket = (project / "url").read_text(encoding="utf-8").removeprefix("unix://")
    assert not Path(socket).exists()


def test_a_server_can_be_given(project: Path, server: Server) -> None:
    """For who has one already, such as a job of continuous integration."""
    assert "5 passed" in _run(project, SESSIONSTREAM_TEST_URL=server.unix_url)
    assert (project / "url").read_text(encoding="utf-8") == server.unix_url


def test_nothing_is_loaded_unless_it_is_asked_for(project: Path) -> None:
    """The package registers no plugin of pytest's."""
    (project / "conftest.py").unlink()
    (project / "test_mine.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
    assert "sessionstream_manager" not in _run(project, "--fixtures")
