"""Secrets are taken out of metadata, checkpoints and deltas (G37)."""

from __future__ import annotations

from collections.abc import Callable

from sessionstream import Delta, SessionManager
from sessionstream.transfer import export_events, import_events, import_messages
from tests.redaction.conftest import MARK, SECRET, Search

GIVEN = {"password": SECRET, "deep": {"x": [{"clientSecret": SECRET}]}, "n": 1}
STORED = {"password": MARK, "deep": {"x": [{"clientSecret": "[redacted: secret]"}]}, "n": 1}


async def test_a_session_begins_without_secrets(manager: SessionManager, keys_with: Search) -> None:
    """What create gives is what is stored; the caller's own dict stays as it is."""
    given = {**GIVEN}
    session = await manager.create_session("user_1", "agent_1", given)
    assert session.metadata == STORED
    assert given == GIVEN
    found = await manager.get_session(session.session_id)
    assert found is not None
    assert found.metadata == STORED
    assert await keys_with(SECRET) == []


async def test_the_same_create_with_another_secret_is_the_same(manager: SessionManager) -> None:
    """For an idempotency key."""
    first = await manager.create_session("user_1", "agent_1", {"token": "1"}, idempotency_key="k")
    again = await manager.create_session("user_1", "agent_1", {"token": "2"}, idempotency_key="k")
    assert first.session_id == again.session_id


async def test_metadata_is_updated_without_secrets(manager: SessionManager, session_id: str, keys_with: Search) -> None:
    """By the method that sets keys, and a fork's own."""
    await manager.update_session_metadata(session_id, GIVEN)
    fork = await manager.audit.fork(session_id, at=2, metadata=GIVEN)
    assert fork.metadata == STORED
    assert (await manager.audit.as_of(session_id, 2)).metadata == STORED
    assert await keys_with(SECRET) == []


async def test_a_secret_is_no_change_again_and_again(manager: SessionManager, session_id: str) -> None:
    """A session that is given back, with the mark or with the secret once more, is what it was."""
    await manager.update_session_metadata(session_id, GIVEN)
    session = await manager.get_session(session_id)
    assert session is not None
    await manager.update_session(session_id, session)
    session.metadata = {**GIVEN}
    after = await manager.update_session(session_id, session)
    assert (after.version, after.metadata) == (2, STORED)
    session.metadata["n"] = 2
    assert (await manager.update_session(session_id, session)).version == 3
    [last] = [event.data async for event in manager.history(session_id, from_version=3)]
    assert last.set == {"n": 2}


async def test_a_checkpoint_has_no_secrets(manager: SessionManager, session_id: str, keys_with: Search) -> None:
    """Its sum is of what is stored, so it is read back."""
    data = {"state": GIVEN, "messages": [{"arguments": f'{{"password":"{SECRET}"}}'}]}
    await manager.save_checkpoint(session_id, data)
    checkpoint = (await manager.resume(session_id)).checkpoint
    assert checkpoint is not None
    assert checkpoint.data == {"state": STORED, "messages": [{"arguments": f'{{"password":"{MARK}"}}'}]}
    assert data["state"] == GIVEN
    assert await keys_with(SECRET) == []


async def test_a_delta_has_no_secrets_and_the_tokens_of_a_model(manager: SessionManager, session_id: str) -> None:
    """What a model says comes token by token; a token of access is a secret there too."""
    async with manager.follow(session_id, after="now") as events:
        await manager.publish(session_id, {"token": "Hel", "access_token": SECRET, "deep": {"password": SECRET}})
        delta = await anext(events)
    assert isinstance(delta, Delta)
    assert delta.data == {"token": "Hel", "access_token": "[redacted: access_token]", "deep": {"password": MARK}}


async def test_an_import_is_not_redacted_again(
    open_manager: Callable[..., SessionManager], make_namespace: Callable[..., str]
) -> None:
    """What was stored, by whatever rules, comes back as it was stored."""
    free = open_manager(redact=False)
    session = await free.create_session("user_1", "agent_1", GIVEN)
    await free.add_messages(session.session_id, {"role": "user", "content": "x", "token": SECRET})
    lines = [line async for line in export_events(free.store, [session.session_id])]
    other = open_manager(namespace=make_namespace())
    assert (await import_events(other.store, lines)).created == 1
    assert await other.messages(session.session_id) == await free.messages(session.session_id)
    fork = await other.audit.fork(session.session_id, at=2)
    assert fork.metadata == GIVEN
    message = {"role": "user", "content": "x", "token": SECRET}
    line = {"session_id": "m", "user_id": "u", "agent_id": "a", "metadata": GIVEN, "messages": [message]}
    await import_messages(other.store, [__import__("json").dumps(line)])
    assert await other.messages("m") == [message]
