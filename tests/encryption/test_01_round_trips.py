"""G39: with the keys, everything reads as it was given."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

import sessionstream
from sessionstream import MessageAdded, NoteAdded, SessionManager, acting
from sessionstream.errors import IdempotencyConflict
from sessionstream.events.encrypted import is_encrypted, mark_in
from sessionstream.events.recorded import payload_of
from sessionstream.projection import view
from sessionstream.transfer import export_cloudevents, export_events, export_messages, import_events
from tests.encryption.conftest import SESSION, USER, MakeManager
from tests.encryption.everything import NOTED, TEXT, noted, say_everything

pytestmark = pytest.mark.guarantee


@pytest.fixture
async def said(make_manager: MakeManager) -> SessionManager:
    """A manager of a session in which everything was said."""
    manager = make_manager(projections=[noted])
    await say_everything(manager, SESSION)
    return manager


async def test_events_read_as_they_were_given(said: SessionManager) -> None:
    """Their fields, who did it, and to which whole they belong; their ids are those that were told."""
    events = [event async for event in said.history(SESSION)]
    kinds = [event.type for event in events]
    assert kinds[:3] == ["session.created", "session.metadata_updated", "message.added"]
    assert events[2].data == MessageAdded(role="user", content=TEXT)
    assert (events[2].actor, events[2].correlation_id) == (f"actor {TEXT}", f"correlation {TEXT}")
    assert events[6].data.more == TEXT
    assert all(event.error is None for event in events)


async def test_what_an_append_gave_can_be_put_into_a_set(said: SessionManager) -> None:
    """Of one event and of several, as where nothing is encrypted."""
    alone, several = (
        await said.append(SESSION, NoteAdded(text="a")),
        await said.append(SESSION, [NoteAdded(text="b")] * 2),
    )
    assert len({alone, several}) == 2


async def test_entries_are_encrypted(said: SessionManager, client: Redis) -> None:
    """All that users fill; and no entry says beside that who did it."""
    entries = await said.store.server.call("XRANGE", said.store.keys.events(SESSION), "-", "+")
    assert all(is_encrypted(payload_of(words)) and len(words) == 2 for _, words in entries)


async def test_the_session_reads_as_it_was_given(said: SessionManager) -> None:
    """Metadata, also in lists, as of a moment, and as a difference."""
    session = await said.get_session(SESSION)
    assert session is not None
    assert session.metadata == {"note": f"{TEXT} again", "deep": {"list": [TEXT]}}
    assert [one.metadata for one in await said.get_sessions_by_user(USER)] == [session.metadata]
    assert (await said.audit.as_of(SESSION, version=1)).metadata["note"] == TEXT
    found = await said.audit.diff(SESSION, 1, 2)
    assert [(one.path, one.before, one.after) for one in found.changes] == [
        (("metadata", "note"), TEXT, f"{TEXT} again")
    ]


async def test_a_session_is_updated_by_what_was_read(said: SessionManager) -> None:
    """Only what differs is appended; a value that was set again as it was is no change."""
    session = await said.get_session(SESSION)
    assert session is not None
    version = session.version
    assert (await said.update_session(SESSION, session)).version == version
    session.metadata["note"] = "other"
    assert (await said.update_session(SESSION, session)).version == version + 1
    assert (await said.audit.diff(SESSION, version, version + 1)).changes[0].after == "other"


async def test_checkpoints_read_as_they_were_given(said: SessionManager) -> None:
    """Data and label; size and digest are those of what is stored."""
    latest = await said.get_latest_checkpoint(SESSION)
    assert latest is not None
    assert (latest.data, latest.label) == ({"memory": [TEXT]}, f"label {TEXT}")
    [listed] = await said.list_checkpoints(SESSION, with_data=True)
    assert dict(listed) == dict(latest)
    resumed = await said.resume(SESSION)
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.data == latest.data


async def test_holds_say_why_and_who(said: SessionManager) -> None:
    """The reason, and the actor that its event tells of."""
    with acting(actor="somebody"):
        await said.retention.hold(SESSION, "another reason", hold_id="second")
    assert [(hold.reason, hold.actor) for hold in await said.retention.holds(SESSION)] == [
        (f"because of {TEXT}", None),
        ("another reason", "somebody"),
    ]


async def test_followers_are_given_events_and_deltas(said: SessionManager) -> None:
    """Of one session and of all."""
    async with said.follow(SESSION, after="now") as items:
        await said.publish(SESSION, {"delta": TEXT})
        await said.append(SESSION, NoteAdded(text=TEXT))
        found = [await anext(items), await anext(items)]
    assert {type(one.data).__name__ for one in found} == {"dict", "NoteAdded"}
    async with said.follow_all() as events:
        async for event in events:
            if isinstance(event.data, NoteAdded):
                assert event.data.text == TEXT
                break


async def test_a_groups_views_and_what_it_parked_read_as_they_were_given(said: SessionManager) -> None:
    """The text in a view, and the error with its message and trace."""
    assert await said.consumers.view("group").fields(NOTED, SESSION) == {"last": TEXT.encode()}
    [parked] = await said.consumers.parked("group")
    assert parked.message == f"what was said is {TEXT}"
    assert parked.trace.endswith(f"{TEXT}\n")


async def test_a_users_own_view_holds_numbers_in_plain_text(said: SessionManager) -> None:
    """Texts are encrypted, alone or behind an offset; what an Increment may count on is not."""
    key = said.store.keys.place("noted", NOTED, SESSION)
    raw = await said.store.server.call("HGETALL", key)
    fields = dict(zip(raw[::2], raw[1::2], strict=True))
    assert fields[b"count"] == b"1"
    assert mark_in(fields[b"since"]) > 0
    opened = {
        name: said.store.opener.field(SESSION, "noted", NOTED, name, value) for name, value in fields.items() if name
    }
    assert opened[b"last"] == opened[b"raw"] == opened[b"by:x"] == TEXT.encode()
    assert opened[b"since"].endswith(f" {TEXT}".encode())


async def test_live_views_are_those_that_a_rebuild_makes(said: SessionManager) -> None:
    """Byte for byte: so they can be compared without decrypting them."""
    before = await _views(said)
    await said.rebuild(SESSION)
    await said.rebuild()
    assert await _views(said) == before


async def test_a_fork_is_encrypted_for_its_own_user(said: SessionManager) -> None:
    """Its checkpoint too; it reads its origin through."""
    await said.audit.fork(SESSION, at=9, new_session_id="forked", user_id="another")
    await said.audit.fork(SESSION, at=9, new_session_id="forked", user_id="another")
    checkpoint = await said.get_latest_checkpoint("forked")
    assert checkpoint is not None
    assert checkpoint.data == {"memory": [TEXT]}
    assert await said.messages("forked") == [{"role": "user", "content": TEXT}]
    await said.store.encryption.keys.destroy(USER)  # type: ignore[union-attr]
    assert (await said.get_latest_checkpoint("forked")).data == {"memory": [TEXT]}  # type: ignore[union-attr]
    assert await said.messages("forked") == []


async def test_a_repeated_append_is_known_by_what_it_says(said: SessionManager, make_manager: MakeManager) -> None:
    """Also behind a rotation; with other words the key is refused."""
    again = make_manager(projections=[noted])
    await again.encryption.rotate(USER)
    with acting(actor=f"actor {TEXT}", correlation_id=f"correlation {TEXT}"):
        message = MessageAdded(role="user", content=TEXT)
        assert (await again.append(SESSION, message, idempotency_key="say")).duplicate
    with pytest.raises(IdempotencyConflict):
        await again.append(SESSION, MessageAdded(role="user", content="other"), idempotency_key="say")


async def test_an_export_of_events_goes_in_elsewhere(
    said: SessionManager, make_manager: MakeManager, make_namespace: Any
) -> None:
    """Ciphertext as it is stored: with the keys another namespace has the same session, byte for byte."""
    lines = [line async for line in export_events(said.store)]
    assert TEXT.encode() not in b"".join(lines)
    other = make_manager(namespace=make_namespace(), projections=[noted])
    await import_events(other.store, lines)
    assert [line async for line in export_events(other.store)] == lines
    assert (await other.get_session(SESSION)).metadata["note"] == f"{TEXT} again"  # type: ignore[union-attr]


async def test_exports_for_people_are_in_plain_text(said: SessionManager) -> None:
    """Messages, and events for other programs."""
    assert TEXT.encode() in b"".join([line async for line in export_messages(said.store)])
    assert TEXT.encode() in b"".join([line async for line in export_cloudevents(said.store)])


async def test_a_type_that_is_unknown_keeps_its_json(manager: SessionManager) -> None:
    """Decrypted, under its name; nothing of it is lost."""
    await manager.create_session(USER, "agent_1", session_id=SESSION)

    @sessionstream.event("encryption.passing")
    class Passing(sessionstream.Event, frozen=True, kw_only=True):
        text: str

    await manager.append(SESSION, Passing(text=TEXT))
    recorded = [event async for event in manager.history(SESSION)][-1]
    assert recorded.plain == b'{"text":"%b"}' % TEXT.encode()
    assert is_encrypted(recorded.raw)


async def _views(manager: SessionManager) -> dict[str, Any]:
    keys, call = manager.store.keys, manager.store.server.call
    found: dict[str, Any] = {}
    for key in (
        keys.head(SESSION),
        keys.place("noted", NOTED, SESSION),
        keys.place("checkpoints", view("saved"), SESSION),
    ):
        raw = await call("HGETALL", key)
        found[key] = dict(zip(raw[::2], raw[1::2], strict=True))
    return found
