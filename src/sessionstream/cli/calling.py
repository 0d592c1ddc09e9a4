"""What every command shares: the options that lead to its store, the event loop, and how errors become exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import inspect
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, get_type_hints

import typer

from sessionstream.cli.exits import Code, code_for
from sessionstream.cli.options import OF_THE_STORE, shared_options
from sessionstream.cli.terminal import Terminal
from sessionstream.errors import SessionStreamError

if TYPE_CHECKING:
    from sessionstream.manager import SessionManager

__all__ = ["Call", "application", "command"]

application = typer.Typer(
    name="sessionstream",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)

_PATIENCE = 1.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Call:
    """One call of a command: its output, and the way to its store.

    Args:
        terminal: where output goes.
        settings: what the options say, by the names of `Settings`; None where they are silent.
        projections: the user's own projections, each as ``module:name``.

    Attributes:
        terminal: as given.
        settings: as given, without what is silent.
        projections: as given.
    """

    def __init__(self, terminal: Terminal, settings: dict[str, Any], projections: list[str]) -> None:
        self.terminal = terminal
        self.settings = {name: value for name, value in settings.items() if value is not None}
        self.projections = projections

    @contextlib.asynccontextmanager
    async def open(self, **settings: Any) -> AsyncIterator[SessionManager]:
        """Open the store; a namespace that is there is opened with the number of partitions that it was made with.

        Args:
            settings: what to set besides, or instead.
        """
        from sessionstream.cli.own_projections import load_projections
        from sessionstream.manager import SessionManager

        given = {**self.settings, **settings}
        own = load_projections(self.projections)
        manager = SessionManager(projections=own, **given)
        try:
            async with _patience(self.terminal, manager):
                found = await _partitions(manager)
            if found is not None and found != manager.settings.partitions and "partitions" not in given:
                await manager.aclose()
                manager = SessionManager(projections=own, **{**given, "partitions": found})
            yield manager
        finally:
            await manager.aclose()


Body = Callable[..., Awaitable[int | None]]


def command(name: str, *, panel: str) -> Callable[[Body], Body]:
    """Register a command, whose body is given a `Call` and its own options, and gives its exit code or None for 0.

    Args:
        name: of the command.
        panel: under which heading the help has it.
    """

    def register(body: Body) -> Body:
        def run(**options: Any) -> None:
            terminal = Terminal(as_json=options.pop("as_json"))
            shared = {option: options.pop(option) for option in OF_THE_STORE}
            call = Call(terminal, shared, options.pop("projections") or [])
            raise typer.Exit(_guarded(terminal, body(call, **options)))

        _present(run, body)
        application.command(name, rich_help_panel=panel)(run)
        return body

    return register


def _present(run: Callable[..., None], body: Body) -> None:
    """Give the function that is registered the signature and the help of the body, and the shared options."""
    hints = {**get_type_hints(body, include_extras=True), **get_type_hints(shared_options, include_extras=True)}
    own = list(inspect.signature(body).parameters.values())[1:]
    shared = list(inspect.signature(shared_options).parameters.values())
    parameters = [
        one.replace(annotation=hints[one.name], kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *shared)
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    paragraphs = inspect.cleandoc(body.__doc__ or "").split("\n\n")
    run.__doc__ = "\n\n".join(" ".join(one.split()) for one in paragraphs)
    run.__name__ = body.__name__


def _guarded(terminal: Terminal, work: Awaitable[int | None]) -> int:
    """Run a command and return its exit code; an error of the library is one line."""
    try:
        code = _run(work) or Code.DONE
        sys.stdout.flush()
        return code
    except SessionStreamError as error:
        terminal.complain("; ".join(line.strip() for line in str(error).splitlines() if line.strip()))
        return code_for(error)
    except KeyboardInterrupt:
        terminal.complain("interrupted")
        return Code.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; what is still buffered has nowhere to go.
        _let_go_of_output()
        return Code.PIPE_CLOSED
    except OSError as error:
        # Files are the commands' to tell of; what is left is a disk that takes no more of standard output.
        if error.errno not in _FULL:
            raise
        terminal.complain(f"standard output: {error.strerror}")
        _let_go_of_output()
        return Code.USAGE


def _let_go_of_output() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(work: Awaitable[int | None]) -> int | None:
    termination = _Termination()

    async def main() -> int | None:
        termination.task = asyncio.current_task()
        return await work

    with termination.heard(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(main())
        except asyncio.CancelledError:
            if not termination.came:
                raise
            raise KeyboardInterrupt from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    uvloop: Any = importlib.import_module("uvloop")
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class _Termination:
    """A SIGTERM ends the command as Ctrl-C does: what it began is put in order first, and a second one does not wait.

    It does so itself, and not by a SIGINT: a shell lets that be ignored by what runs in its background.
    """

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.came = False

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGTERM"):
            yield
            return
        before = signal.signal(signal.SIGTERM, self._end)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _end(self, number: int, frame: object) -> None:
        again, self.came = self.came, True
        if again or self.task is None or self.task.done():
            raise KeyboardInterrupt
        self.task.cancel()
        # A loop that waits for its connections looks at the task only when it is woken.
        self.task.get_loop().call_soon_threadsafe(lambda: None)


async def _partitions(manager: SessionManager) -> int | None:
    """Return the number of partitions that the namespace was made with, or None if there is no such namespace."""
    store = manager.store
    stamp = await store.server.call("HGET", store.keys.log(0), ":stamp")
    words = dict(part.partition("=")[::2] for part in (stamp or b"").decode(errors="replace").split(" "))
    number = words.get("partitions", "")
    return int(number) if number.isdigit() else None


@contextlib.asynccontextmanager
async def _patience(terminal: Terminal, manager: SessionManager) -> AsyncIterator[None]:
    """Say so where the server keeps a person waiting."""

    async def tell() -> None:
        await asyncio.sleep(_PATIENCE)
        terminal.say(f"waiting for the server, for {manager.settings.deadline:g} s at most …", "dim")

    waiting = asyncio.create_task(tell()) if terminal.err.is_terminal else None
    try:
        yield
    finally:
        if waiting is not None:
            waiting.cancel()
