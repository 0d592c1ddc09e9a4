"""`sessions` and `show`: which sessions there are, and what one of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

if TYPE_CHECKING:
    from sessionstream.manager import SessionManager
    from sessionstream.session import Checkpoint
    from sessionstream.transfer.choosing import Kept

__all__ = ["SessionId", "list_sessions", "show"]

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.", show_default=False)]


@command("sessions", panel="Look")
async def list_sessions(
    call: Call,
    user: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only this agent's.")] = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="Only in this state: active, idle, archived, expired, deleted; repeatable."),
    ] = None,
    ended: Annotated[bool, typer.Option("--all", help="Also those that are over and still kept.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0 is all.")] = 50,
) -> int:
    """List the sessions, newest first."""
    from sessionstream.cli.records import session_record
    from sessionstream.cli.rendering.sessions import print_sessions
    from sessionstream.transfer.choosing import Choice, chosen_sessions

    states = _checked_states(state or [])
    over = ended or bool({"expired", "deleted", "erased"} & set(states))
    shown, more, count = [], False, 0
    async with call.open() as manager:
        now_ms = await manager.store.now_ms()
        async for kept in chosen_sessions(manager.store, Choice(user, agent, states, over), newest_first=True):
            if limit and count == limit:
                more = True
                break
            count += 1
            if call.terminal.as_json:
                call.terminal.emit(session_record(kept.session, kept.state))
            else:
                shown.append(kept)
    if not count:
        call.terminal.say("no sessions")
        return Code.NOTHING
    if shown:
        print_sessions(call.terminal, shown, now_ms)
    if more:
        call.terminal.say(f"there are more than {limit}: --limit 0 lists all", "dim")
    return Code.DONE


def _checked_states(states: list[str]) -> list[str]:
    known = ("active", "idle", "archived", "expired", "deleted", "erased")
    for one in states:
        if one not in known:
            raise typer.BadParameter(f"{one!r} is none of {', '.join(known)}", param_hint="--state")
    return states


@command("show", panel="Look")
async def show(
    call: Call,
    session: SessionId,
    messages: Annotated[int, typer.Option("--messages", min=0, help="How many of the newest messages to show.")] = 5,
) -> int:
    """Show a session, also one that is over: who, state, metadata, latest checkpoint, newest messages."""
    from sessionstream.cli.records import checkpoint_record, session_record
    from sessionstream.cli.rendering.holds import hold_record, print_holds
    from sessionstream.cli.rendering.sessions import print_conversation, print_session
    from sessionstream.cli.rendering.shapes import section
    from sessionstream.conversation.messages import newest_messages
    from sessionstream.errors import SessionNotFound
    from sessionstream.log.history import trimmed_to
    from sessionstream.transfer.choosing import kept_session

    async with call.open() as manager:
        kept = await kept_session(manager.store, session)
        if kept is None:
            raise SessionNotFound(session)
        saved = await _latest_checkpoint(manager, kept)
        now_ms = await manager.store.now_ms()
        trimmed = await trimmed_to(manager.store, session)
        found = await newest_messages(manager.store, session, limit=messages, kept_only=True)
        newest = [event.data.message() for event in found]
        holds = await manager.retention.holds(session)
    if call.terminal.as_json:
        checkpoint = None if saved is None else checkpoint_record(saved, with_data=False)
        record = session_record(kept.session, kept.state)
        held = [hold_record(hold) for hold in holds]
        record |= {"checkpoint": checkpoint, "holds": held, "trimmed_to": trimmed, "newest_messages": newest}
        call.terminal.emit(record)
        return Code.DONE
    print_session(call.terminal, kept, saved, now_ms, trimmed)
    if holds:
        section(call.terminal, "holds")
        print_holds(call.terminal, holds, now_ms)
    if newest:
        print_conversation(call.terminal, newest)
    return Code.DONE


async def _latest_checkpoint(manager: SessionManager, kept: Kept) -> Checkpoint | None:
    if kept.end is None:
        return next(iter(await manager.list_checkpoints(kept.session.session_id, limit=1)), None)
    # The manager's own reads pass over a session that is over; its history still tells.
    known = await manager.audit.as_of(kept.session.session_id, version=kept.session.version)
    return known.checkpoint
