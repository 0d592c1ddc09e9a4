"""What an import makes of lines."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sessionstream import SessionManager
from sessionstream.errors import InvalidArgument
from sessionstream.log.feed import pointers_of
from sessionstream.log.store import Store
from sessionstream.transfer import Imported, import_messages
from sessionstream.transfer.sources import LineSource
from tests.transfer.conftest import MakeManager
from tests.transfer.recorded import line, said, sessions_of


async def test_a_line_becomes_a_session_with_its_messages(store: Store, manager: SessionManager) -> None:
    """The id is the line's, the messages are those of the line, in their order."""
    done = await import_messages(store, [line("Hi", "Hello", "Bye", session_id="one")])
    assert await manager.messages("one") == said("Hi", "Hello", "Bye")
    assert (done.lines, done.created, done.messages) == (1, 1, 3)


async def test_other_keys_become_metadata(store: Store, manager: SessionManager) -> None:
    """Every key but the messages, null and nested ones too."""
    await import_messages(store, [line("Hi", session_id="one", reward=0.5, tags=["a", {"b": None}], note=None)])
    session = await manager.get_session("one")
    assert session is not None
    assert session.metadata == {"session_id": "one", "reward": 0.5, "tags": ["a", {"b": None}], "note": None}


async def test_a_session_and_its_first_messages_are_one_append(store: Store) -> None:
    """Nobody ever sees a recorded session without its messages: all of it carries one offset's milliseconds."""
    await import_messages(store, [line("Hi", "Hello", session_id="one")])
    feed = await store.server.call("XRANGE", store.keys.feed(store.keys.partition("one")), "-", "+")
    assert [pointer.events for entry in feed for pointer in pointers_of(entry)] == [3]


async def test_messages_keep_what_chat_messages_can_hold(store: Store, manager: SessionManager) -> None:
    """Tool calls with their argument strings, unknown keys, a null content and an absent one."""
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"arguments": '{"a" : 1}'}}]},
        {"role": "tool", "tool_call_id": "1", "name": "f", "content": "", "x-cost": 0.25},
        {"role": "assistant", "content": [{"type": "text", "text": "ü \u2028 😀"}]},
        {"role": "assistant"},
    ]
    await import_messages(store, [json.dumps({"session_id": "one", "messages": messages})])
    assert await manager.messages("one") == messages


async def test_the_users_and_agents_of_lines_are_theirs(store: Store, manager: SessionManager) -> None:
    """A line's own ``user_id`` and ``agent_id`` count; where it has none, those of the import."""
    lines = [line("a", session_id="own", user_id="u1", agent_id=7), line("b", session_id="none", user_id=None)]
    await import_messages(store, lines, user_id="u2", agent_id="a2")
    own, none = await manager.get_session("own"), await manager.get_session("none")
    assert own is not None
    assert none is not None
    assert (own.user_id, own.agent_id, none.user_id, none.agent_id) == ("u1", "7", "u2", "a2")


async def test_an_imported_session_is_found_by_its_user(store: Store, manager: SessionManager) -> None:
    """The lists of users hold imported sessions as any other."""
    await import_messages(store, [line("a", session_id="one")], user_id="u1")
    assert [session.session_id for session in await manager.get_sessions_by_user("u1")] == ["one"]


@pytest.mark.parametrize(
    ("keys", "values", "session_id"),
    [
        (["task"], {"task": "t-1"}, "t-1"),
        (["task"], {"task": 17}, "17"),
        (["task", "trial"], {"task": "a", "trial": 2}, "a:2"),
        (["task", "trial"], {"task": "a:2", "trial": "50%"}, "a%3A2:50%25"),
    ],
)
async def test_the_id_can_be_the_values_of_keys(
    store: Store, manager: SessionManager, keys: list[str], values: dict[str, Any], session_id: str
) -> None:
    """One value as it is; several so that no two combinations give one id."""
    await import_messages(store, [line("Hi", **values)], id_keys=keys)
    assert await manager.session_exists(session_id)


async def test_equal_lines_without_an_id_are_as_many_sessions(store: Store) -> None:
    """Two recordings may well say the same."""
    done = await import_messages(store, [line("Hi"), line("Hi"), line("Bye")])
    assert done.created == 3
    assert len({line["session_id"] for line in await sessions_of(store, with_ids=True)}) == 3


async def test_a_session_without_messages_is_a_session(store: Store, manager: SessionManager) -> None:
    """An empty list is no mistake."""
    done = await import_messages(store, [line(session_id="one")])
    assert (done.created, await manager.messages("one")) == (1, [])


async def test_long_sessions_go_in_whole(store: Store, manager: SessionManager) -> None:
    """More messages than one append may hold, and more bytes than the server should be given at once."""
    many, large = [str(number) for number in range(10_500)], [str(number) * 150_000 for number in range(8)]
    done = await import_messages(store, [line(*many, session_id="many"), line(*large, session_id="large")])
    assert not done.failures
    assert await manager.messages("many") == said(*many)
    assert await manager.messages("large") == said(*large)


async def test_a_time_to_live_can_be_given(make_manager: MakeManager) -> None:
    """By the argument, or else by the settings."""
    manager = make_manager(ttl=100)
    await import_messages(manager.store, [line("a", session_id="a")])
    await import_messages(manager.store, [line("b", session_id="b")], ttl=1000)
    await import_messages(manager.store, [line("c", session_id="c")], ttl=None)
    lives: list[float | None] = []
    for name in "abc":
        session = await manager.get_session(name)
        assert session is not None
        expires = session.expires_at
        lives.append(None if expires is None else (expires - session.created_at).total_seconds())
    assert lives == [100, 1000, None]


async def test_the_progress_is_told_line_by_line(store: Store) -> None:
    """After every line that says something, with all that was done so far."""
    seen: list[int] = []

    def tell(done: Imported) -> None:
        seen.append(done.lines)

    await import_messages(store, [line("a"), b"\n", b"nonsense\n", line("b")], progress=tell)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
async def test_a_file_is_unpacked_if_it_is_packed(store: Store, pack: Any) -> None:
    """By its first bytes, whatever it is called; several packed pieces in a row are one file."""
    done = await import_messages(store, LineSource(io.BytesIO(pack(line("a")) + pack(line("b")))))
    assert (done.created, done.failures) == (2, [])


async def test_lines_are_not_read_far_ahead(store: Store) -> None:
    """A source of any length fits into memory: reading waits for writing."""
    given = 0
    furthest = 0

    def lines() -> Iterator[bytes]:
        nonlocal given
        for number in range(400):
            given += 1
            yield line(str(number))

    def tell(done: Imported) -> None:
        nonlocal furthest
        furthest = max(furthest, given - done.lines)

    done = await import_messages(store, lines(), concurrency=2, progress=tell)
    assert done.created == 400
    assert furthest < 100


@pytest.mark.parametrize("concurrency", [0, -1, True, "2"])
async def test_the_concurrency_is_a_number_from_one(store: Store, concurrency: Any) -> None:
    """Anything else is refused before a line is read."""
    with pytest.raises(InvalidArgument, match="concurrency"):
        await import_messages(store, [line("a")], concurrency=concurrency)
    assert await sessions_of(store) == []
