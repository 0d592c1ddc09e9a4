"""Ids: any text of 1 to 512 bytes, for sessions, users, agents and checkpoints, and no two share anything (G17)."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream import MessageAdded, NoteAdded, SessionManager
from sessionstream.errors import InvalidType
from sessionstream.log.keys import Keys
from sessionstream.projections.checkpoints import ORDER, SAVED
from sessionstream.projections.directory import agent

_IDS = [
    "a",
    "A",
    "a ",
    " a",
    "a:b",
    "a:b:c",
    ":",
    "a:",
    "{a}",
    "{",
    "}",
    "{0}",
    "}:{1}:head:a",
    "head:a",
    "*",
    "?",
    "[a-z]",
    "\\",
    "%2F",
    "a\nb",
    "\r\n",
    "\t",
    "\0",
    "\x7f",
    "会话",
    "é",
    "e\u0301",
    "😀",
    "0",
    "-1",
    "1e3",
    "nan",
    '"quoted"',
    "it's",
    "a" * 512,
    "é" * 256,
]


async def test_any_text_names_a_session(manager: SessionManager) -> None:
    """Each of them is one of its own: what is done to it is done to no other."""
    for number, identifier in enumerate(_IDS):
        await manager.create_session("user_1", "agent_1", {"n": number}, session_id=identifier)
        await manager.append(identifier, MessageAdded(role="user", content=str(number)))
        await manager.save_checkpoint(identifier, number)
    assert await manager.get_total_session_count() == len(_IDS)
    for number, identifier in enumerate(_IDS):
        session = await manager.get_session(identifier)
        assert session is not None
        assert (session.session_id, session.metadata, session.version) == (identifier, {"n": number}, 3)
        assert await manager.messages(identifier) == [{"role": "user", "content": str(number)}]
        checkpoint = await manager.get_latest_checkpoint(identifier)
        assert checkpoint is not None
        assert checkpoint.data == number
    assert {session.session_id for session in await manager.get_sessions_by_user("user_1")} == set(_IDS)


async def test_deleting_a_session_deletes_no_other(manager: SessionManager) -> None:
    """Even one whose id the other's contains."""
    for identifier in _IDS:
        await manager.create_session("user_1", "agent_1", session_id=identifier)
    for number, identifier in enumerate(_IDS, 1):
        assert await manager.delete_session(identifier, purge=True)
        assert await manager.get_active_session_count() == len(_IDS) - number


async def test_any_text_names_a_user(manager: SessionManager) -> None:
    """Each has the one session that is theirs."""
    sessions = {user_id: await manager.create_session(user_id, "agent_1") for user_id in _IDS}
    for user_id, session in sessions.items():
        assert await manager.get_sessions_by_user(user_id) == [session]
        assert session.user_id == user_id
    for user_id in _IDS[1:]:
        assert await manager.delete_user_sessions(user_id) == 1
    assert await manager.get_sessions_by_user(_IDS[0]) == [sessions[_IDS[0]]]


async def test_any_text_names_an_agent(manager: SessionManager) -> None:
    """Deleting the sessions of one deletes no other's."""
    for agent_id in _IDS:
        session = await manager.create_session("user_1", agent_id)
        assert session.agent_id == agent_id
    for agent_id in _IDS:
        assert await manager.delete_agent_sessions(agent_id) == 1
        assert await manager.delete_agent_sessions(agent_id) == 0


async def test_any_text_names_a_checkpoint(manager: SessionManager) -> None:
    """All of them in one session, each with its own data."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    for number, checkpoint_id in enumerate(_IDS):
        await manager.save_checkpoint("sess_1", number, checkpoint_id=checkpoint_id)
    listed = await manager.list_checkpoints("sess_1", with_data=True)
    assert {one.checkpoint_id: one.data for one in listed} == {one: n for n, one in enumerate(_IDS)}
    for checkpoint_id in _IDS:
        assert await manager.delete_checkpoint("sess_1", checkpoint_id) is True
    assert await manager.list_checkpoints("sess_1") == []


async def test_one_text_may_name_a_session_its_user_and_its_agent(manager: SessionManager) -> None:
    """And its checkpoint: they do not meet."""
    session = await manager.create_session("same", "same", session_id="same")
    await manager.save_checkpoint("same", {}, checkpoint_id="same")
    assert [one.session_id for one in await manager.get_sessions_by_user("same")] == [session.session_id]


def _keys_of(keys: Keys, identifier: str) -> Iterator[str]:
    """Yield every key that is named after an id, whatever it is the id of."""
    yield from (keys.head(identifier), keys.events(identifier), keys.idempotency(identifier), keys.bodies(identifier))
    yield from (keys.place("checkpoints", place, identifier) for place in (ORDER, SAVED))
    yield keys.user(identifier)
    yield from (keys.partition_place("directory", agent(identifier), number) for number in range(keys.partitions))


_NASTY = st.text(st.sampled_from(":{}0a\n é"), min_size=1, max_size=6) | st.text(min_size=1, max_size=20)


@given(_NASTY, _NASTY)
def test_two_ids_never_share_a_key(one: str, other: str) -> None:
    """Nor do the keys of one, whatever the id is used for; and none is a key of a partition's own."""
    keys = Keys("namespace", 3)
    own = [key for number in range(3) for key in (keys.log(number), keys.feed(number), keys.registry(number))]
    all_keys = [*own, *_keys_of(keys, one), *(_keys_of(keys, other) if other != one else ())]
    assert len(all_keys) == len(set(all_keys))


async def test_a_string_that_is_written_differently_than_it_reads_is_no_id(manager: SessionManager) -> None:
    """A member of an Enum is written by its name in a key, unless it is a StrEnum."""
    odd = enum.Enum("Known", {"FIRST": "first"}, type=str)
    fine = enum.StrEnum("Known", {"FIRST": "first"})
    with pytest.raises(InvalidType, match="give its value"):
        await manager.create_session("user_1", "assistant", session_id=odd.FIRST)  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match="give its value"):
        await manager.append(odd.FIRST, NoteAdded(text="x"))  # type: ignore[arg-type]
    session = await manager.create_session("user_1", "assistant", session_id=fine.FIRST)  # type: ignore[arg-type]
    assert session.session_id == "first"
    assert (await manager.append("first", NoteAdded(text="x"))).version == 2
