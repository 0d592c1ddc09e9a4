"""`export`: sessions out of the store, as lines or as a Parquet file."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code
from sessionstream.errors import InvalidArgument

if TYPE_CHECKING:
    from sessionstream.cli.progress import Progress
    from sessionstream.log.store import Store
    from sessionstream.transfer.outward import Exported, Progressing, Wanted

__all__ = ["Shape", "export_sessions"]


class Shape(enum.StrEnum):
    """What an export makes of sessions."""

    MESSAGES = "messages"
    EVENTS = "events"
    CLOUDEVENTS = "cloudevents"
    PARQUET = "parquet"


_Sessions = Annotated[list[str] | None, typer.Argument(metavar="[SESSION]...", help="Only these.", show_default=False)]
_TIME = "2025-01-31T09:30:00Z, or how long ago: 90s, 10m, 2h, 3d."
_As = Annotated[
    Shape,
    typer.Option(
        "--as",
        help="messages: a conversation a line. events: every event exactly as it is stored; import takes both. "
        "cloudevents: CloudEvents 1.0, one a line. parquet: a table of events.",
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Gzipped if it ends in .gz.", show_default="standard output"),
]
_Cursor = Annotated[
    Path | None,
    typer.Option(
        "--cursor",
        metavar="FILE",
        help="Note here how far the export has come; the same call goes on from there if it was interrupted.",
    ),
]


@command("export", panel="In and out")
async def export_sessions(
    call: Call,
    sessions: _Sessions = None,
    user: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only this agent's.")] = None,
    ended: Annotated[bool, typer.Option("--all", help="Also those that are over and still kept.")] = False,
    since: Annotated[str | None, typer.Option("--since", help=f"Only events not before: {_TIME}")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Only events not after; written as --since.")] = None,
    shape: _As = Shape.MESSAGES,
    output: _Output = None,
    cursor: _Cursor = None,
    with_ids: Annotated[
        bool, typer.Option("--with-ids", help="Add session_id, user_id and agent_id, so that an import keeps them.")
    ] = False,
) -> int:
    """Export sessions as JSON lines or as a Parquet file, in the order of their creation.

    Of a time range the sessions leave that have events in it: as messages the whole of them, else just these events.
    """
    from sessionstream.cli.moments import parse_moment
    from sessionstream.transfer.choosing import Choice
    from sessionstream.transfer.outward import Wanted

    if sessions and (user or agent or ended):
        raise typer.BadParameter("name sessions, or say --user, --agent or --all: not both")
    if output is None and (cursor is not None or shape is Shape.PARQUET):
        raise typer.BadParameter(f"{'--cursor' if cursor else '--as parquet'} needs a file: say which with -o")
    async with call.open() as manager:
        now_ms = await manager.store.now_ms() if since or until else 0
        wanted = Wanted(
            shape.value,
            list(dict.fromkeys(sessions)) if sessions else None,
            Choice(user, agent, (), ended),
            None if since is None else parse_moment(since, "--since", now_ms),
            None if until is None else parse_moment(until, "--until", now_ms),
            with_ids,
            (since, until),
        )
        done = await _export(call, manager.store, wanted, output, cursor)
    return _told(call, done, output, shape)


async def _export(call: Call, store: Store, wanted: Wanted, output: Path | None, cursor: Path | None) -> Exported:
    from sessionstream.cli.files import Sink
    from sessionstream.cli.progress import Progress
    from sessionstream.transfer.outward import expected_sessions, export_into, export_to_file

    if output is None:
        # A bar would be drawn among the lines where these go to the same terminal in the end.
        return await export_into(store, Sink(call.terminal), wanted)
    total = await expected_sessions(store, wanted) if call.terminal.err.is_terminal else None
    with Progress(call.terminal, "exporting", total) as bar:
        try:
            return await export_to_file(store, output, wanted, cursor=cursor, progress=_telling(bar, wanted.shape))
        except InvalidArgument:
            raise
        except BaseException:
            _say_unfinished(call, cursor)
            raise


def _say_unfinished(call: Call, cursor: Path | None) -> None:
    if cursor is not None and cursor.exists():
        call.terminal.say("the export was not finished: the same call goes on where it stopped", "yellow")


def _telling(bar: Progress, shape: str) -> Progressing:
    from sessionstream.cli.summaries import counted

    noun = "row" if shape == Shape.PARQUET else "line"

    def tell(done: Exported, passed: float) -> None:
        bar.move(passed, f"{counted(done.sessions, 'session')} · {counted(done.items, noun)}")

    return tell


def _told(call: Call, done: Exported, output: Path | None, shape: Shape) -> int:
    from sessionstream.cli.summaries import counted

    for session_id in done.missing:
        call.terminal.complain(f"session {session_id!r} not found")
    for session_id in done.cut:
        call.terminal.complain(f"session {session_id!r}: its oldest events were removed before, so they are not there")
    for session_id, problem in done.failures:
        call.terminal.complain(f"session {session_id!r}: {problem}")
    noun = "row" if shape is Shape.PARQUET else "line"
    if output is not None and call.terminal.as_json:
        call.terminal.emit({"file": str(output), "sessions": done.sessions, f"{noun}s": done.items})
    elif output is not None:
        call.terminal.say(f"{counted(done.sessions, 'session')}, {counted(done.items, noun)}: {output}")
    if not done.sessions and done.failures:
        return Code.REFUSED
    if not done.sessions and not done.cut:
        call.terminal.say("no sessions")
        return Code.NOTHING
    return Code.PARTLY if done.missing or done.cut or done.failures else Code.DONE
