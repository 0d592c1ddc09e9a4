"""`seal`, `verify` and `evidence`: whether histories are what was appended, and what proves it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

if TYPE_CHECKING:
    from sessionstream.errors import IntegrityError
    from sessionstream.integrity.reporting import Verification

__all__ = ["evidence", "seal", "verify"]

_Sessions = Annotated[list[str] | None, typer.Argument(metavar="SESSION", help="Only these.", show_default=False)]
_PANEL = "Prove"


@command("seal", panel=_PANEL)
async def seal(
    call: Call,
    sessions: _Sessions = None,
    every: Annotated[bool, typer.Option("--all", help="Every session that is kept.")] = False,
    anchor: Annotated[
        Path | None, typer.Option("--anchor", metavar="FILE", help="Write their last seals to this file.")
    ] = None,
) -> int:
    """Seal what sessions have since their last seals, with the key in SESSIONSTREAM_SEAL_KEY.

    An anchor, kept where nobody who can write to the server can, is what tells that a session was rolled back.
    """
    from sessionstream.cli.rendering.integrity import print_sealed, sealed_record
    from sessionstream.cli.summaries import counted

    chosen = _chosen(sessions, every=every)
    refused: list[IntegrityError] = []
    count = events = 0
    async with call.open() as manager:
        async for sealed in manager.audit.seal_all(chosen, anchor=anchor, refused=refused.append):
            count, events = count + 1, events + sealed.events
            if call.terminal.as_json:
                call.terminal.emit(sealed_record(sealed))
            elif chosen is not None or sealed.events:
                print_sealed(call.terminal, sealed)
    for error in refused:
        call.terminal.complain(str(error))
    written = f"; their last seals are in {anchor}" if anchor is not None else ""
    call.terminal.say(f"{counted(count, 'session')} sealed, {counted(events, 'event')} of them now{written}", "dim")
    if refused:
        return Code.PARTLY
    return Code.DONE if count else Code.NOTHING


@command("verify", panel=_PANEL)
async def verify(
    call: Call,
    sessions: _Sessions = None,
    every: Annotated[bool, typer.Option("--all", help="Every session, also those that only the anchor knows.")] = False,
    anchor: Annotated[
        Path | None, typer.Option("--anchor", metavar="FILE", help="What `seal --anchor` wrote.", show_default=False)
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", metavar="FOLDER", help="Where what was trimmed is.", show_default=False)
    ] = None,
) -> int:
    """Verify that sessions are what was appended, and say what could not be checked; nothing is written.

    The exit code is 1 if anything was altered; 4 if there are seals whose key is not here, or if a session that the
    anchor knows is not there, and nothing tells why.
    """
    from sessionstream.cli.progress import Progress
    from sessionstream.cli.rendering.integrity import Tally, verification_record
    from sessionstream.cli.summaries import counted
    from sessionstream.retention.replaying import archived_in

    chosen = _chosen(sessions, every=every)
    tally = Tally(call.terminal, in_full=chosen is not None)
    async with call.open() as manager:
        total = len(chosen) if chosen is not None else await manager.get_total_session_count()
        with Progress(call.terminal, "verifying", total) as bar:
            archived = None if archive is None else archived_in(manager.store, archive)
            async for found in manager.audit.verify_all(chosen, anchor=anchor, archived=archived):
                tally.add(found)
                bar.move(tally.sessions, counted(tally.sessions, "session"))
                if call.terminal.as_json:
                    call.terminal.emit(verification_record(found))
    tally.finish()
    return _code_of(tally.verifications) if tally.sessions else Code.NOTHING


@command("evidence", panel=_PANEL)
async def evidence(
    call: Call,
    session: Annotated[
        str | None, typer.Argument(metavar="[SESSION]", help="The session's id.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it to this file.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--verify", metavar="FILE", help="Verify this file; needs no server.")
    ] = None,
    anchor: Annotated[
        Path | None, typer.Option("--anchor", metavar="FILE", help="With --verify: what `seal --anchor` wrote.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", metavar="FOLDER", help="Where what was trimmed is.", show_default=False)
    ] = None,
) -> int:
    """Write a session, its seals and its checkpoints into one file, or verify such a file without a server."""
    from sessionstream.cli.summaries import counted
    from sessionstream.retention.replaying import archived_in

    if file is not None:
        if session is not None or output is not None or archive is not None:
            raise typer.BadParameter("a file is verified by itself", param_hint="--verify")
        return _verify_file(call, file, anchor)
    if session is None or output is None:
        raise typer.BadParameter("give a session and -o FILE, or --verify FILE")
    if anchor is not None:
        raise typer.BadParameter("only with --verify", param_hint="--anchor")
    async with call.open() as manager:
        archived = None if archive is None else archived_in(manager.store, archive)
        events = await manager.audit.evidence(session, output, archived=archived)
    if call.terminal.as_json:
        call.terminal.emit({"session_id": session, "events": events, "file": str(output)})
    else:
        call.terminal.line(f"{counted(events, 'event')} of {session} in {output}")
    return Code.DONE


def _verify_file(call: Call, file: Path, anchor: Path | None) -> int:
    from sessionstream.cli.rendering.integrity import Tally, verification_record
    from sessionstream.events.recorded import moment
    from sessionstream.integrity.keyring import Keyring
    from sessionstream.integrity.offline import verify_evidence
    from sessionstream.settings import settings_from

    found = verify_evidence(file, Keyring.of(settings_from(**call.settings)), anchor=anchor)
    written = moment(found.at)
    if call.terminal.as_json:
        record = verification_record(found.verification)
        call.terminal.emit({**record, "namespace": found.namespace, "written_at": written})
    tally = Tally(call.terminal, in_full=True)
    tally.add(found.verification)
    tally.finish()
    return _code_of([found.verification])


def _chosen(sessions: list[str] | None, *, every: bool) -> list[str] | None:
    if bool(sessions) is every:
        raise typer.BadParameter("name sessions, or say --all")
    return None if every else sessions


def _code_of(found: list[Verification]) -> int:
    if not all(one.ok for one in found):
        return Code.NOTHING
    return Code.PARTLY if any(one.unproven for one in found) else Code.DONE
