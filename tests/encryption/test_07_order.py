"""G39: appends keep the order in which they were called, also while a key is looked up, and are each made once."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from sessionstream import NoteAdded, SessionExists, SessionManager, SessionNotFound
from sessionstream.encryption import DataKeys, FolderKeyStore, MasterKeys
from sessionstream.errors import InvalidArgument, KeyUnavailable
from tests.encryption.conftest import MASTER, SESSION, USER, MakeManager
from tests.proxy import Fault, Proxy
from tests.topologies import through


class _Gate(MasterKeys):
    """A provider that answers when it is let."""

    def __init__(self) -> None:
        super().__init__(MASTER)
        self.open = threading.Event()
        self.open.set()

    def unwrap(self, master: str, wrapped: bytes, context: bytes) -> bytes:
        assert self.open.wait(30)
        return super().unwrap(master, wrapped, context)


@pytest.fixture
def gate() -> _Gate:
    return _Gate()


@pytest.fixture
async def gated(manager: SessionManager, make_manager: MakeManager, gate: _Gate, key_store: Path) -> SessionManager:
    """A manager that knows no key yet, and whose provider waits for its gate."""
    await manager.create_session(USER, "agent_1", session_id=SESSION)
    await manager.create_session("user_2", "agent_1", session_id="sess_2")
    return make_manager(encryption=DataKeys(FolderKeyStore(key_store), gate), deadline=20)


async def _texts(manager: SessionManager, session_id: str = SESSION) -> list[str]:
    return [event.data.text async for event in manager.history(session_id, types=[NoteAdded])]


async def test_what_is_called_while_a_key_is_looked_up_waits_in_its_order(gated: SessionManager, gate: _Gate) -> None:
    """And what is called just when it comes goes behind that."""
    gate.open.clear()
    first = [asyncio.ensure_future(gated.append(SESSION, NoteAdded(text=str(number)))) for number in range(50)]
    await asyncio.sleep(0)
    first.append(asyncio.ensure_future(gated.save_checkpoint(SESSION, {"a": 1}, offset="0-0")))
    first += [asyncio.ensure_future(gated.append(SESSION, NoteAdded(text=str(number)))) for number in range(50, 60)]
    gate.open.set()
    await first[0]
    await gated.append(SESSION, NoteAdded(text="last"))
    await asyncio.gather(*first)
    assert await _texts(gated) == [*map(str, range(60)), "last"]


async def test_a_key_that_is_looked_up_holds_up_no_other_session(gated: SessionManager, gate: _Gate) -> None:
    """Whose key is known goes on."""
    await gated.append("sess_2", NoteAdded(text="known"))
    gate.open.clear()
    waiting = asyncio.ensure_future(gated.append(SESSION, NoteAdded(text="waits")))
    await gated.append("sess_2", NoteAdded(text="goes on"))
    assert not waiting.done()
    gate.open.set()
    await waiting
    assert await _texts(gated, "sess_2") == ["known", "goes on"]


async def test_a_key_that_does_not_come_fails_in_time(
    make_manager: MakeManager, manager: SessionManager, gate: _Gate, key_store: Path
) -> None:
    """With an error that says that nothing was written, for all that waited for it."""
    await manager.create_session(USER, "agent_1", session_id=SESSION)
    hasty = make_manager(encryption=DataKeys(FolderKeyStore(key_store), gate), deadline=2)
    await hasty.session_exists(SESSION)
    gate.open.clear()
    found = await asyncio.gather(
        *(hasty.append(SESSION, NoteAdded(text="x")) for _ in range(3)), return_exceptions=True
    )
    gate.open.set()
    assert [type(one) for one in found] == [KeyUnavailable] * 3
    assert await _texts(manager) == []


async def test_a_cancelled_append_takes_nothing_back(gated: SessionManager, gate: _Gate) -> None:
    """As in plain text; what waits behind it is appended in its place."""
    gate.open.clear()
    cancelled = asyncio.ensure_future(gated.append(SESSION, NoteAdded(text="one")))
    await asyncio.sleep(0)
    behind = asyncio.ensure_future(gated.append(SESSION, NoteAdded(text="two")))
    cancelled.cancel()
    gate.open.set()
    await behind
    assert await _texts(gated) == ["one", "two"]


async def test_what_follows_a_creation_in_one_turn_is_appended_behind_it(manager: SessionManager) -> None:
    """Whose the session is, is known when it is there."""
    store = manager.store
    created = asyncio.ensure_future(manager.create_session(USER, "agent_1", session_id=SESSION))
    while not store.encryption._waiting:  # type: ignore[union-attr]
        await asyncio.sleep(0)
    appended = await manager.append(SESSION, NoteAdded(text="one"))
    await created
    assert appended.version == 2


async def test_a_creation_that_is_refused_says_nothing_of_whose_the_session_is(
    manager: SessionManager, make_manager: MakeManager
) -> None:
    """What is appended behind it is encrypted for the one whose it is."""
    await manager.create_session(USER, "agent_1", session_id=SESSION)
    other = make_manager()
    refused, appended = await asyncio.gather(
        other.create_session("user_2", "agent_1", session_id=SESSION),
        other.append(SESSION, NoteAdded(text="one")),
        return_exceptions=True,
    )
    assert isinstance(refused, SessionExists)
    assert not isinstance(appended, BaseException)
    await manager.store.encryption.keys.destroy("user_2")  # type: ignore[union-attr]
    assert await _texts(make_manager()) == ["one"]


async def test_an_unknown_session_is_unknown(manager: SessionManager) -> None:
    """No key is made for nobody."""
    for call in (
        lambda: manager.append("nowhere", NoteAdded(text="x")),
        lambda: manager.publish("nowhere", "x"),
        lambda: manager.save_checkpoint("nowhere", {}, offset=None),
    ):
        with pytest.raises(SessionNotFound):
            await call()
    assert list(FolderKeyStore(manager.settings.key_store).users()) == []  # type: ignore[arg-type]


async def test_a_repeat_sends_the_same_bytes(proxy: Proxy, namespace: str, tmp_path: Path) -> None:
    """A reply that is lost leaves one event, which reads."""
    settings: dict[str, Any] = {"namespace": namespace, "encryption_key": MASTER, "key_store": tmp_path}
    async with SessionManager(**through(proxy), **settings) as manager:
        await manager.create_session(USER, "agent_1", session_id=SESSION)
        await manager.append(SESSION, NoteAdded(text="one"))
        proxy.arm(Fault.LOSE_REPLY, b"note.added")
        appended = await manager.append(SESSION, NoteAdded(text="two"))
        assert appended.version == 3
        assert await _texts(manager) == ["one", "two"]


async def test_a_type_of_ones_own_begins_no_session(manager: SessionManager) -> None:
    """Only a creation says whose a session is."""
    import sessionstream

    @sessionstream.event("encryption.began", phases=frozenset({sessionstream.Phase.ABSENT}))
    class Began(sessionstream.Event, frozen=True, kw_only=True):
        text: str

    with pytest.raises(InvalidArgument, match="create_session"):
        await manager.append(SESSION, Began(text="x"))
