"""`trace`: what led to what in a session."""

from __future__ import annotations

from typing import Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code
from sessionstream.cli.sessions import SessionId

__all__ = ["trace_session"]


@command("trace", panel="Look")
async def trace_session(
    call: Call,
    session: SessionId,
    event: Annotated[
        str | None,
        typer.Option(
            "--event", metavar="ID", help="Only what led to this event, and what it led to; an id or an offset."
        ),
    ] = None,
    correlation: Annotated[
        str | None, typer.Option("--correlation", metavar="ID", help="Only events that belong to this.")
    ] = None,
    among: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="SESSION", help="Another session to look at too; repeatable."),
    ] = None,
    everywhere: Annotated[
        bool,
        typer.Option("--everywhere", help="Look for the correlation in every session: all events are read for that."),
    ] = False,
) -> int:
    """Show what led to what, as a tree, by the causation ids of the events, under their correlation ids."""
    from sessionstream.audit.causation import trace
    from sessionstream.cli.rendering.traces import print_trace, step_record
    from sessionstream.cli.summaries import shortened, summary

    if everywhere and correlation is None:
        raise typer.BadParameter("--everywhere needs --correlation")
    async with call.open() as manager:
        found = await trace(
            manager.store,
            session,
            event=event,
            correlation_id=correlation,
            among=among or (),
            everywhere=everywhere,
            label=lambda recorded: shortened(summary(recorded)),
        )
    if call.terminal.as_json:
        for depth, step in found.walk():
            call.terminal.emit(step_record(depth, step))
    else:
        print_trace(call.terminal, found)
    for identifier in found.cut:
        call.terminal.say(f"event {identifier} is named among its own causes, so its cause is left out")
    for name in found.trimmed:
        call.terminal.say(f"the first events of {name} were trimmed, and are left out")
    if not found.wholes:
        call.terminal.say("no events")
        return Code.NOTHING
    return Code.DONE
