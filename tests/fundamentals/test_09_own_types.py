"""Types of one's own: declared by a decorator, with versions; what cannot be read is named, never dropped (G9, G10)."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pydantic
import pytest
from redis.asyncio import Redis

from sessionstream import Event, NoteAdded, RecordedEvent, SessionManager, UnknownEvent, UnreadableEvent, event
from sessionstream.errors import CorruptEvent, EventTypeError, InvalidArgument
from tests.entries import ID, entry

pytestmark = pytest.mark.guarantee

EventsOf = Callable[[str], Awaitable[list[RecordedEvent]]]
WriteEntry = Callable[..., Awaitable[str]]


@event("fundamentals.refund_approved")
class RefundApproved(Event, frozen=True, kw_only=True):
    """A type that derives from the library's base."""

    order: str
    cents: int
    at: datetime.datetime


@event("fundamentals.seat_chosen")
class SeatChosen(msgspec.Struct):
    """Any msgspec Struct will do."""

    row: int
    letter: str
    tags: set[str] = set()


class Passenger(pydantic.BaseModel):
    """Part of an event."""

    name: str
    born: datetime.date


@event("fundamentals.booking_made")
class BookingMade(pydantic.BaseModel):
    """And any pydantic model."""

    passengers: list[Passenger]
    price: float = pydantic.Field(gt=0)


@event(
    "fundamentals.payment_taken",
    version=3,
    upcasters={
        1: lambda fields: {"cents": fields["amount"] * 100},
        2: lambda fields: {**fields, "currency": "EUR"},
    },
)
class PaymentTaken(Event, frozen=True, kw_only=True):
    """A type that has changed twice: version 1 had ``amount`` in whole euros, version 2 had no currency."""

    cents: int
    currency: str


@event("fundamentals.failing", version=2, upcasters={1: lambda fields: {"text": fields["gone"]}})
class Failing(Event, frozen=True, kw_only=True):
    """A type whose upcaster fails on some of what was stored."""

    text: str


OWN = [
    RefundApproved(order="o-1", cents=499, at=datetime.datetime(2025, 1, 17, 10, 30, tzinfo=datetime.UTC)),
    SeatChosen(row=12, letter="A", tags={"window", "exit"}),
    BookingMade(passengers=[Passenger(name="Ada", born=datetime.date(1990, 12, 10))], price=12.5),
]


@pytest.mark.parametrize("given", OWN, ids=lambda given: type(given).__name__)
async def test_an_own_type_is_read_back_as_itself(
    manager: SessionManager, session_id: str, events_of: EventsOf, given: object
) -> None:
    """Struct or pydantic model: its typed fields, dates and sets among them, come back as they were."""
    await manager.append(session_id, given)
    last = (await events_of(session_id))[-1]
    assert type(last.data) is type(given)
    assert last.data == given


async def test_the_first_version_is_not_stored(manager: SessionManager, session_id: str, events_of: EventsOf) -> None:
    """A later one is."""
    await manager.append(session_id, [SeatChosen(row=1, letter="B"), PaymentTaken(cents=1, currency="EUR")])
    seat, payment = (await events_of(session_id))[1:]
    assert (seat.schema_version, list(seat.fields)) == (1, [b"fundamentals.seat_chosen"])
    assert (payment.schema_version, list(payment.fields)) == (3, [b"fundamentals.payment_taken@3"])


async def test_a_pydantic_model_is_checked_once_more_when_it_is_appended(
    manager: SessionManager, session_id: str
) -> None:
    """A model that was changed into something invalid would not be read back."""
    booking = BookingMade(passengers=[], price=1)
    booking.price = -1
    with pytest.raises(InvalidArgument, match=r"fundamentals\.booking_made"):
        await manager.append(session_id, booking)


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (1, b'{"amount":5}'),
        (2, b'{"cents":500}'),
        (3, b'{"cents":500,"currency":"EUR"}'),
    ],
)
async def test_older_versions_are_read_as_the_present_one(
    session_id: str, events_of: EventsOf, write_entry: WriteEntry, version: int, data: bytes
) -> None:
    """Step by step, wherever they are read; the stored bytes stay as they are."""
    await write_entry(session_id, entry("fundamentals.payment_taken", data, version=version))
    last = (await events_of(session_id))[-1]
    assert last.data == PaymentTaken(cents=500, currency="EUR")
    assert last.schema_version == version
    assert last.raw == data


@pytest.mark.parametrize(
    ("version", "upcasters", "problem"),
    [
        (2, {}, "no upcaster from version 1"),
        (4, {1: dict, 3: dict}, "no upcaster from version 2"),
        (1, {1: dict}, "an upcaster from version 1"),
        (2, {1: dict, 2: dict}, "an upcaster from version 2"),
        (2, {0: dict, 1: dict}, "an upcaster from version 0"),
        (0, {}, "the version is 0"),
        (True, {}, "the version is True"),
    ],
)
def test_a_gap_in_the_upcasters_is_an_error_of_the_declaration(
    version: int, upcasters: dict[int, Any], problem: str
) -> None:
    """Not of some replay, years later."""
    with pytest.raises(EventTypeError, match=problem):

        @event("fundamentals.gap", version=version, upcasters=upcasters)
        class Gap(Event, frozen=True):
            pass


def test_two_types_of_one_name_are_an_error() -> None:
    """Whichever came first would read the other's events."""
    with pytest.raises(EventTypeError, match="declared twice: by NoteAdded and by"):

        @event("note.added")
        class Mine(Event, frozen=True):
            pass

    with pytest.raises(EventTypeError, match="declared twice"):

        @event("fundamentals.seat_chosen")
        class SeatChosen(msgspec.Struct):
            row: str


async def test_a_type_that_is_declared_anew_in_a_later_version_reads_what_was_there(
    manager: SessionManager, session_id: str, events_of: EventsOf
) -> None:
    """As in a notebook, whose cell is changed and run again."""

    def declared(version: int, field: str, upcasters: dict[int, Any]) -> Any:
        cls = msgspec.defstruct("Refunded", [(field, str)], module="a_notebook", frozen=True)
        return event("fundamentals.refunded_anew", version=version, upcasters=upcasters)(cls)

    await manager.append(session_id, declared(1, "amount", {})("5"))
    later = declared(2, "euros", {1: lambda fields: {"euros": fields["amount"]}})
    await manager.append(session_id, later("6"))
    assert [recorded.data for recorded in (await events_of(session_id))[1:]] == [later("5"), later("6")]


@pytest.mark.parametrize("name", ["", "refund", "Refund.Approved", "refund approved", "a..b", "a.b.", "1.b", "a.b\n"])
def test_a_type_has_a_dotted_name_in_lower_case(name: str) -> None:
    """It is stored with every event and read in other languages."""
    with pytest.raises(EventTypeError, match="is no event name"):
        event(name)(type("Wrong", (msgspec.Struct,), {}))


@pytest.mark.parametrize("wrong", [dict, int, type("Plain", (), {})])
def test_a_type_is_a_struct_or_a_pydantic_model(wrong: type) -> None:
    """Others could not be read back."""
    with pytest.raises(EventTypeError, match=r"neither a msgspec\.Struct nor a pydantic\.BaseModel"):
        event("fundamentals.wrong")(wrong)


async def test_an_unknown_type_keeps_its_bytes(
    manager: SessionManager, session_id: str, server: Any, namespace: str
) -> None:
    """A process that does not have the class reads the event all the same, with all that is stored."""
    program = """
import asyncio, sys, msgspec
from sessionstream import SessionManager, event

@event("fundamentals.elsewhere", version=2, upcasters={1: dict})
class Elsewhere(msgspec.Struct):
    text: str

async def main(url, namespace, session_id):
    async with SessionManager(url=url, namespace=namespace) as manager:
        await manager.append(session_id, Elsewhere("Grüße"))

asyncio.run(main(*sys.argv[1:]))
"""
    subprocess.run([sys.executable, "-c", program, server.unix_url, namespace, session_id], check=True, timeout=60)
    last = [recorded async for recorded in manager.history(session_id)][-1]
    assert last.data == UnknownEvent("fundamentals.elsewhere", 2, '{"text":"Grüße"}'.encode())
    assert last.type == "fundamentals.elsewhere"
    assert last.error is None


async def test_a_newer_version_keeps_its_bytes(session_id: str, events_of: EventsOf, write_entry: WriteEntry) -> None:
    """An old process beside a new one does not guess."""
    data = b'{"cents":5,"currency":"EUR","method":"card"}'
    await write_entry(session_id, entry("fundamentals.payment_taken", data, version=4))
    last = (await events_of(session_id))[-1]
    assert last.data == UnknownEvent("fundamentals.payment_taken", 4, data)


async def test_an_unknown_event_keeps_a_session_alive(
    reach: dict[str, Any], make_namespace: Callable[[], str], client: Redis
) -> None:
    """What happens in a session counts as activity, whether or not this process has a type for it."""
    from sessionstream.fold import fold
    from sessionstream.projections import BUILT_IN

    async with SessionManager(**reach, namespace=make_namespace(), ttl=60, extend_on="append") as manager:
        session = await manager.create_session("user_1", "assistant")
        created = [recorded async for recorded in manager.history(session.session_id)]
    later = f"{int(created[0].offset.split('-')[0]) + 5_000}-2"
    unknown = RecordedEvent(session.session_id, later, [b"never.heard_of", ID.encode() + b"{}"])
    before = fold(session.session_id, created, BUILT_IN).head[b"expires_at"]
    after = fold(session.session_id, [*created, unknown], BUILT_IN).head[b"expires_at"]
    assert int(after) - int(before) == 5_000


CORRUPT: dict[str, dict[str, str | bytes]] = {
    "no fields of ours": {"hello": "world"},
    "no type": entry("", "{}"),
    "no data": entry("note.added", ""),
    "no id": {"note.added": ""},
    "no JSON": entry("note.added", '{"text":'),
    "JSON of another shape": entry("note.added", "[1, 2]"),
    "a field missing": entry("note.added", "{}"),
    "a field of another type": entry("note.added", '{"text":7}'),
    "no UTF-8": entry("note.added", b'{"text":"\xff\xfe"}'),
    "an endless nesting": entry("note.added", '{"text":"x","detail":' + "[" * 9_000),
    "a version that is no number": entry("note.added", '{"text":"x"}', version="one"),
    "a version of 0": entry("note.added", '{"text":"x"}', version=0),
    "a version of 5,000 digits": entry("note.added", '{"text":"x"}', version="9" * 5_000),
    "a pydantic model that is none": entry("fundamentals.booking_made", '{"price":-1}'),
    "an upcaster that fails": entry("fundamentals.failing", '{"text":"x"}'),
}


@pytest.mark.parametrize("kind", CORRUPT)
async def test_a_corrupt_entry_is_named_and_the_replay_goes_on(
    manager: SessionManager, session_id: str, events_of: EventsOf, write_entry: WriteEntry, kind: str
) -> None:
    """Every other event is read, in both directions; the entry's fields are kept for whoever repairs it."""
    await manager.append(session_id, NoteAdded(text="before"))
    offset = await write_entry(session_id, CORRUPT[kind])
    await manager.append(session_id, NoteAdded(text="after"))
    before, corrupt, after = (await events_of(session_id))[1:]
    assert [before.data, after.data] == [NoteAdded(text="before"), NoteAdded(text="after")]
    assert isinstance(corrupt.data, UnreadableEvent)
    assert corrupt.data.problem
    assert set(corrupt.data.fields) == {name.encode() for name in CORRUPT[kind]}
    assert isinstance(corrupt.error, CorruptEvent)
    assert (corrupt.error.session_id, corrupt.error.offset) == (session_id, offset)
    assert offset in str(corrupt.error)
    backward = [recorded.offset async for recorded in manager.history(session_id, backward=True)]
    assert backward == [after.offset, offset, before.offset, f"{backward[-1]}"]


@pytest.mark.parametrize("kind", CORRUPT)
async def test_every_reader_passes_over_a_corrupt_entry(
    manager: SessionManager, session_id: str, write_entry: WriteEntry, kind: str
) -> None:
    """The conversation, a resume and a look back go on behind it."""
    await manager.add_messages(session_id, {"role": "user", "content": "Hi"})
    offset = await write_entry(session_id, CORRUPT[kind])
    await manager.update_session_metadata(session_id, {"after": True})
    assert await manager.messages(session_id) == [{"role": "user", "content": "Hi"}]
    resumed = await manager.resume(session_id)
    assert [recorded.offset for recorded in resumed.events if recorded.error] == [offset]
    assert resumed.session.metadata == {"after": True}
    assert (await manager.audit.as_of(session_id, version=4)).metadata == {"after": True}


async def test_who_and_why_of_a_corrupt_entry_are_read_if_they_can_be(
    session_id: str, events_of: EventsOf, write_entry: WriteEntry
) -> None:
    """And are None if not."""
    for meta in ('{"actor":"user:42"}', "corrupt", '{"actor":7}'):
        await write_entry(session_id, entry("note.added", "corrupt", meta=meta))
    assert [recorded.actor for recorded in (await events_of(session_id))[1:]] == ["user:42", None, None]


async def test_fields_that_a_newer_library_adds_do_no_harm(
    session_id: str, events_of: EventsOf, write_entry: WriteEntry
) -> None:
    """They are kept, and the event is read."""
    await write_entry(session_id, entry("note.added", '{"text":"x"}', sig=b"\x00\xff"))
    last = (await events_of(session_id))[-1]
    assert last.data == NoteAdded(text="x")
    assert last.fields[b"sig"] == b"\x00\xff"
