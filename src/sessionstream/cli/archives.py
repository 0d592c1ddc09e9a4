"""`archive`: sessions into files, and out of the server's memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code, code_for

if TYPE_CHECKING:
    from sessionstream.errors import SessionStreamError
    from sessionstream.manager import SessionManager
    from sessionstream.retention import Archived

__all__ = ["archive"]


@command("archive", panel="Keep in order")
async def archive(
    call: Call,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The folder of the archive.")],
    sessions: Annotated[
        list[str] | None, typer.Argument(metavar="[SESSION]...", help="Only these.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are kept, also those that are over.")] = False,
    ended: Annotated[bool, typer.Option("--all-ended", help="All that are over and still kept.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", help="Only events from before: 30d, 12h, or 2025-01-31T09:30:00Z."),
    ] = None,
    keep: Annotated[int, typer.Option("--keep", min=0, help="Leave the newest so many events of each.")] = 0,
    trim: Annotated[
        bool, typer.Option("--trim", help="Then remove from the stream what the archive is seen to hold.")
    ] = False,
    gzip: Annotated[bool, typer.Option("--gzip/--no-gzip", help="Whether new files are gzipped.")] = True,
) -> int:
    """Archive sessions to files, which are read back and compared with the stream; with --trim, free its memory then.

    What the folder has already is not written again, so an interrupted call may be made once more. Nothing is trimmed
    under a hold, nor past what the oldest checkpoint covers, nor past what the slowest consumer group has handled.
    """
    from sessionstream.cli.moments import parse_moment
    from sessionstream.cli.progress import Progress
    from sessionstream.events.context import acting

    if bool(sessions) + every + ended > 1 or not (sessions or every or ended or older_than):
        raise typer.BadParameter("name sessions, or say one of --all, --all-ended and --older-than")
    done = _Done()
    async with call.open() as manager:
        now_ms = await manager.store.now_ms()
        before = None if older_than is None else parse_moment(older_than, "--older-than", now_ms)
        asked = _Asked(output, before, keep, trim, gzip)
        total = float(len(set(sessions))) if sessions else None
        with Progress(call.terminal, "archiving", total) as bar, acting(actor="archive"):
            async for session_id in _chosen(manager, sessions, ended=ended):
                await _archive(manager, session_id, asked, done)
                bar.move(done.sessions, session_id)
    return _told(call, done, output)


class _Asked(NamedTuple):
    folder: Path
    before: datetime | None
    keep: int
    trim: bool
    gzip: bool


class _Done:
    """What was done so far.

    Attributes:
        sessions: how many were looked at.
        archives: what each of those gave that could be archived.
        failures: why others could not be.
    """

    def __init__(self) -> None:
        self.sessions = 0
        self.archives: list[Archived] = []
        self.failures: list[SessionStreamError] = []


async def _chosen(manager: SessionManager, sessions: list[str] | None, *, ended: bool) -> AsyncIterator[str]:
    from sessionstream.transfer.choosing import Choice, chosen_sessions

    if sessions:
        for session_id in dict.fromkeys(sessions):
            yield session_id
        return
    async for kept in chosen_sessions(manager.store, Choice(ended=True)):
        if kept.end is not None or not ended:
            yield kept.session.session_id


async def _archive(manager: SessionManager, session_id: str, asked: _Asked, done: _Done) -> None:
    from sessionstream.errors import ArchiveDamaged, CorruptEvent, SessionHeld, SessionNotFound

    method = manager.retention.trim if asked.trim else manager.retention.archive
    done.sessions += 1
    try:
        one = await method(
            session_id, asked.folder, keep_events=asked.keep, older_than=asked.before, compress=asked.gzip
        )
    except (ArchiveDamaged, CorruptEvent, SessionHeld, SessionNotFound) as error:
        # What is wrong with one session is no reason to leave the others; a full disk is.
        done.failures.append(error)
        return
    if one.files or one.stopped_by or one.closed:
        done.archives.append(one)


def _told(call: Call, done: _Done, folder: Path) -> int:
    from sessionstream.cli.rendering.archives import archived_record, print_archived

    if call.terminal.as_json:
        for one in done.archives:
            call.terminal.emit(archived_record(one))
    elif done.archives:
        print_archived(call.terminal, done.archives, folder)
    for error in done.failures:
        call.terminal.complain(str(error))
    if done.failures:
        return Code.PARTLY if len(done.failures) < done.sessions else code_for(done.failures[0])
    if not done.archives:
        call.terminal.say("nothing to archive")
        return Code.NOTHING
    return Code.DONE
