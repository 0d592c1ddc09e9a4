"""`diff` and `fork`: what changed between two moments of a session, and a new session that goes on from one."""

from __future__ import annotations

from typing import Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code
from sessionstream.cli.sessions import SessionId

__all__ = ["MOMENT", "diff", "fork"]

MOMENT = "A version such as 12, an offset, a time such as 2025-01-31T09:30:00Z, or how long ago: 90s, 10m, 2h, 3d."


@command("diff", panel="Look")
async def diff(
    call: Call,
    session: SessionId,
    a: Annotated[str, typer.Argument(metavar="A", help=f"The earlier moment. {MOMENT}", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="[B]", help="The later one; now, unless it is given.")] = "now",
) -> int:
    """Show what changed in a session between two moments, field by field, and which events did it."""
    from sessionstream.cli.moments import parse_at
    from sessionstream.cli.records import diff_record
    from sessionstream.cli.rendering.differences import print_diff

    async with call.open() as manager:
        now_ms = await manager.store.now_ms()
        moments = parse_at(a, "A", now_ms), parse_at(b, "B", now_ms)
        found = await manager.audit.diff(session, *moments)
    if call.terminal.as_json:
        call.terminal.emit(diff_record(found))
    else:
        print_diff(call.terminal, found)
    return Code.DONE


@command("fork", panel="Keep in order")
async def fork(
    call: Call,
    session: SessionId,
    at: Annotated[str, typer.Option("--at", help=f"From which moment it goes on. {MOMENT}")] = "now",
    new_id: Annotated[
        str | None, typer.Option("--id", help="The fork's id; the same fork again gives the same session.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="Whose it is, if not the same user's.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="With which agent, if not the same.")] = None,
    ttl: Annotated[float | None, typer.Option("--ttl", help="Seconds until it expires; 0 is never.")] = None,
) -> int:
    """Begin a new session as another one was at a moment; nothing is changed in that one, which may be over."""
    from sessionstream.cli.moments import parse_at
    from sessionstream.cli.records import session_record
    from sessionstream.cli.rendering.sessions import print_session
    from sessionstream.events.context import acting
    from sessionstream.transfer.choosing import Kept

    async with call.open() as manager:
        now_ms = await manager.store.now_ms()
        with acting(actor="fork"):
            made = await manager.audit.fork(
                session,
                at=parse_at(at, "--at", now_ms),
                new_session_id=new_id,
                user_id=user,
                agent_id=agent,
                ttl=... if ttl is None else ttl or None,
            )
        latest = next(iter(await manager.list_checkpoints(made.session_id, limit=1)), None)
    if call.terminal.as_json:
        call.terminal.emit(session_record(made, made.state.value))
    else:
        print_session(call.terminal, Kept(made, None), latest, now_ms)
    return Code.DONE
