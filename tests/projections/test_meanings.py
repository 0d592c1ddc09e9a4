"""What single views mean: one fact each, with several of them before anybody has swept (G7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, Projection, SessionDeleted, SessionExpired, SessionManager
from sessionstream.errors import EventTypeError
from sessionstream.projection import AT, Increment, Move, Operation, Put, index, view
from sessionstream.projections.directory import EXPIRY, STATES
from sessionstream.projections.statistics import LIFETIMES
from tests.projections.conftest import MakeManager
from tests.projections.marks import LARGEST, Marked, marking
from tests.projections.views import assert_folded, stored
from tests.sessions.waiting import expired_session, now_ms, until

TALLY = view("tally")
SHELF, ATTIC = index("shelf"), index("attic")


async def _score(manager: SessionManager, place: Any, session_id: str, projection: str = "directory") -> float | None:
    key = manager.store.keys.partition_place(projection, place, 0)
    return (await stored(manager.store)).get(key, {}).get(session_id.encode())


async def test_deleting_the_latest_checkpoint_uncovers_the_one_before(manager: SessionManager) -> None:
    """The latest is the top of an order, not a field that somebody would have to set back."""
    session_id = (await manager.create_session("user", "agent")).session_id
    for name in ("first", "second", "third"):
        await manager.save_checkpoint(session_id, {"name": name}, checkpoint_id=name)
    for name in ("third", "second", "first"):
        latest = await manager.get_latest_checkpoint(session_id)
        assert latest is not None
        assert latest.data == {"name": name}
        await manager.delete_checkpoint(session_id, name)
    assert await manager.get_latest_checkpoint(session_id) is None


async def test_an_expired_session_is_not_active_before_any_sweep(manager: SessionManager, client: Redis) -> None:
    """It stands in the index of active sessions still, with an expiry that is over."""
    await manager.create_session("user", "agent", ttl=None)
    lapsed = await expired_session(manager, client)
    assert await _score(manager, STATES["active"], lapsed.session_id) is not None
    assert await manager.get_active_session_count() == 1


async def test_a_refresh_moves_the_expiry_in_every_index(manager: SessionManager, client: Redis) -> None:
    """Of its state, whichever it is, and of all that will expire."""
    session = await manager.create_session("user", "agent", ttl=3_600)
    await manager.set_session_state(session.session_id, "idle")
    before = await _score(manager, STATES["idle"], session.session_id)
    assert before is not None
    await until_later(client, await now_ms(client))
    await manager.refresh_session(session.session_id)
    after = await _score(manager, STATES["idle"], session.session_id)
    assert after is not None
    assert after > before
    assert await _score(manager, EXPIRY, session.session_id) == after


async def until_later(client: Redis, moment: int) -> None:
    """Return when the server's clock has gone on, so that a later time is another one."""

    async def later() -> bool:
        return await now_ms(client) > moment

    await until(later)


async def test_every_event_slides_the_expiry(make_manager: MakeManager, client: Redis) -> None:
    """Where the time to live slides, the expiry is that much later than the last event, in the head and the indexes."""
    manager = make_manager(extend_on="append", ttl=3_600)
    session_id = (await manager.create_session("user", "agent")).session_id
    await until_later(client, await now_ms(client))
    offset = (await manager.append(session_id, NoteAdded(text="x"))).offset
    expiry = int(offset.partition("-")[0]) + 3_600_000
    assert await _score(manager, EXPIRY, session_id) == expiry
    assert await _score(manager, STATES["active"], session_id) == expiry
    assert (await assert_folded(manager))[manager.store.keys.head(session_id)][b"expires_at"] == b"%d" % expiry


async def test_housekeeping_does_not_slide_the_expiry(make_manager: MakeManager, client: Redis) -> None:
    """Metadata and checkpoints are no sign of life."""
    manager = make_manager(extend_on="append", ttl=3_600)
    session = await manager.create_session("user", "agent")
    before = await _score(manager, EXPIRY, session.session_id)
    await until_later(client, await now_ms(client))
    await manager.update_session_metadata(session.session_id, {"a": 1})
    await manager.save_checkpoint(session.session_id, {})
    assert await _score(manager, EXPIRY, session.session_id) == before


async def test_a_session_that_moves_keeps_its_score(manager: SessionManager) -> None:
    """From state to state its expiry comes along."""
    session = await manager.create_session("user", "agent", ttl=3_600)
    before = await _score(manager, STATES["active"], session.session_id)
    await manager.set_session_state(session.session_id, "archived")
    assert await _score(manager, STATES["active"], session.session_id) is None
    assert await _score(manager, STATES["archived"], session.session_id) == before


async def test_a_move_from_nowhere_begins_at_0(make_manager: MakeManager) -> None:
    """Where no index holds the session there is no score to keep."""
    manager = make_manager(marking("own", [[Move([SHELF, ATTIC], ATTIC)]]))
    session_id = (await manager.create_session("user", "agent")).session_id
    await manager.append(session_id, Marked(step=0))
    assert await _score(manager, ATTIC, session_id, "own") == 0
    await assert_folded(manager)


@pytest.mark.parametrize("end", [SessionDeleted, SessionExpired])
async def test_an_end_tells_when_the_session_was_created(manager: SessionManager, end: type) -> None:
    """So the duration follows from that event alone, and from no read."""
    session = await manager.create_session("user", "agent")
    if end is SessionDeleted:
        await manager.delete_session(session.session_id)
    else:
        await manager.set_session_state(session.session_id, "expired")
    created, ended = [event async for event in manager.history(session.session_id)]
    assert type(ended.data) is end
    assert ended.data.created_ms == int(created.offset.partition("-")[0])
    lasted = int(ended.offset.partition("-")[0]) - ended.data.created_ms
    lifetimes = (await assert_folded(manager))[manager.store.keys.partition_place("statistics", LIFETIMES, 0)]
    assert (lifetimes[b"sessions"], lifetimes.get(b"milliseconds", b"0")) == (b"1", b"%d" % lasted)


async def _kept(client: Redis, namespace: str) -> dict[bytes, bytes]:
    return {key: await client.dump(key) async for key in client.scan_iter(match=f"{namespace}:*")}


def _failing() -> Projection:
    projection = Projection("failing")

    @projection.on(Marked)
    def marked(session_id: str, event: Marked) -> Iterable[Operation]:
        yield Put(TALLY, {"begun": AT})
        raise LookupError("of the user's own")

    return projection


@pytest.mark.parametrize(
    "projection",
    [
        _failing(),
        marking("own", [[Put(TALLY, {"begun": AT}), Put(SHELF, {"a": 1})]]),
        marking("own", [[Put(TALLY, {"begun": AT}), Increment(TALLY, "a", 1.5)]]),  # type: ignore[arg-type]
        marking("own", [[Put(TALLY, {"begun": AT}), Move([SHELF], ATTIC)]]),
    ],
    ids=["it raises", "a hash's operation on a set", "a fraction", "into what is not among them"],
)
async def test_a_projection_that_fails_is_refused_before_anything_is_written(
    make_manager: MakeManager, client: Redis, namespace: str, projection: Projection
) -> None:
    """Also what came in front of its mistake, and the other events of the same append."""
    manager = make_manager(projection)
    session_id = (await manager.create_session("user", "agent")).session_id
    before = await _kept(client, namespace)
    with pytest.raises(EventTypeError):
        await manager.append(session_id, [NoteAdded(text="x"), Marked(step=0)])
    assert await _kept(client, namespace) == before


@pytest.mark.parametrize("sign", [1, -1])
async def test_an_increment_stops_at_the_largest_exact_integer(make_manager: MakeManager, sign: int) -> None:
    """Beyond it a sum would be rounded, and be another one in Python."""
    manager = make_manager(
        marking("own", [[Increment(TALLY, "n", sign * (LARGEST - 1))], [Increment(TALLY, "n", sign * 5)]])
    )
    session_id = (await manager.create_session("user", "agent")).session_id
    await manager.append(session_id, [Marked(step=0), Marked(step=1)])
    views = await assert_folded(manager)
    assert views[manager.store.keys.place("own", TALLY, session_id)] == {b"n": b"%d" % (sign * LARGEST)}


@pytest.mark.parametrize("text", ["1.0", "+1", " 1", "1 ", "1\n", "0x10", "inf", "１", "", str(2**53), "9" * 5_000])
async def test_what_is_no_exact_integer_counts_as_0(make_manager: MakeManager, text: str) -> None:
    """Whatever Lua or Python would have made of the text."""
    manager = make_manager(marking("own", [[Put(TALLY, {"n": text}), Increment(TALLY, "n", 7)]]))
    session_id = (await manager.create_session("user", "agent")).session_id
    await manager.append(session_id, Marked(step=0))
    assert (await assert_folded(manager))[manager.store.keys.place("own", TALLY, session_id)] == {b"n": b"7"}
