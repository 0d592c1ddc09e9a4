"""What two change at once: disjoint changes are merged, and the same field is a conflict."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from sessionstream import ConflictError, Session, SessionManager, SessionState
from tests.sessions.conftest import events_since, read_session


async def test_disjoint_changes_are_merged(manager: SessionManager, session: Session) -> None:
    """What another process set meanwhile stays, and comes back with the result."""
    await manager.update_session_metadata("sess_1", {"count": 7, "theirs": True}, unset=["list"])
    session.metadata["language"] = "en"
    session.state = SessionState.IDLE
    after = await manager.update_session("sess_1", session)
    assert after.metadata == {"language": "en", "count": 7, "theirs": True}
    assert after.state is SessionState.IDLE


@pytest.mark.parametrize(
    ("theirs", "unset"),
    [({"count": 7}, []), ({}, ["count"]), ({"count": None}, [])],
    ids=["changed", "removed", "none"],
)
@pytest.mark.parametrize("removing", [False, True])
async def test_the_same_key_changed_by_both_is_a_conflict(
    manager: SessionManager, session: Session, theirs: dict[str, Any], unset: list[str], removing: bool
) -> None:
    """Whatever the two did to it; nothing is appended, the error names the key and the version."""
    await manager.update_session_metadata("sess_1", theirs, unset=unset)
    session.metadata["language"] = "en"
    if removing:
        del session.metadata["count"]
    else:
        session.metadata["count"] = 2
    with pytest.raises(ConflictError, match=r"metadata\.count") as caught:
        await manager.update_session("sess_1", session)
    assert caught.value.fields == ("metadata.count",)
    assert caught.value.actual == 2
    assert (await read_session(manager)).metadata["language"] == "zh-CN"


async def test_the_same_key_added_by_both_is_a_conflict(manager: SessionManager, session: Session) -> None:
    """Neither had read it."""
    await manager.update_session_metadata("sess_1", {"new": "theirs"})
    session.metadata["new"] = "ours"
    with pytest.raises(ConflictError, match=r"metadata\.new"):
        await manager.update_session("sess_1", session)


async def test_state_and_expiry_conflict_too(manager: SessionManager, session: Session) -> None:
    """Each is a field like any other."""
    other = await read_session(manager)
    other.state, other.expires_at = SessionState.ARCHIVED, None
    await manager.update_session("sess_1", other)
    assert session.expires_at is not None
    session.state, session.expires_at = SessionState.IDLE, session.expires_at + timedelta(hours=1)
    with pytest.raises(ConflictError) as caught:
        await manager.update_session("sess_1", session)
    assert caught.value.fields == ("state", "expires_at")
    assert (await read_session(manager)).state is SessionState.ARCHIVED


async def test_one_of_many_wins_and_the_others_meet_a_conflict(manager: SessionManager, session: Session) -> None:
    """All read the same, all change the same key at once: one change is made, and none is overwritten."""
    copies = [await read_session(manager) for _ in range(8)]
    for number, copy in enumerate(copies):
        copy.metadata["count"] = 100 + number
    done = await asyncio.gather(*(manager.update_session("sess_1", one) for one in copies), return_exceptions=True)
    [winner] = [one for one in done if isinstance(one, Session)]
    assert sum(isinstance(one, ConflictError) for one in done) == 7
    assert (await read_session(manager)).metadata["count"] == winner.metadata["count"]
    assert len(await events_since(manager)) == 1
