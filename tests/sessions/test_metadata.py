"""`update_session_metadata`: keys are merged, None is a value, and keys can be removed (G9)."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionEnded, SessionManager, SessionNotFound
from sessionstream.errors import InvalidArgument, InvalidData, InvalidType
from tests.sessions.conftest import Dump
from tests.sessions.waiting import expired_session


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    """A session with three keys."""
    given = {"language": "zh-CN", "nested": {"a": 1, "b": 2}, "n": 0}
    return (await manager.create_session("user_1", "agent_1", given)).session_id


async def _metadata(manager: SessionManager, session_id: str) -> dict[str, Any]:
    session = await manager.get_session(session_id)
    assert session is not None
    return session.metadata


async def test_keys_are_merged_at_the_top_level(manager: SessionManager, session_id: str) -> None:
    """New ones are added, old ones replaced as a whole, all others stay."""
    await manager.update_session_metadata(session_id, {"nested": {"c": 3}, "new": True})
    expected = {"language": "zh-CN", "nested": {"c": 3}, "n": 0, "new": True}
    assert await _metadata(manager, session_id) == expected


async def test_none_is_a_value(manager: SessionManager, session_id: str) -> None:
    """The key stays, and holds None."""
    await manager.update_session_metadata(session_id, {"language": None})
    assert await _metadata(manager, session_id) == {"language": None, "nested": {"a": 1, "b": 2}, "n": 0}


async def test_keys_are_removed_by_name(manager: SessionManager, session_id: str) -> None:
    """Unknown ones too: they are not there afterwards either."""
    await manager.update_session_metadata(session_id, {"new": 1}, unset=["language", "n", "unknown"])
    assert await _metadata(manager, session_id) == {"nested": {"a": 1, "b": 2}, "new": 1}
    await manager.update_session_metadata(session_id, unset=["nested"])
    assert await _metadata(manager, session_id) == {"new": 1}


async def test_one_update_is_one_event(manager: SessionManager, session_id: str) -> None:
    """It tells what was set and what was removed."""
    await manager.update_session_metadata(session_id, {"n": 1}, unset=["language"])
    [_, event] = [event async for event in manager.history(session_id)]
    assert event.type == "session.metadata_updated"
    assert (event.data.set, event.data.unset) == ({"n": 1}, ["language"])


async def test_an_empty_update_appends_nothing(manager: SessionManager, session_id: str, dump: Dump) -> None:
    """There is nothing to tell."""
    before = await dump()
    await manager.update_session_metadata(session_id, {})
    assert await dump() == before


async def test_updates_of_many_at_once_are_all_kept(manager: SessionManager, session_id: str) -> None:
    """Each sets its own key."""
    await asyncio.gather(*(manager.update_session_metadata(session_id, {f"k{n}": n}) for n in range(30)))
    metadata = await _metadata(manager, session_id)
    assert {key: value for key, value in metadata.items() if key.startswith("k")} == {f"k{n}": n for n in range(30)}


async def test_any_mapping_will_do(manager: SessionManager, session_id: str) -> None:
    """It need not be a dict."""
    await manager.update_session_metadata(session_id, MappingProxyType({"n": 9}))
    assert (await _metadata(manager, session_id))["n"] == 9


@pytest.mark.parametrize("key", ["", " ", "user_id", "state", "ttl", "a:b", "ключ", "a\nb", "0", "m:x"])
async def test_any_text_is_a_key(manager: SessionManager, session_id: str, key: str) -> None:
    """Also those that the store itself has fields for."""
    await manager.update_session_metadata(session_id, {key: "mine"})
    session = await manager.get_session(session_id)
    assert session is not None
    assert session.metadata[key] == "mine"
    assert (session.user_id, session.state.value, session.expires_at) == ("user_1", "active", None)
    await manager.update_session_metadata(session_id, unset=[key])
    assert key not in await _metadata(manager, session_id)


_BAD: list[tuple[Any, type[Exception], str]] = [
    ([("a", 1)], InvalidType, "list"),
    ("a=1", InvalidType, "str"),
    ({1: "a"}, InvalidType, "1"),
    ({"a": {1: "b"}}, InvalidData, r"metadata\.a"),
    ({"a": {2, 3}}, InvalidData, r"metadata\.a"),
    ({"a": [0, b"x"]}, InvalidData, r"metadata\.a\[1\]"),
    ({"a": float("nan")}, InvalidData, r"metadata\.a"),
    ({"a": (1, 2)}, InvalidData, r"metadata\.a"),
    ({"a": 2**64}, InvalidData, r"metadata\.a"),
    ({"a": "\ud800"}, InvalidData, r"metadata\.a"),
]


@pytest.mark.parametrize(("metadata", "error", "named"), _BAD)
async def test_what_is_no_metadata_is_refused_and_named(
    manager: SessionManager, session_id: str, dump: Dump, metadata: Any, error: type[Exception], named: str
) -> None:
    """A value that JSON would change is refused with its path, and nothing is written."""
    before = await dump()
    with pytest.raises(error, match=named):
        await manager.update_session_metadata(session_id, metadata)
    assert await dump() == before


@pytest.mark.parametrize(("metadata", "error", "named"), _BAD)
async def test_a_session_with_bad_metadata_is_not_created(
    manager: SessionManager, dump: Dump, metadata: Any, error: type[Exception], named: str
) -> None:
    """Not a trace of it is written."""
    with pytest.raises(error, match=named):
        await manager.create_session("user_1", "agent_1", metadata)
    assert await dump() == {}


async def test_a_key_is_either_set_or_removed(manager: SessionManager, session_id: str, dump: Dump) -> None:
    """Both at once is an error, and so is a key that is no string."""
    before = await dump()
    with pytest.raises(InvalidArgument, match="'n'"):
        await manager.update_session_metadata(session_id, {"n": 1}, unset=["n"])
    with pytest.raises(InvalidType, match="unset"):
        await manager.update_session_metadata(session_id, unset=[1])  # type: ignore[list-item]
    assert await dump() == before


async def test_names_of_keys_to_remove_are_a_list_not_a_string(
    manager: SessionManager, session_id: str, dump: Dump
) -> None:
    """A string would be taken for its letters; None is no list either."""
    before = await dump()
    with pytest.raises(InvalidType, match="unset"):
        await manager.update_session_metadata(session_id, unset="n")
    with pytest.raises(InvalidType, match="unset"):
        await manager.update_session_metadata(session_id, unset=None)  # type: ignore[arg-type]
    assert await dump() == before


async def test_a_session_that_is_not_there_has_no_metadata(manager: SessionManager, client: Redis) -> None:
    """Unknown, deleted and expired ones are errors that are `ValueError`s."""
    with pytest.raises(SessionNotFound):
        await manager.update_session_metadata("sess_unknown", {"a": 1})
    with pytest.raises(SessionNotFound):
        await manager.update_session_metadata("sess_unknown", {})
    deleted = await manager.create_session("user_1", "agent_1")
    await manager.delete_session(deleted.session_id)
    with pytest.raises(SessionEnded, match="deleted") as caught:
        await manager.update_session_metadata(deleted.session_id, {"a": 1})
    assert isinstance(caught.value, ValueError)
    expired = await expired_session(manager, client)
    with pytest.raises(SessionEnded, match="expired"):
        await manager.update_session_metadata(expired.session_id, {"a": 1})
    assert [event.type async for event in manager.history(expired.session_id)] == ["session.created"]
