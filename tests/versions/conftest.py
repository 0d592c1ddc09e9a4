"""Both versions on one store: the previous one in a process of its own, this one in the test's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import Server
from tests.versions.history import OTHER_LAYOUT, PREVIOUS, Process, checked_out

Start = Callable[..., Process]


@pytest.fixture(scope="session")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is to be put on the path of a process of the previous version."""
    return checked_out(PREVIOUS, tmp_path_factory.mktemp("previous"))


@pytest.fixture(scope="session")
def other_layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a version with the layout before."""
    return checked_out(OTHER_LAYOUT, tmp_path_factory.mktemp("other-layout"))


def _starting(path: Path, server: Server, namespace: str) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(
            Process(path, **{"url": server.unix_url, "namespace": namespace, **settings})
        )


@pytest.fixture
def start_old(previous: Path, server: Server, namespace: str) -> Iterator[Start]:
    """Start a process of the previous version on the test's namespace: ``start_old(seal_key=…)``."""
    yield from _starting(previous, server, namespace)


@pytest.fixture
def old(start_old: Start) -> Process:
    """A process of the previous version on the test's namespace."""
    return start_old()


@pytest.fixture
def start_older(other_layout: Path, server: Server, namespace: str) -> Iterator[Start]:
    """Start a process of a version whose layout is another one."""
    yield from _starting(other_layout, server, namespace)
