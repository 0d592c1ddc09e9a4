"""`erase`: erases all that is kept of a user's sessions."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

__all__ = ["erase"]

_REMAINS = "an append-only file holds it until that is rewritten (BGREWRITEAOF), a backup for as long as it is kept"


@command("erase", panel="Keep in order")
async def erase(
    call: Call,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    archive: Annotated[
        list[Path] | None,
        typer.Option("--archive", metavar="FOLDER", help="An archive to erase the user from as well; repeatable."),
    ] = None,
    keep_forks: Annotated[
        bool, typer.Option("--keep-forks", help="Leave the forks of the user's sessions that belong to others.")
    ] = False,
    actor: Annotated[str, typer.Option("--actor", help="Who does it.")] = "erase",
) -> int:
    """Erase all that is kept of a user's sessions, for good; what is left says that it was erased."""
    from sessionstream.cli.summaries import counted
    from sessionstream.events.context import acting

    if not yes and not _is_meant(user):
        call.terminal.say("nothing was erased")
        return Code.NOTHING
    async with call.open() as manager:
        with acting(actor=actor):
            done = await manager.erase_user(user, archives=archive or (), keep_forks=keep_forks)
    if call.terminal.as_json:
        call.terminal.emit(dataclasses.asdict(done))
        return Code.DONE
    for left in done.unreached:
        call.terminal.complain(left)
    of_others = f", {len(done.forks):,} of them forks that others had" if done.forks else ""
    keys = f"; {counted(done.keys, 'data key')} destroyed" if done.keys else ""
    call.terminal.line(
        f"{counted(done.sessions, 'session')} erased{of_others}: {counted(done.events, 'event')}, "
        f"{counted(done.checkpoints, 'checkpoint')}, {counted(done.files, 'file')} of archives{keys}"
    )
    if done.sessions:
        call.terminal.say(_REMAINS, "dim")
    return Code.DONE


def _is_meant(user: str) -> bool:
    """Ask whoever sits there; a script has to say so."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("it cannot be taken back: say that it is meant", param_hint="--yes")
    return typer.confirm(f"Erase all that is kept of user {user!r}, for good?", err=True)
