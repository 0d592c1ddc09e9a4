"""What a caller does to an event or to a projection after an append."""

from __future__ import annotations

import asyncio

import msgspec
from redis.asyncio import Redis

from sessionstream import NoteAdded, Projection, SessionManager, event
from sessionstream.projection import Put, view


@event("travelling.booked")
class Booked(msgspec.Struct):
    """A type of the user's own, which may be changed."""

    seats: int


async def test_a_view_is_made_of_what_was_given(client: Redis, namespace: str) -> None:
    """The view and the stream agree, though the event was changed while it waited to be sent."""
    booking, seats = Projection("booking"), view("seats")
    booking.on(Booked)(lambda session_id, booked: [Put(seats, {"seats": booked.seats})])
    async with SessionManager(conn=client, namespace=namespace, projections=[booking]) as manager:
        session_id = (await manager.create_session("user_1", "agent_1")).session_id
        booked = Booked(seats=2)
        # Two appends of one turn, so that they wait for its end.
        calls = [manager.append(session_id, booked), manager.append(session_id, NoteAdded(text="x"))]
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0)
        booked.seats = 99
        await asyncio.gather(*tasks)
        key = manager.store.keys.place("booking", seats, session_id)
        assert await client.hget(key, "seats") == b"2"


async def test_a_function_that_is_registered_later_is_run_from_then_on(client: Redis, namespace: str) -> None:
    """Also for a type of which events were appended before, so that the views go on to be what a replay makes."""
    booking, seats = Projection("booking"), view("seats")
    async with SessionManager(conn=client, namespace=namespace, projections=[booking]) as manager:
        session_id = (await manager.create_session("user_1", "agent_1")).session_id
        await manager.append(session_id, Booked(seats=1))
        booking.on(Booked)(lambda session_id, booked: [Put(seats, {"seats": booked.seats})])
        await manager.append(session_id, Booked(seats=2))
        key = manager.store.keys.place("booking", seats, session_id)
        assert await client.hget(key, "seats") == b"2"
