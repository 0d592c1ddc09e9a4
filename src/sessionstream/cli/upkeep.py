"""`stats`, `cleanup` and `rebuild`: how much there is, what is due, and the views made anew."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

__all__ = ["cleanup", "rebuild", "stats"]


@command("stats", panel="Look")
async def stats(
    call: Call,
    seconds: Annotated[
        float | None,
        typer.Argument(metavar="[SECONDS]", min=0.1, help="With --watch: how often; 2.", show_default=False),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, with the appends a second.")] = False,
) -> int:
    """Count the sessions by state, and what they hold."""
    from sessionstream.cli.diagnosis.ended import count_states, held_by_ended
    from sessionstream.cli.diagnosis.namespace import feed_length
    from sessionstream.cli.rendering.statistics import print_statistics, statistics_record
    from sessionstream.cli.watching import watch as look_again

    if seconds is not None and not watch:
        raise typer.BadParameter("it says how often to look, with --watch", param_hint="SECONDS")
    async with call.open() as manager:
        await manager.store.check_readable()
        if watch:
            await look_again(call.terminal, manager, seconds or 2.0)
        counts = await count_states(manager.store)
        held = await held_by_ended(manager.store)
        duration = await manager.get_avg_session_duration()
        feed = await feed_length(manager.store)
    if call.terminal.as_json:
        call.terminal.emit(statistics_record(counts, held, duration, feed))
    else:
        print_statistics(call.terminal, manager.settings.namespace, counts, held, duration, feed)
    return Code.DONE


@command("cleanup", panel="Keep in order")
async def cleanup(call: Call) -> int:
    """End the sessions whose time is over, remove those whose retention is, and trim the feed."""
    from sessionstream.cli.diagnosis.ended import count_states
    from sessionstream.cli.summaries import counted
    from sessionstream.events.context import acting

    async with call.open() as manager:
        with acting(actor="cleanup"):
            ended = await manager.cleanup_expired_sessions()
        counts = await count_states(manager.store)
    record = {"ended": ended, "kept": counts.total, "kept_ended": counts.expired + counts.deleted + counts.erased}
    if call.terminal.as_json:
        call.terminal.emit(record)
    else:
        call.terminal.line(
            f"{counted(ended, 'session')} ended; {counts.total:,} kept, {record['kept_ended']:,} of them over"
        )
    return Code.DONE


@command("rebuild", panel="Keep in order")
async def rebuild(
    call: Call,
    session: Annotated[
        str | None, typer.Argument(metavar="[SESSION]", help="Only this one's own views.", show_default=False)
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Let the namespace be one of this process's projections from now on.")
    ] = False,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", metavar="FOLDER", help="What was trimmed, which other projections need."),
    ] = None,
) -> int:
    """Make the views of all sessions anew from their events, while appends go on."""
    from sessionstream.cli.moments import span
    from sessionstream.cli.progress import Progress
    from sessionstream.cli.summaries import counted

    if session is not None and adopt:
        raise typer.BadParameter("a namespace is adopted as a whole: give no session", param_hint="--adopt")
    began = time.perf_counter()
    async with call.open() as manager:
        if session is not None:
            rebuilt = await manager.rebuild(session, archive=archive)
        else:
            with Progress(call.terminal, "rebuilding", None) as bar:
                rebuilt = await manager.rebuild(
                    archive=archive,
                    adopt=adopt,
                    progress=lambda done, total: bar.move(done, f"{done:,} of {total:,} sessions", total),
                )
    seconds = time.perf_counter() - began
    if call.terminal.as_json:
        call.terminal.emit({**dataclasses.asdict(rebuilt), "seconds": round(seconds, 3)})
    else:
        words = (
            f"{counted(rebuilt.sessions, 'session')} rebuilt from {counted(rebuilt.events, 'event')} in {span(seconds)}"
        )
        call.terminal.line(words)
    if rebuilt.unreadable:
        call.terminal.complain(f"{rebuilt.unreadable:,} events do not decode, and changed no view: history names them")
        return Code.PARTLY
    return Code.DONE if rebuilt.sessions else Code.NOTHING
