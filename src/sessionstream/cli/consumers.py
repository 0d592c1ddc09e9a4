"""`consumers` and `parked`: how the groups do, and what they could not handle."""

from __future__ import annotations

from typing import Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

__all__ = ["consumers", "parked"]

_ACTIONS = ("replay", "discard")


@command("consumers", panel="Look")
async def consumers(
    call: Call,
    group: Annotated[str | None, typer.Option("--group", "-g", help="Only this one, partition by partition.")] = None,
    stalled_after: Annotated[
        float, typer.Option("--stalled-after", min=0, help="Seconds without progress that count as a stall.")
    ] = 60.0,
) -> int:
    """Show the consumer groups: members, how far behind in events and in time, health, and what they have parked."""
    from sessionstream.cli.rendering.consumers import group_record, print_group, print_groups

    async with call.open() as manager:
        names = [group] if group is not None else await manager.consumers.groups()
        found = [await manager.consumers.status(name, stalled_after=stalled_after) for name in names]
        now_ms = await manager.store.now_ms()
    if not found:
        call.terminal.say("no consumer groups")
        return Code.NOTHING
    if call.terminal.as_json:
        for status in found:
            call.terminal.emit(group_record(status, whole=group is not None))
    elif group is not None:
        print_group(call.terminal, found[0], now_ms)
    else:
        print_groups(call.terminal, found)
    return Code.DONE


@command("parked", panel="Look")
async def parked(
    call: Call,
    first: Annotated[
        str, typer.Argument(metavar="GROUP|replay|discard", help="The group whose events to list, or what to do.")
    ],
    second: Annotated[
        str | None, typer.Argument(metavar="GROUP", help="The group, behind replay or discard.", show_default=False)
    ] = None,
    session: Annotated[str | None, typer.Option("--session", help="Only what is parked of this session.")] = None,
    offset: Annotated[str | None, typer.Option("--offset", help="Only the event at this offset.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="For discard: all that is parked.")] = False,
    trace: Annotated[bool, typer.Option("--trace", help="List with the end of each traceback.")] = False,
) -> int:
    """List the events that a group could not handle, let them be handled once more, or let go of them."""
    action, group = _understood(first, second)
    if action == "discard" and not everything and session is None and offset is None:
        raise typer.BadParameter("what is discarded is never handled: name it with --session or --offset, or say --all")
    async with call.open() as manager:
        if action == "list":
            found = [
                one
                for one in await manager.consumers.parked(group)
                if session in (None, one.session_id) and offset in (None, one.offset)
            ]
        else:
            work = manager.consumers.replay if action == "replay" else manager.consumers.discard
            count = await work(group, session_id=session, offset=offset)
            members = len((await manager.consumers.status(group)).members)
        now_ms = await manager.store.now_ms()
    if action != "list":
        return _tell_asked(call, action, count, members)
    from sessionstream.cli.rendering.consumers import parked_record, print_parked

    if call.terminal.as_json:
        for one in found:
            call.terminal.emit(parked_record(one))
    elif found:
        print_parked(call.terminal, found, now_ms, trace=trace)
    if not found:
        call.terminal.say("nothing is parked")
    return Code.DONE if found else Code.NOTHING


def _understood(first: str, second: str | None) -> tuple[str, str]:
    if second is None:
        return "list", first
    if first in _ACTIONS:
        return first, second
    raise typer.BadParameter(f"{first!r} is neither replay nor discard")


def _tell_asked(call: Call, action: str, count: int, members: int) -> int:
    if call.terminal.as_json:
        call.terminal.emit({"asked": action, "events": count, "members": members})
    elif not count:
        call.terminal.say("nothing of that is parked")
    else:
        from sessionstream.cli.summaries import counted

        when = "its members do it now" if members else "the next member that joins does it"
        call.terminal.line(f"{counted(count, 'parked event')} to {action}: {when}")
    return Code.DONE if count else Code.NOTHING
