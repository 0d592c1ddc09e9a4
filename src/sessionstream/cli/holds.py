"""`hold`: keeps all of a session until the hold is released."""

from __future__ import annotations

from typing import Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

__all__ = ["hold"]


@command("hold", panel="Keep in order")
async def hold(
    call: Call,
    session: Annotated[
        str | None, typer.Argument(metavar="[SESSION]", help="The session's id.", show_default=False)
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it is held.")] = None,
    hold_id: Annotated[str | None, typer.Option("--id", help="The hold's id.", show_default="a new one")] = None,
    release: Annotated[str | None, typer.Option("--release", metavar="ID", help="Release this hold.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the session's holds, or those of all sessions.")] = False,
    actor: Annotated[str, typer.Option("--actor", help="Who does it.")] = "hold",
) -> int:
    """Hold a session: nothing of it is trimmed, deleted or retired while a hold stands. Or release holds, list them."""
    if sum((reason is not None, release is not None, listed)) != 1:
        raise typer.BadParameter("say exactly one of --reason, --release and --list")
    if listed:
        return await _list(call, session)
    if session is None:
        raise typer.BadParameter("name the session", param_hint="SESSION")
    if release is not None:
        return await _release(call, session, release, actor)
    return await _place(call, session, reason or "", hold_id, actor)


async def _place(call: Call, session: str, reason: str, hold_id: str | None, actor: str) -> int:
    from sessionstream.events.context import acting

    async with call.open() as manager:
        with acting(actor=actor):
            placed = await manager.retention.hold(session, reason, hold_id=hold_id)
    if call.terminal.as_json:
        call.terminal.emit({"session_id": session, "hold_id": placed, "reason": reason})
    else:
        call.terminal.line(f"{session} is held: {placed}")
    return Code.DONE


async def _release(call: Call, session: str, hold_id: str, actor: str) -> int:
    from sessionstream.events.context import acting

    async with call.open() as manager:
        with acting(actor=actor):
            released = await manager.retention.release(session, hold_id)
        left = await manager.retention.holds(session)
    if not released:
        call.terminal.say(f"no hold {hold_id!r} stands on session {session!r}")
        return Code.NOTHING
    if call.terminal.as_json:
        call.terminal.emit({"session_id": session, "hold_id": hold_id, "standing": len(left)})
    else:
        others = f"{len(left)} still stand" if left else "none stands"
        call.terminal.line(f"{hold_id} is released: {others} on {session}")
    return Code.DONE


async def _list(call: Call, session: str | None) -> int:
    from sessionstream.cli.rendering.holds import hold_record, print_holds

    async with call.open() as manager:
        holds = await manager.retention.holds(session)
        now_ms = await manager.store.now_ms()
    if not holds:
        call.terminal.say("no holds")
        return Code.NOTHING
    if call.terminal.as_json:
        for one in holds:
            call.terminal.emit(hold_record(one))
    else:
        print_holds(call.terminal, holds, now_ms)
    return Code.DONE
