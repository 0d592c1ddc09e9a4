"""Blocks 11 and 12: the states, and a session that goes through them."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

import sessionstream
from tests.seed.stage import Stage

_VALUES = {"ACTIVE": "active", "IDLE": "idle", "ARCHIVED": "archived", "EXPIRED": "expired"}


async def test_block_11_declares_the_states(stage: Stage) -> None:
    """The library has the same four."""
    await stage.run(11)
    own = stage["SessionState"]
    assert issubclass(own, enum.Enum)
    assert own is not sessionstream.SessionState
    assert {state.name: state.value for state in own} == _VALUES
    assert {state.name: state.value for state in sessionstream.SessionState} == _VALUES


async def test_block_12_makes_a_session_idle_and_active_again(stage: Stage) -> None:
    """The state is set and read; activity is noted in the metadata, then the session is active."""
    await _idle_then_active(stage)


async def test_block_12_takes_the_states_that_block_11_declares(stage: Stage) -> None:
    """In one namespace the two blocks do the same: an enum of the caller's own is as good as the library's."""
    await stage.run(11)
    await _idle_then_active(stage)


async def _idle_then_active(stage: Stage) -> None:
    await stage.session()
    await stage.run(12)
    assert stage["state"] is sessionstream.SessionState.IDLE
    assert await stage["update_session_activity"]("sess_abc123") is None
    assert await stage.manager.get_session_state("sess_abc123") is sessionstream.SessionState.ACTIVE
    [_, idle, (updated, update), active] = await stage.history()
    assert idle == ("session.state_changed", {"state": "idle"})
    assert active == ("session.state_changed", {"state": "active"})
    assert (updated, list(update)) == ("session.metadata_updated", ["set"])
    assert list(update["set"]) == ["last_activity"]
    activity = datetime.fromisoformat(update["set"]["last_activity"])
    assert abs(datetime.now() - activity) < timedelta(minutes=1)
    session = await stage.manager.get_session("sess_abc123")
    assert session is not None
    assert session.metadata == update["set"]
