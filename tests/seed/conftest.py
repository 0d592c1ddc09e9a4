"""The seed document, its code blocks, and a fresh store to run one in."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.conftest import ROOT
from tests.seed.stage import Stage, python_blocks

_NUMBER = re.compile(r"test_block_(\d\d)_")


@pytest.fixture(scope="session")
def seed() -> Path:
    """The seed document; a test that needs it is skipped where it is absent."""
    default = ROOT.parent / "shared" / "seed" / "session-management.md"
    path = Path(os.environ.get("SESSIONSTREAM_SEED") or default)
    if not path.is_file():
        pytest.skip(f"the seed document is not there ({path}): name the file in SESSIONSTREAM_SEED")
    return path


@pytest.fixture(scope="session")
def blocks(seed: Path) -> list[str]:
    """The Python code blocks of the document, exactly as written, in their order."""
    return python_blocks(seed)


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest,
    blocks: list[str],
    client: Redis,
    make_namespace: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Stage]:
    """A fresh store under the default namespace, which is the one that the document's first block opens.

    After the test every function that its blocks define has been called, and the block that its name tells has run.
    """
    make_namespace("sessionstream")
    stage = Stage(blocks, client, capsys)
    with stage:
        yield stage
    await stage.aclose()
    found = _NUMBER.match(request.node.name)
    assert found is None or int(found[1]) in stage.ran, "the test did not run the block that it is named after"
    assert stage.uncalled() == set(), "the block defines functions that the test did not call"
