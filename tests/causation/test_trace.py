"""What led to what: a tree by causation ids, under correlation ids."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream import NoteAdded, SessionManager, Trace, acting
from sessionstream.audit.causation import Step, Whole, _joined
from sessionstream.errors import InvalidArgument, SessionNotFound
from sessionstream.transfer import export_events, import_events
from tests.conftest import ROOT
from tests.servers import Server


@pytest.fixture
async def manager(server: Server, namespace: str) -> AsyncIterator[SessionManager]:
    """A manager with a session ``s``."""
    async with SessionManager.open(server.url, namespace=namespace) as manager:
        await manager.create_session("u", "a", session_id="s")
        yield manager


async def note(manager: SessionManager, text: str, because: str | None = None, of: str | None = None) -> str:
    """Append a note and return its id."""
    appended = await manager.append("s", NoteAdded(text=text), causation_id=because, correlation_id=of)
    return appended.event_ids[0]


def drawn(trace: Trace) -> list[tuple[int, str]]:
    """Return the depth of each step, and its version or, of one that is not here, its id."""
    return [(depth, str(step.version) if step.known else step.id) for depth, step in trace.walk()]


async def test_an_event_stands_under_what_led_to_it(manager: SessionManager) -> None:
    """In the order of the events, however deep."""
    first = await note(manager, "first")
    second = await note(manager, "second", first)
    await note(manager, "aside")
    await note(manager, "third", second)
    await note(manager, "fourth", first)
    trace = await manager.audit.trace("s")
    assert drawn(trace) == [(0, "1"), (0, "2"), (1, "3"), (2, "5"), (1, "6"), (0, "4")]
    assert (trace.events, trace.unknown, trace.cut) == (6, [], [])
    step = next(step for _, step in trace.walk() if step.version == 5)
    assert step.cause is not None
    assert (step.cause.id, step.cause.version, step.type) == (second, 3, "note.added")


async def test_what_has_no_cause_stands_under_its_correlation(manager: SessionManager) -> None:
    """Who acts, and why, comes with each step."""
    with acting(actor="user:4", correlation_id="request-7"):
        first = await note(manager, "first")
    await note(manager, "second", first, of="request-8")
    await note(manager, "third", of="request-7")
    trace = await manager.audit.trace("s")
    told = [(whole.correlation_id, [root.version for root in whole.roots]) for whole in trace.wholes]
    assert told == [(None, [1]), ("request-7", [2, 4])]
    root = trace.wholes[1].roots[0]
    assert (root.actor, [effect.correlation_id for effect in root.effects]) == ("user:4", ["request-8"])


async def test_a_cause_that_is_not_there_is_shown_by_its_id(manager: SessionManager) -> None:
    """What it led to stays together."""
    await note(manager, "a", "elsewhere")
    await note(manager, "b")
    await note(manager, "c", "elsewhere")
    trace = await manager.audit.trace("s")
    assert drawn(trace) == [(0, "1"), (0, "elsewhere"), (1, "2"), (1, "4"), (0, "3")]
    assert (trace.unknown, trace.events) == (["elsewhere"], 4)


async def test_one_event_is_shown_with_its_causes_and_its_effects(manager: SessionManager) -> None:
    """By its id or its offset; what its causes led to besides is left out."""
    first = await note(manager, "first")
    second = await note(manager, "second", first)
    await note(manager, "beside", first)
    await note(manager, "third", second)
    trace = await manager.audit.trace("s", event=second)
    assert drawn(trace) == [(0, "2"), (1, "3"), (2, "5")]
    offset = [event.offset async for event in manager.history("s")][3]
    assert drawn(await manager.audit.trace("s", event=offset)) == [(0, "2"), (1, "4")]
    with pytest.raises(InvalidArgument, match="no event 'nothing'"):
        await manager.audit.trace("s", event="nothing")


async def test_causes_are_found_in_other_sessions_that_are_named(manager: SessionManager) -> None:
    """Also where one of them is gone."""
    first = await note(manager, "first")
    noted_ms = await manager.store.now_ms()
    while await manager.store.now_ms() == noted_ms:
        pass  # within one millisecond events of two sessions have no order
    await manager.create_session("u", "a", session_id="t")
    await manager.append("t", NoteAdded(text="second"), causation_id=first)
    alone = await manager.audit.trace("t")
    assert alone.unknown == [first]
    trace = await manager.audit.trace("t", among=["s", "nobody"])
    assert [(depth, step.session_id, step.version) for depth, step in trace.walk()] == [
        (0, "s", 1),
        (0, "s", 2),
        (1, "t", 2),
        (0, "t", 1),
    ]


async def test_a_correlation_is_found_everywhere_if_that_is_asked_for(manager: SessionManager) -> None:
    """In every session that is kept, ended ones too."""
    await note(manager, "first", of="c")
    for name in ("t", "v"):
        await manager.create_session("u", "a", session_id=name)
        await manager.append(name, NoteAdded(text="x"), correlation_id="c")
        await manager.append(name, NoteAdded(text="y"), correlation_id="other")
    await manager.delete_session("v")
    trace = await manager.audit.trace("s", correlation_id="c")
    assert [step.session_id for _, step in trace.walk()] == ["s"]
    trace = await manager.audit.trace("s", correlation_id="c", everywhere=True)
    assert [step.session_id for _, step in trace.walk()] == ["s", "t", "v"]
    with pytest.raises(InvalidArgument, match="for one correlation_id"):
        await manager.audit.trace("s", everywhere=True)


async def test_an_unknown_session_is_an_error(manager: SessionManager) -> None:
    """An empty tree would say that nothing led to anything."""
    with pytest.raises(SessionNotFound):
        await manager.audit.trace("nobody")


async def test_of_a_trimmed_session_what_is_left_is_shown(manager: SessionManager, tmp_path: Path) -> None:
    """And that its first events are not, also of one that is only looked at besides."""
    for session_id in ("trimmed", "whole"):
        await manager.create_session("user", "agent", session_id=session_id)
        with acting(correlation_id="order"):
            await manager.append(session_id, [NoteAdded(text=str(number)) for number in range(300)])
    done = await manager.retention.trim("trimmed", tmp_path, keep_events=100)
    found = await manager.audit.trace("trimmed")
    assert found.trimmed == ("trimmed",)
    assert found.events == 301 + 1 - done.trimmed
    found = await manager.audit.trace("whole", correlation_id="order", everywhere=True)
    assert found.trimmed == ("trimmed",)
    assert found.events == 300 + 301 - done.trimmed


async def test_events_that_do_not_decode_are_steps_too(manager: SessionManager) -> None:
    """Those that have lost their ids are nobody's cause."""
    key = manager.store.keys.events("s")
    for version in (2, 3):
        await manager.store.server.call("XADD", key, f"9999999999999-{version}", "note.added", "")
    trace = await manager.audit.trace("s")
    assert drawn(trace) == [(0, "1"), (0, "2"), (0, "3")]


async def test_a_circle_of_causes_is_cut_at_its_first_event(
    manager: SessionManager, make_namespace: Callable[..., str], server: Server
) -> None:
    """No append makes one, since ids are made with the events; a changed history may have it."""
    first = await note(manager, "first", "x" * 22)
    second = await note(manager, "second", first)
    await note(manager, "third", second)
    lines = [line.replace(b"x" * 22, second.encode()) async for line in export_events(manager.store)]
    async with SessionManager.open(server.url, namespace=make_namespace()) as other:
        assert (await import_events(other.store, lines)).created == 1
        trace = await other.audit.trace("s")
    assert drawn(trace) == [(0, "1"), (0, "2"), (1, "3"), (2, "4")]
    assert trace.cut == [first]


CAUSES = st.lists(st.one_of(st.none(), st.integers(0, 14)), max_size=12)


@given(causes=CAUSES)
def test_every_event_is_in_the_tree_once(causes: list[int | None]) -> None:
    """Whatever names whatever as its cause: itself, a later one, one that is not there."""
    steps = [
        Step(str(place), "s", f"1-{place + 1}", causation_id=None if cause is None else str(cause))
        for place, cause in enumerate(causes)
    ]
    walked = [step for _, step in Trace([Whole(None, _joined(steps))]).walk()]
    assert sorted(int(step.id) for step in walked if step.known) == list(range(len(causes)))
    assert len(walked) == len({id(step) for step in walked})
    for step in walked:
        if step.known and not step.cut and step.causation_id is not None:
            assert step.cause is not None
            assert step.cause.id == step.causation_id


_GROWTH = """
import asyncio, re, sys
from sessionstream import SessionManager

def megabytes():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) / 1e3

async def main():
    async with SessionManager.open(sys.argv[1], namespace=sys.argv[2]) as manager:
        await manager.audit.trace("s", event=sys.argv[3])
        before = megabytes()
        trace = await manager.audit.trace("large")
        print(trace.events, max(depth for depth, _ in trace.walk()), megabytes() - before)

asyncio.run(main())
"""


async def test_a_trace_of_100000_events_takes_less_than_100_mb(
    manager: SessionManager, server: Server, namespace: str
) -> None:
    """Most of which have a cause."""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("only Linux tells how much memory a process has had")
    event = await note(manager, "small")
    await manager.create_session("u", "a", session_id="large")
    for _ in range(20):
        cause = None
        for _ in range(5):
            appended = await manager.append("large", [NoteAdded(text="x") for _ in range(1_000)], causation_id=cause)
            cause = appended.event_ids[-1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _GROWTH, server.url, namespace, event),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    out, _ = await process.communicate()
    events, _, grown = out.split()
    assert int(events) == 100_001
    assert float(grown) < 100, f"{grown.decode()} MB"
