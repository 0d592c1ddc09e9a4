"""Limits are checked before anything is sent (G5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sessionstream import InvalidArgument, NoteAdded, SessionManager, Settings
from sessionstream.errors import TooLarge

pytestmark = pytest.mark.guarantee

MIB = 1024 * 1024
NOWHERE = "unix:///nowhere/at/all"


def _note(size: int) -> NoteAdded:
    """A note whose JSON has exactly so many bytes."""
    note = NoteAdded(text="x" * (size - len('{"text":""}')))
    assert len(json.dumps({"text": note.text}, separators=(",", ":"))) == size
    return note


async def test_an_event_has_a_mebibyte(manager: SessionManager, session_id: str) -> None:
    """Of JSON, to the byte; one byte more is refused."""
    await manager.append(session_id, _note(MIB))
    with pytest.raises(TooLarge) as caught:
        await manager.append(session_id, _note(MIB + 1))
    assert (caught.value.size, caught.value.limit) == (MIB + 1, MIB)
    assert "max_event_bytes" in str(caught.value)
    assert [event.version async for event in manager.history(session_id)] == [1, 2]


async def test_bytes_are_counted_and_not_characters(reach: dict[str, Any], make_namespace: Callable[[], str]) -> None:
    """A character may have four of them."""
    async with SessionManager(**reach, namespace=make_namespace(), max_event_bytes=1_000) as manager:
        session = await manager.create_session("user_1", "assistant")
        await manager.append(session.session_id, NoteAdded(text="x" * 900))
        with pytest.raises(TooLarge):
            await manager.append(session.session_id, NoteAdded(text="😀" * 900))


async def test_metadata_is_part_of_an_event(reach: dict[str, Any], make_namespace: Callable[[], str]) -> None:
    """So the same limit holds for it, and a session that is refused is not in its user's list."""
    async with SessionManager(**reach, namespace=make_namespace(), max_event_bytes=1_000) as manager:
        with pytest.raises(TooLarge):
            await manager.create_session("user_1", "assistant", {"long": "x" * 1_000})
        assert await manager.get_sessions_by_user("user_1") == []
        session = await manager.create_session("user_1", "assistant")
        with pytest.raises(TooLarge):
            await manager.update_session_metadata(session.session_id, {"long": "x" * 1_000})


async def test_a_checkpoint_has_a_limit_of_its_own(reach: dict[str, Any], make_namespace: Callable[[], str]) -> None:
    """Its body is no event: it may be larger than one, up to 64 MiB unless the settings say otherwise."""
    limits = {"max_event_bytes": 1_000, "max_checkpoint_bytes": 10_000}
    async with SessionManager(**reach, namespace=make_namespace(), **limits) as manager:
        session = await manager.create_session("user_1", "assistant")
        await manager.save_checkpoint(session.session_id, "x" * (10_000 - 2))
        with pytest.raises(TooLarge) as caught:
            await manager.save_checkpoint(session.session_id, "x" * (10_000 - 1))
        assert (caught.value.size, caught.value.limit) == (10_001, 10_000)
        assert "max_checkpoint_bytes" in str(caught.value)
        assert len(await manager.list_checkpoints(session.session_id)) == 1
    assert Settings().max_checkpoint_bytes == 64 * MIB


async def test_a_refusal_needs_no_server(tmp_path: object) -> None:
    """Nothing is sent before all of an append has been checked."""
    manager = SessionManager(url=NOWHERE, max_event_bytes=100, max_checkpoint_bytes=100)
    with pytest.raises(TooLarge):
        await manager.append("s", NoteAdded(text="x" * 200))
    with pytest.raises(TooLarge):
        await manager.append("s", [NoteAdded(text="x"), NoteAdded(text="x" * 200)])
    with pytest.raises(TooLarge):
        await manager.save_checkpoint("s", "x" * 200)
    with pytest.raises(TooLarge):
        await manager.create_session("user_1", "assistant", {"long": "x" * 200})
    with pytest.raises(InvalidArgument, match="idempotency_key"):
        await manager.append("s", NoteAdded(text="x"), idempotency_key="")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"partitions": 0}, "partitions"),
        ({"partitions": 5_000}, "partitions"),
        ({"ttl": 0}, "ttl"),
        ({"ttl": -1}, "ttl"),
        ({"ttl": float("nan")}, "ttl"),
        ({"ttl": float("inf")}, "ttl"),
        ({"deadline": 0}, "deadline"),
        ({"max_event_bytes": 0}, "max_event_bytes"),
        ({"retention": -1}, "retention"),
        ({"extend_on": "never"}, "extend_on"),
        ({"namespaces": "x"}, "namespaces"),
        ({"namespace": "a b"}, "namespace"),
        ({"namespace": ""}, "namespace"),
        ({"namespace": "x" * 65}, "namespace"),
        ({"namespace": "a:b"}, "namespace"),
        ({"namespace": "a\n"}, "namespace"),
    ],
)
def test_a_malformed_setting_is_named(settings: dict[str, object], named: str) -> None:
    """When the manager is made, before anything is sent."""
    with pytest.raises(InvalidArgument, match=named):
        SessionManager(url=NOWHERE, **settings)  # type: ignore[arg-type]


def test_the_environment_gives_what_the_arguments_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables begin with ``SESSIONSTREAM_``; an argument goes before them."""
    monkeypatch.setenv("SESSIONSTREAM_MAX_EVENT_BYTES", "123")
    monkeypatch.setenv("SESSIONSTREAM_NAMESPACE", "from-the-environment")
    manager = SessionManager(url=NOWHERE, namespace="given")
    assert manager.settings.max_event_bytes == 123
    assert manager.settings.namespace == "given"
