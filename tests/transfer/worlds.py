"""Sessions with a past of every kind, and what two namespaces have to have in common to be the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from sessionstream import MessageAdded, NoteAdded, SessionManager, ToolCalled, acting
from sessionstream.directory.listing import every_session_id
from sessionstream.errors import SessionStreamError
from sessionstream.fold import fold
from sessionstream.log.history import read_history
from sessionstream.log.store import Store
from sessionstream.transfer import export_events
from sessionstream.transfer.choosing import Choice, chosen_sessions
from tests.transfer.views import folded_views, stored_views

__all__ = ["STEPS", "Step", "content_of", "exported", "take_step"]

Step = tuple[str, int, str]

_WHATS = "create message note batch metadata refresh state save again forget clear delete odd"

STEPS = st.lists(
    st.tuples(st.sampled_from(_WHATS.split()), st.integers(0, 3), st.text(max_size=5)), min_size=1, max_size=40
)
"""What was done to sessions that are there; a deleted one takes no more."""


async def take_step(manager: SessionManager, step: Step) -> None:
    """Do one thing to one of four sessions; what its state does not allow is left out."""
    what, number, text = step
    name = (":first", "zwei\n", "s3", "s4")[number]
    try:
        await _take(manager, what, name, text)
    except (SessionStreamError, UnicodeError):
        return


async def _take(manager: SessionManager, what: str, name: str, text: str) -> None:
    match what:
        case "create":
            ttl = 3600 if name == "s3" else None
            await manager.create_session("u" + name[:1], "agent", {"k": text}, session_id=name, ttl=ttl)
        case "message":
            await manager.append(name, MessageAdded(role="user", content=text), correlation_id="c")
        case "note":
            with acting(actor="somebody " + text):
                await manager.append(name, NoteAdded(text=text))
        case "batch":
            await manager.append(name, [NoteAdded(text=text), ToolCalled(name="t"), NoteAdded(text="")])
        case "metadata":
            await manager.update_session_metadata(name, {"a": text}, unset=["k"])
        case "refresh":
            await manager.refresh_session(name)
        case "state":
            await manager.set_session_state(name, ("active", "idle", "archived", "expired")[len(text) % 4])
        case "save":
            await manager.save_checkpoint(name, {"text": text}, label=text or None)
        case "again":
            await manager.delete_checkpoint(name, "c")
            await manager.save_checkpoint(name, [text], checkpoint_id="c")
        case "forget":
            await manager.delete_checkpoint(name, "c")
        case "clear":
            await manager.clear_checkpoints(name)
        case "delete":
            await manager.delete_session(name)
        case "odd":
            await _append_oddly(manager, name, text)


async def _append_oddly(manager: SessionManager, name: str, text: str) -> None:
    """Put in what no process of today has written: an unknown type, or an entry that does not decode."""
    await manager.append(name, NoteAdded(text=text))
    store, key = manager.store, manager.store.keys.events(name)
    (offset, _), *_ = await store.server.call("XREVRANGE", key, "+", "-", "COUNT", 1)
    oddities: Sequence[tuple[Any, ...]] = (
        ("orders.shipped@3", "x" * 22 + json.dumps({"to": text})),
        (b"\xff\xfe", b"\x00", "odd", "1"),
        ("note.added@", "y", "meta", ""),
        ("note.added", "z" * 22 + "{nonsense", "meta", "{also"),
    )
    await store.server.call("XDEL", key, offset)
    words = oddities[len(text) % len(oddities)]
    # An entry cannot be changed in place: the stream is made again with another last one.
    entries = await store.server.call("XRANGE", key, "-", "+")
    await store.server.call("DEL", key)
    for at, fields in [*entries, (offset, words)]:
        await store.server.call("XADD", key, at, *fields)
    await manager.rebuild(name)


async def exported(store: Store) -> list[bytes]:
    """Return the lines of an export of everything that is kept."""
    ids = [kept.session.session_id async for kept in chosen_sessions(store, Choice(ended=True))]
    return [line async for line in export_events(store, ids)]


async def content_of(manager: SessionManager) -> dict[str, Any]:
    """Return everything that can be read of a namespace, in a form that is the same for the same sessions."""
    store, found = manager.store, dict[str, Any]()
    ids = sorted([session_id async for session_id in every_session_id(store)])
    for session_id in ids:
        stream = await store.server.call("XRANGE", store.keys.events(session_id), "-", "+")
        bodies = await store.server.call("HGETALL", store.keys.bodies(session_id))
        kept = {name: body for name, body in zip(bodies[::2], bodies[1::2], strict=True) if name}
        found[session_id] = {
            "stream": stream,
            "bodies": kept,
            "session": await manager.get_session(session_id),
            "state": await manager.get_session_state(session_id),
            "checkpoints": await manager.list_checkpoints(session_id, with_data=True),
            "moments": [await manager.audit.as_of(session_id, version=1 + at) for at in range(len(stream))],
        }
    found["lists"] = {
        user: sorted(session.session_id for session in await manager.get_sessions_by_user(user))
        for user in ("u:", "uz", "us")
    }
    found["counts"] = (
        await manager.get_total_session_count(),
        await manager.get_expired_session_count(),
        await manager.get_avg_session_duration(),
        sorted(session.session_id for session in await manager.get_all_active_sessions()),
    )
    return found


async def assert_views_are_folds(store: Store) -> None:
    """Every view that the server holds is what the streams make of it."""
    folded = await folded_views(store)
    assert await stored_views(store, list(folded)) == folded
    async for session_id in every_session_id(store):
        events = [event async for event in read_history(store, session_id)]
        assert fold(session_id, events, store.projections).head
