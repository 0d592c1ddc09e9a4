"""A test that leaves keys behind fails by itself, and not the test after it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, tests: str, *starter: str, **environment: str) -> str:
    """Run tests that use the project's fixtures, started by a command if one is given, and return the summary."""
    (folder / "tests").mkdir()
    for path in (ROOT / "tests").glob("*.py"):
        if path.name != "keys.py":  # what an owner is, is for one of these tests to say
            shutil.copy(path, folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests" / "test_it.py").write_text(tests)
    result = subprocess.run(
        [*starter, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    return result.stdout


async def test_keys_of_the_tests_own_namespaces_are_deleted(tmp_path: Path) -> None:
    """The next test finds an empty server."""
    summary = run(
        tmp_path,
        """
async def test_one(client, namespace, make_namespace):
    await client.set(f"{namespace}:{{0}}:a", 1)
    await client.set(f"{make_namespace()}:a", 1)
    await client.set(f"{make_namespace('by.name')}:a", 1)

async def test_two(client):
    assert await client.dbsize() == 0
""",
    )
    assert "2 passed" in summary


@pytest.mark.parametrize(
    ("key", "database"),
    [("stray", 0), ("{namespace}", 0), ("{namespace}x:a", 0), ("x:{namespace}:a", 0), ("stray", 3)],
)
async def test_a_key_outside_the_namespace_fails_the_test(tmp_path: Path, key: str, database: int) -> None:
    """In whichever database it lies; the test after it is not touched."""
    summary = run(
        tmp_path,
        f"""
from redis.asyncio import Redis

async def test_one(server, namespace):
    async with Redis.from_url(server.url, db={database}) as client:
        await client.set(f"{key}", 1)

async def test_two(client):
    assert await client.dbsize() == 0
""",
    )
    assert "2 passed, 1 error" in summary
    assert "1 keys lie in no namespace of this test" in summary


async def test_every_namespace_is_asked_for_keys_without_an_owner(tmp_path: Path) -> None:
    """`tests/keys.py` says what an owner is."""
    summary = run(
        tmp_path,
        """
from pathlib import Path

Path(__file__).with_name("keys.py").write_text('''
async def assert_no_ownerless_keys(client, namespace):
    assert not [key async for key in client.scan_iter(namespace + ":orphan")], "no owner"
''')

async def test_one(client, namespace):
    await client.set(f"{namespace}:orphan", 1)

async def test_two(client, namespace):
    await client.set(f"{namespace}:kept", 1)
""",
    )
    assert "2 passed, 1 error" in summary
    assert "AssertionError: no owner" in summary


async def test_a_test_that_stops_the_shared_server_fails(tmp_path: Path) -> None:
    """And the next one finds it running."""
    summary = run(
        tmp_path,
        """
async def test_one(server):
    server.kill()

async def test_two(client):
    assert await client.ping()
""",
    )
    assert "2 passed, 1 error" in summary
    assert "such a test uses make_server" in summary


async def test_a_missing_recording_is_said(tmp_path: Path) -> None:
    """The reason names the setting that says where the file is."""
    summary = run(tmp_path, "def test_one(airline): pass\n", SESSIONSTREAM_AIRLINE=str(tmp_path / "none.gz"))
    assert "1 skipped" in summary
    assert "name the file in SESSIONSTREAM_AIRLINE" in summary


async def test_settings_of_the_users_own_do_not_reach_a_test(tmp_path: Path) -> None:
    """A test never writes to the store that its user works with."""
    summary = run(
        tmp_path,
        "import os\n\ndef test_one():\n    assert 'SESSIONSTREAM_URL' not in os.environ\n",
        SESSIONSTREAM_URL="redis://127.0.0.1:1/0",
    )
    assert "1 passed" in summary


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "workers"])
async def test_what_a_test_starts_can_be_interrupted(tmp_path: Path, workers: tuple[str, ...]) -> None:
    """Also where the tests run in the background of a shell."""
    summary = run(
        tmp_path,
        """
import signal
import subprocess
import sys

def test_one():
    code = "import time; print(flush=True); time.sleep(20)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait() == -signal.SIGINT
""",
        *("sh", "-c", 'trap "" INT; exec "$@"', "sh"),
        PYTEST_ADDOPTS=" ".join(workers),
    )
    assert "1 passed" in summary


async def test_the_client_talks_to_the_chosen_server(client: Redis) -> None:
    """Valkey says so; Redis has no such field."""
    info = await client.info("server")
    wanted = os.environ.get("SESSIONSTREAM_TEST_SERVER", "valkey")
    assert info.get("server_name", "redis") == wanted
