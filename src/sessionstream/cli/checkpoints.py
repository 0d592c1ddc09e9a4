"""`checkpoints` and `resume`: the snapshots of a session, and where it goes on from the latest one."""

from __future__ import annotations

from typing import Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code
from sessionstream.cli.sessions import SessionId

__all__ = ["checkpoints", "resume"]


@command("checkpoints", panel="Look")
async def checkpoints(
    call: Call,
    session: SessionId,
    checkpoint: Annotated[
        str | None, typer.Argument(metavar="[CHECKPOINT]", help="Only this one, with its data.", show_default=False)
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    data: Annotated[bool, typer.Option("--data", help="With their data.")] = False,
) -> int:
    """List a session's checkpoints, newest first."""
    from sessionstream.cli.records import checkpoint_record
    from sessionstream.cli.rendering.checkpoints import print_checkpoints, print_data
    from sessionstream.lifecycle.reading import require_live

    with_data = data or checkpoint is not None
    async with call.open() as manager:
        head, now_ms = await manager.store.head(session)
        require_live(session, head, now_ms)
        if checkpoint is None:
            found = await manager.list_checkpoints(session, limit=limit, with_data=data)
        else:
            one = await manager.get_checkpoint(session, checkpoint)
            found = [] if one is None else [one]
    if not found:
        call.terminal.say("no checkpoints" if checkpoint is None else f"no checkpoint {checkpoint!r}")
        return Code.NOTHING
    if call.terminal.as_json:
        for each in found:
            call.terminal.emit(checkpoint_record(each, with_data=with_data))
        return Code.DONE
    print_checkpoints(call.terminal, found, now_ms)
    for each in found if with_data else ():
        print_data(call.terminal, each)
    return Code.DONE


@command("resume", panel="Look")
async def resume(call: Call, session: SessionId) -> int:
    """Show where a session goes on: its latest checkpoint, the events after what that covers, and the position."""
    from sessionstream.cli.records import resumed_record
    from sessionstream.cli.rendering.checkpoints import print_resumed

    async with call.open() as manager:
        resumed = await manager.resume(session)
    if call.terminal.as_json:
        call.terminal.emit(resumed_record(resumed))
    else:
        print_resumed(call.terminal, resumed)
    damaged = [event.error for event in resumed.events if event.error is not None]
    for error in damaged:
        call.terminal.complain(str(error))
    return Code.PARTLY if damaged else Code.DONE
