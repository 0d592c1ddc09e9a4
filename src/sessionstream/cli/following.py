"""`follow`: what happens to a session, or to all of them, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

if TYPE_CHECKING:
    from sessionstream.cli.rendering.live import LiveTimeline
    from sessionstream.events.recorded import RecordedEvent
    from sessionstream.following import Delta, FeedFollower, SessionFollower

__all__ = ["follow"]


@command("follow", panel="Look")
async def follow(
    call: Call,
    session: Annotated[
        str | None, typer.Argument(metavar="[SESSION]", help="Only this one; else all of them.", show_default=False)
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only events of this type, such as message.added; repeatable.")
    ] = None,
    agents: Annotated[
        list[str] | None, typer.Option("--agent", help="Only sessions with this agent; repeatable; of all sessions.")
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(
            "--after",
            help="Begin behind this offset of the session, or this cursor of all; or: now, oldest. By default a "
            "session is told from its beginning, and all from now on.",
            show_default=False,
        ),
    ] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="End with the session.")] = False,
    deltas: Annotated[bool, typer.Option("--deltas/--no-deltas", help="Of one session: what is published too.")] = True,
) -> int:
    """Show what happens as it happens, one line an event. Ctrl-C ends it, and tells where to go on."""
    if session is None and until_end:
        raise typer.BadParameter("only one session has an end", param_hint="--until-end")
    if session is not None and agents:
        raise typer.BadParameter("a session has one agent", param_hint="--agent")
    async with call.open() as manager:
        if session is not None:
            only_events = not deltas or bool(types)
            one = manager.follow(session, after=after, until_end=until_end, deltas=not only_events)
            await _show(call, one, set(types or []))
        else:
            await _show(call, manager.follow_all(after=after or "now", types=types, agents=agents), set())
    return Code.DONE


async def _show(call: Call, follower: SessionFollower | FeedFollower, types: set[str]) -> None:
    from sessionstream.cli.records import delta_record, event_record
    from sessionstream.cli.rendering.live import LiveTimeline
    from sessionstream.events.recorded import NOWHERE
    from sessionstream.following import Delta

    with LiveTimeline(call.terminal, several=not hasattr(follower, "offset")) as timeline:
        async with follower as events:
            releasing = asyncio.create_task(_release(timeline, follower))
            try:
                async for item in _each(call, events):
                    if isinstance(item, Delta):
                        if call.terminal.as_json:
                            call.terminal.emit(delta_record(item))
                        else:
                            timeline.print_delta(item)
                    elif types and item.type not in types:
                        continue
                    elif call.terminal.as_json:
                        call.terminal.emit(event_record(item))
                    else:
                        timeline.print(item)
                    if events.caught_up:
                        timeline.flush()
            finally:
                releasing.cancel()
                timeline.release()
                position = getattr(events, "offset", None) or str(getattr(events, "cursor", ""))
                call.terminal.say(f"go on with --after {'oldest' if position == NOWHERE else position}", "dim")


async def _each(call: Call, events: SessionFollower | FeedFollower) -> AsyncIterator[RecordedEvent | Delta]:
    """Yield what comes; of all sessions also behind what is missing of one."""
    from sessionstream.errors import HistoryTrimmed

    while True:
        try:
            yield await anext(events)
        except StopAsyncIteration:
            return
        except HistoryTrimmed as gap:
            if hasattr(events, "offset"):
                raise
            call.terminal.complain(str(gap))


async def _release(timeline: LiveTimeline, follower: SessionFollower | FeedFollower) -> None:
    """Let nothing wait for more lines when there are none yet."""
    await follower.caught_up
    timeline.release()
