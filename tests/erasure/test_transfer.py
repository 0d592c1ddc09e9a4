"""G40: what is exported of an erased session says that it was erased, and comes back as that; nothing else is in it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sessionstream import SessionManager
from sessionstream.errors import InvalidImportLine
from sessionstream.transfer import import_events
from sessionstream.transfer.exporting import export_cloudevents, export_events, export_messages
from tests.erasure.conftest import KEY, PLAIN, SESSION, USER, MakeManager


@pytest.fixture
def other(make_manager: MakeManager, make_namespace: Callable[..., str]) -> SessionManager:
    """Another store."""
    return make_manager(namespace=make_namespace(), seal_key=KEY)


async def _lines(manager: SessionManager) -> list[bytes]:
    return [line async for line in export_events(manager.store, [SESSION])]


@pytest.fixture
async def lines(manager: SessionManager, session: str) -> list[bytes]:
    """The export of a store whose only session was erased."""
    await manager.erase_user(USER)
    return await _lines(manager)


async def test_exports_carry_nothing_of_it(manager: SessionManager, lines: list[bytes]) -> None:
    """Neither the events, nor CloudEvents, nor conversations."""
    found = b"".join(lines)
    found += b"".join([line async for line in export_cloudevents(manager.store, [SESSION])])
    found += b"".join([line async for line in export_messages(manager.store, [SESSION])])
    assert len(lines) == 9
    assert PLAIN.encode() not in found
    assert USER.encode() not in found


async def test_an_erased_session_is_imported_as_one(
    manager: SessionManager, session: str, lines: list[bytes], other: SessionManager
) -> None:
    """With the same offsets; the import once more adds nothing, and the copy verifies as far as it is sealed there."""
    done = await import_events(other.store, lines)
    assert not done.failures
    assert await _lines(other) == lines
    assert (await other.store.head(session))[0] == (await manager.store.head(session))[0]
    assert await other.get_session(session) is None
    await import_events(other.store, lines)
    assert await _lines(other) == lines
    await other.audit.seal(session)
    found = await other.audit.verify(session)
    assert found.ok, found.findings
    assert found.erased == 8


def _changed(lines: list[bytes], change: Callable[[list[bytes]], list[bytes]]) -> list[bytes]:
    changed = change(lines)
    last = {**json.loads(changed[-1]), "last": True}
    return [*changed[:-1], json.dumps(last).encode()]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines[:3], _noted(lines[3]), *lines[4:]],
        lambda lines: [_noted(lines[0]), *lines[1:]],
    ],
)
async def test_a_session_that_is_erased_in_part_is_not_imported(
    lines: list[bytes], other: SessionManager, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    """All is erased up to the event that says so, or nothing."""
    done = await import_events(other.store, _changed(lines, change))
    assert done.failures
    assert all(isinstance(one, InvalidImportLine) for one in done.failures)
    assert await other.get_total_session_count() == 0


def _noted(line: bytes) -> bytes:
    told = json.loads(line)
    return json.dumps({**told, "type": "note.added", "data": '{"text":"x"}'}).encode()
