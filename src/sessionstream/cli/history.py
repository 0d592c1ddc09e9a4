"""`history` and `as-of`: what happened to a session, and what was known of it at a moment."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code
from sessionstream.cli.sessions import SessionId

if TYPE_CHECKING:
    from sessionstream.cli.pacing import Pace
    from sessionstream.events.recorded import RecordedEvent

__all__ = ["as_of", "history"]

_TIME = "2025-01-31T09:30:00Z, or how long ago: 90s, 10m, 2h, 3d."

_Speed = Annotated[
    float | None,
    typer.Option(
        "--speed",
        metavar="TIMES",
        help="At the pace at which they happened, or so many times as fast: 1, 10.",
        show_default="at once",
    ),
]
_Longest = Annotated[
    float,
    typer.Option("--longest", min=0, metavar="SECONDS", help="With --speed: wait at the most so long, and say so."),
]


@command("history", panel="Look")
async def history(
    call: Call,
    session: SessionId,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only events of this type, such as message.added; repeatable.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help=f"Not before: {_TIME}")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Not after; written as --since.")] = None,
    from_version: Annotated[int | None, typer.Option("--from-version", min=0, help="From this version on.")] = None,
    to_version: Annotated[int | None, typer.Option("--to-version", min=0, help="Up to and with this version.")] = None,
    after: Annotated[str | None, typer.Option("--after", help="Only behind this offset.")] = None,
    before: Annotated[str | None, typer.Option("--before", help="Only in front of this offset.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    backward: Annotated[bool, typer.Option("--backward", help="Newest first.")] = False,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", metavar="FOLDER", help="Also what was trimmed, or removed, from this archive."),
    ] = None,
    speed: _Speed = None,
    longest: _Longest = 10.0,
) -> int:
    """Show what happened to a session, one line an event. A damaged entry is named, and the replay goes on."""
    from sessionstream.cli.moments import parse_moment
    from sessionstream.log.history import Window, read_history
    from sessionstream.retention.replaying import chosen_events

    if archive is not None and backward:
        raise typer.BadParameter("an archive is read from its beginning", param_hint="--backward")
    if speed is not None and (backward or not speed > 0):
        raise typer.BadParameter("--speed is more than 0, and goes forward")
    async with call.open() as manager:
        now_ms = await manager.store.now_ms()
        window = Window(
            after,
            before,
            from_version,
            to_version,
            None if since is None else parse_moment(since, "--since", now_ms),
            None if until is None else parse_moment(until, "--until", now_ms),
        )
        if archive is not None:
            events = chosen_events(manager.retention.replay(session, archive), window, types=types, limit=limit)
        else:
            events = read_history(manager.store, session, window, types=types, limit=limit, backward=backward)
        count, damaged = await _show(call, events, None if speed is None else _pace(call, speed, longest))
    if damaged:
        call.terminal.say(f"{damaged} of {count} events do not decode")
        return Code.PARTLY
    if not count:
        call.terminal.say("no events")
        return Code.NOTHING
    return Code.DONE


def _pace(call: Call, speed: float, longest: float) -> Pace:
    from sessionstream.cli.moments import span
    from sessionstream.cli.pacing import Pace

    def tell(gap: float) -> None:
        call.terminal.say(f"… {span(gap)} later, after {span(longest)} …", "dim")

    return Pace(speed, longest, tell)


async def _show(call: Call, events: AsyncIterator[RecordedEvent], pace: Pace | None) -> tuple[int, int]:
    """Print events, and return how many there were and how many of them do not decode."""
    from sessionstream.cli.records import event_record
    from sessionstream.cli.rendering.timeline import Timeline
    from sessionstream.events.recorded import at_ms

    count, damaged = 0, 0
    with Timeline(call.terminal, at_once=pace is not None) as timeline:
        async for event in events:
            if pace is not None:
                sys.stdout.flush()
                await pace.keep(at_ms(event.offset))
            count += 1
            if call.terminal.as_json:
                call.terminal.emit(event_record(event))
            else:
                timeline.print(event)
            if event.error is not None:
                damaged += 1
                call.terminal.complain(str(event.error))
    return count, damaged


@command("as-of", panel="Look")
async def as_of(
    call: Call,
    session: SessionId,
    at: Annotated[str | None, typer.Option("--at", help=f"A version, an offset, or a time: {_TIME}")] = None,
    version: Annotated[int | None, typer.Option("--version", min=1, help="After so many events.")] = None,
    offset: Annotated[str | None, typer.Option("--offset", help="Up to and with this offset.")] = None,
    time: Annotated[str | None, typer.Option("--time", help=f"At this moment: {_TIME}")] = None,
    messages: Annotated[int, typer.Option("--messages", min=0, help="How many of the then newest messages.")] = 5,
) -> int:
    """Show a session as it was known at a moment, which is given in exactly one way."""
    from sessionstream.cli.moments import parse_at, parse_moment
    from sessionstream.cli.records import as_of_record
    from sessionstream.cli.rendering.sessions import print_as_of, print_conversation
    from sessionstream.conversation.messages import newest_messages
    from sessionstream.events.recorded import at_ms, version_of

    if sum(one is not None for one in (at, version, offset, time)) != 1:
        raise typer.BadParameter("give exactly one of --at, --version, --offset and --time")
    async with call.open() as manager:
        store = manager.store
        now_ms = await store.now_ms()
        any_form = None if at is None else parse_at(at, "--at", now_ms)
        moment = None if time is None else parse_moment(time, "--time", now_ms)
        known = await manager.audit.as_of(session, any_form, version=version, offset=offset, time=moment)
        head, _ = await store.existing_head(session)
        behind = f"{at_ms(known.offset)}-{known.version + 1}"
        found = await newest_messages(store, session, limit=messages, before=behind, kept_only=True)
    newest = [event.data.message() for event in found]
    if call.terminal.as_json:
        call.terminal.emit({**as_of_record(known), "newest_messages": newest})
        return Code.DONE
    print_as_of(call.terminal, known, version_of(head[b"offset"].decode()))
    if newest:
        print_conversation(call.terminal, newest)
    return Code.DONE
