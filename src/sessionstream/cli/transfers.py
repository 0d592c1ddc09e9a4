"""`import` and `export`: recorded sessions into the store, and out of it again."""

from __future__ import annotations

import enum
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

if TYPE_CHECKING:
    from sessionstream.log.store import Store
    from sessionstream.transfer import Imported

__all__ = ["Shape", "export_sessions", "import_file"]


class Shape(enum.StrEnum):
    """What an export's lines are."""

    MESSAGES = "messages"
    EVENTS = "events"


_File = Annotated[str, typer.Argument(metavar="FILE", help="JSON lines, plain or gzipped; - is standard input.")]
_User = Annotated[str, typer.Option("--user", help="Whose the sessions are whose lines have no user_id.")]
_Agent = Annotated[str, typer.Option("--agent", help="With which agent, where a line has no agent_id.")]
_IdKey = Annotated[
    list[str] | None,
    typer.Option(
        "--id-key",
        metavar="KEY",
        help="The key whose value is the session's id; several make it together.",
        show_default="session_id; without one, the line's content",
    ),
]
_Ttl = Annotated[
    float | None,
    typer.Option(
        "--ttl",
        envvar="SESSIONSTREAM_TTL",
        metavar="SECONDS",
        help="Until a new session expires.",
        show_default="never",
    ),
]
_Concurrency = Annotated[int, typer.Option("--concurrency", min=1, help="Sessions written at a time.")]


@command("import", panel="In and out")
async def import_file(
    call: Call,
    file: _File,
    user: _User = "imported",
    agent: _Agent = "imported",
    id_key: _IdKey = None,
    ttl: _Ttl = None,
    concurrency: _Concurrency = 16,
) -> int:
    """Import recorded sessions: one JSON object a line, OpenAI-style messages, other keys become metadata.

    The same file again adds nothing, and completes what an interrupted import began. A line whose session is there with
    the beginning of its messages adds the others.
    """
    from sessionstream.cli.files import opened_file, size_of_file
    from sessionstream.cli.progress import Progress
    from sessionstream.cli.summaries import counted
    from sessionstream.events.context import acting
    from sessionstream.transfer import Imported, import_messages
    from sessionstream.transfer.sources import LineSource

    done, began = Imported(), time.perf_counter()
    with opened_file(file) as raw, Progress(call.terminal, "importing", size_of_file(file)) as progress:
        source = LineSource(raw)

        def tell(so_far: Imported) -> None:
            nonlocal done
            done = so_far
            progress.move(source.position, f"{counted(so_far.lines, 'line')} · {counted(so_far.messages, 'message')}")

        try:
            async with call.open(**({} if ttl is None else {"ttl": ttl})) as manager:
                with acting(actor="import"):
                    done = await import_messages(
                        manager.store,
                        source,
                        user_id=user,
                        agent_id=agent,
                        id_keys=id_key or (),
                        concurrency=concurrency,
                        progress=tell,
                    )
        except BaseException:
            if done.lines:
                call.terminal.say(
                    "the import was not finished: run it again, what is there is not added twice", "yellow"
                )
            raise
    return _told(call, file, done, time.perf_counter() - began)


def _told(call: Call, file: str, done: Imported, seconds: float) -> int:
    from sessionstream.cli.rendering.transfers import imported_record, print_imported

    for failure in done.failures:
        call.terminal.complain(str(failure))
    if call.terminal.as_json:
        call.terminal.emit(imported_record(done, seconds))
    else:
        print_imported(call.terminal, file, done, seconds)
    if done.failures:
        return Code.PARTLY
    return Code.DONE if done.lines else Code.NOTHING


@command("export", panel="In and out")
async def export_sessions(
    call: Call,
    sessions: Annotated[
        list[str] | None, typer.Argument(metavar="[SESSION]...", help="Only these.", show_default=False)
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only this agent's.")] = None,
    ended: Annotated[bool, typer.Option("--all", help="Also those that are over and still kept.")] = False,
    shape: Annotated[
        Shape,
        typer.Option("--as", help="messages: what import takes. events: every event exactly as it is stored."),
    ] = Shape.MESSAGES,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Gzipped if it ends in .gz.", show_default="standard output"
        ),
    ] = None,
    with_ids: Annotated[
        bool, typer.Option("--with-ids", help="Add session_id, user_id and agent_id, so that an import keeps them.")
    ] = False,
) -> int:
    """Export sessions as JSON lines, in the order of their creation."""
    from sessionstream.cli.files import Sink
    from sessionstream.transfer import export_events, export_messages

    if sessions and (user or agent or ended):
        raise typer.BadParameter("name sessions, or say --user, --agent or --all: not both")
    counted, missing = _Counted(), list[str]()
    async with call.open() as manager:
        ids = counted.named(sessions) if sessions else counted.chosen(manager.store, user, agent, ended)
        if shape is Shape.EVENTS:
            lines = export_events(manager.store, ids, missing=missing.append)
        else:
            lines = export_messages(manager.store, ids, with_ids=with_ids, missing=missing.append)
        sink = Sink(call.terminal, output)
        with sink:
            async for line in lines:
                sink.write(line)
    for session_id in missing:
        call.terminal.complain(f"session {session_id!r} not found")
    count = counted.sessions - len(missing)
    if output is not None:
        _tell_written(call, output, count, sink.lines)
    if not count:
        call.terminal.say("no sessions")
        return Code.NOTHING
    return Code.PARTLY if missing else Code.DONE


def _tell_written(call: Call, output: Path, sessions: int, lines: int) -> None:
    from sessionstream.cli.summaries import counted

    if call.terminal.as_json:
        call.terminal.emit({"file": str(output), "sessions": sessions, "lines": lines})
    else:
        call.terminal.say(f"{counted(sessions, 'session')}, {counted(lines, 'line')}: {output}")


class _Counted:
    """Counts the sessions that pass."""

    def __init__(self) -> None:
        self.sessions = 0

    async def named(self, session_ids: list[str]) -> AsyncIterator[str]:
        for session_id in dict.fromkeys(session_ids):
            self.sessions += 1
            yield session_id

    async def chosen(self, store: Store, user: str | None, agent: str | None, ended: bool) -> AsyncIterator[str]:
        from sessionstream.transfer.choosing import Choice, chosen_sessions

        async for kept in chosen_sessions(store, Choice(user, agent, (), ended)):
            self.sessions += 1
            yield kept.session.session_id
