"""`import`: recorded sessions, or the events of an export, into the store."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

if TYPE_CHECKING:
    from sessionstream.errors import InvalidImportLine
    from sessionstream.log.store import Store

__all__ = ["Lines", "import_file"]


class Lines(enum.StrEnum):
    """What the lines of an import are."""

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
_As = Annotated[
    Lines | None,
    typer.Option(
        "--as",
        help="What the lines are: conversations, or the events of an export, which come back exactly as they were.",
        show_default="by the first line",
    ),
]


@command("import", panel="In and out")
async def import_file(
    call: Call,
    file: _File,
    lines: _As = None,
    user: _User = "imported",
    agent: _Agent = "imported",
    id_key: _IdKey = None,
    ttl: _Ttl = None,
    concurrency: _Concurrency = 16,
) -> int:
    """Import recorded sessions: one JSON object a line, OpenAI-style messages, other keys become metadata.

    The same file again adds nothing, and completes what an interrupted import began. A line whose session is there with
    the beginning of its messages adds the others. The events of an export bring back absent sessions, whole or not at
    all.
    """
    from sessionstream.cli.files import opened_file, size_of_file
    from sessionstream.cli.progress import Progress
    from sessionstream.transfer.sources import LineSource, looked_at

    with opened_file(file) as raw, Progress(call.terminal, "importing", size_of_file(file)) as progress:
        source = LineSource(raw)
        first, source_lines = await looked_at(source)
        if lines is Lines.EVENTS or (lines is None and _is_event(first)):
            if id_key or (user, agent) != ("imported", "imported"):
                raise typer.BadParameter("--user, --agent and --id-key are for messages: events say whose they are")
            work: _Work = _Events(concurrency)
        else:
            work = _Messages(user, agent, id_key or [], concurrency)

        def tell() -> None:
            progress.move(source.position, work.detail)

        began = time.perf_counter()
        try:
            async with call.open(**({} if ttl is None else {"ttl": ttl})) as manager:
                await work.run(manager.store, source_lines, tell)
        except BaseException:
            if work.begun:
                call.terminal.say(
                    "the import was not finished: run it again, what is there is not added twice", "yellow"
                )
            raise
    return work.told(call, file, time.perf_counter() - began)


def _is_event(line: bytes | str) -> bool:
    from sessionstream.transfer.event_lines import tells_of_event

    return tells_of_event(line.encode() if isinstance(line, str) else line)


class _Work(Protocol):
    """An import of one kind of lines."""

    @property
    def detail(self) -> str: ...

    @property
    def begun(self) -> bool: ...

    async def run(self, store: Store, lines: Iterable[bytes | str], tell: Callable[[], None]) -> None: ...

    def told(self, call: Call, file: str, seconds: float) -> int: ...


class _Messages:
    def __init__(self, user: str, agent: str, id_keys: list[str], concurrency: int) -> None:
        from sessionstream.transfer import Imported

        self._user, self._agent, self._id_keys, self._concurrency = user, agent, id_keys, concurrency
        self._done = Imported()

    @property
    def detail(self) -> str:
        from sessionstream.cli.summaries import counted

        return f"{counted(self._done.lines, 'line')} · {counted(self._done.messages, 'message')}"

    @property
    def begun(self) -> bool:
        return self._done.lines > 0

    async def run(self, store: Store, lines: Iterable[bytes | str], tell: Callable[[], None]) -> None:
        from sessionstream.events.context import acting
        from sessionstream.transfer import Imported, import_messages

        def progress(so_far: Imported) -> None:
            self._done = so_far
            tell()

        with acting(actor="import"):
            self._done = await import_messages(
                store,
                lines,
                user_id=self._user,
                agent_id=self._agent,
                id_keys=self._id_keys,
                concurrency=self._concurrency,
                progress=progress,
            )

    def told(self, call: Call, file: str, seconds: float) -> int:
        from sessionstream.cli.rendering.transfers import imported_record, print_imported

        done = self._done
        _complain(call, done.failures)
        if call.terminal.as_json:
            call.terminal.emit(imported_record(done, seconds))
        else:
            print_imported(call.terminal, file, done, seconds)
        return Code.PARTLY if done.failures else Code.DONE if done.lines else Code.NOTHING


class _Events:
    def __init__(self, concurrency: int) -> None:
        from sessionstream.transfer import Restored

        self._concurrency = concurrency
        self._done = Restored()

    @property
    def detail(self) -> str:
        from sessionstream.cli.summaries import counted

        return f"{counted(self._done.created, 'session')} · {counted(self._done.events, 'event')}"

    @property
    def begun(self) -> bool:
        return self._done.lines > 0

    async def run(self, store: Store, lines: Iterable[bytes | str], tell: Callable[[], None]) -> None:
        from sessionstream.transfer import Restored, import_events

        def progress(so_far: Restored) -> None:
            self._done = so_far
            tell()

        self._done = await import_events(store, lines, concurrency=self._concurrency, progress=progress)

    def told(self, call: Call, file: str, seconds: float) -> int:
        from sessionstream.cli.rendering.transfers import print_restored, restored_record

        done = self._done
        _complain(call, done.failures)
        for session_id, checkpoint_id in done.bodiless:
            call.terminal.complain(f"session {session_id!r}: the export has no data of checkpoint {checkpoint_id!r}")
        if call.terminal.as_json:
            call.terminal.emit(restored_record(done, seconds))
        else:
            print_restored(call.terminal, file, done, seconds)
        return Code.PARTLY if done.failures or done.bodiless else Code.DONE if done.lines else Code.NOTHING


def _complain(call: Call, failures: Sequence[InvalidImportLine]) -> None:
    for failure in failures:
        call.terminal.complain(str(failure))
