"""G7: the interpreter in Python and the append script make the same views of the same events.

Several writers append to several sessions at once, through two managers; what the server holds then is compared with
the fold of the streams that it holds.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessionstream import (
    ConflictError,
    ErrorOccurred,
    MessageAdded,
    NoteAdded,
    SessionEnded,
    SessionExists,
    SessionManager,
    SessionNotFound,
    ToolCalled,
    ToolReturned,
    UsageRecorded,
)
from sessionstream.errors import CheckpointExists, SessionArchived
from sessionstream.projection import AT, OFFSET, VERSION, Put, Replace, Unset, view
from tests.projections.conftest import MakeManager
from tests.projections.marks import Marked, marking, programs, texts
from tests.projections.views import assert_folded

SESSIONS = ["one", "zwei:2", "三 \n{3}", "4"]
_metadata_names = ["a", "é", "a:b", "0"]
_metadata = st.dictionaries(
    st.text(min_size=1, max_size=3), st.one_of(texts, st.integers(-9, 9), st.none()), max_size=3
)


class Action(NamedTuple):
    """What one writer does to one session."""

    session_id: str
    kind: str
    text: str
    number: int
    metadata: dict[str, Any]


Do = Callable[[SessionManager, Action], Awaitable[Any]]


async def _update(manager: SessionManager, action: Action) -> None:
    session = await manager.get_session(action.session_id)
    if session is not None:
        session.metadata = action.metadata
        if session.expires_at is not None:
            session.expires_at += timedelta(seconds=action.number)
        await manager.update_session(action.session_id, session)


async def _create(manager: SessionManager, action: Action) -> None:
    ttl = (None, 0.001, 60, 3_600)[action.number % 4]
    user, agent = f"user_{action.number % 3}", f"agent {action.text[:9]}"
    await manager.create_session(user, agent, action.metadata, session_id=action.session_id, ttl=ttl)


def _several(action: Action) -> list[Any]:
    return [Marked(step=action.number + more, text=action.text) for more in range(1 + action.number % 7)]


ACTIONS: dict[str, Do] = {
    "mark": lambda m, a: m.append(a.session_id, Marked(step=a.number, text=a.text)),
    "mark several times": lambda m, a: m.append(a.session_id, _several(a)),
    "create": _create,
    "message": lambda m, a: m.append(a.session_id, MessageAdded(role="user", content=a.text)),
    "call": lambda m, a: m.append(a.session_id, [ToolCalled(name="t"), ToolReturned(name="t", result=a.number)]),
    "note": lambda m, a: m.append(a.session_id, [NoteAdded(text=a.text), ErrorOccurred(message=a.text)]),
    "usage": lambda m, a: m.append(a.session_id, UsageRecorded(input_tokens=a.number)),
    "pop": lambda m, a: m.pop_messages(a.session_id, a.number % 3),
    "metadata": lambda m, a: m.update_session_metadata(a.session_id, a.metadata),
    "unset": lambda m, a: m.update_session_metadata(a.session_id, unset=_metadata_names[: a.number % 4]),
    "update": _update,
    "refresh": lambda m, a: m.refresh_session(a.session_id),
    "state": lambda m, a: m.set_session_state(a.session_id, ("active", "idle", "archived")[a.number % 3]),
    "expire": lambda m, a: m.set_session_state(a.session_id, "expired"),
    "save": lambda m, a: m.save_checkpoint(a.session_id, {}, checkpoint_id=f"c{a.number % 5}", label=a.text or None),
    "drop": lambda m, a: m.delete_checkpoint(a.session_id, f"c{a.number % 5}"),
    "clear": lambda m, a: m.clear_checkpoints(a.session_id),
    "delete": lambda m, a: m.delete_session(a.session_id),
    "purge": lambda m, a: m.delete_session(a.session_id, purge=True),
    "clean": lambda m, a: m.cleanup_expired_sessions(),
}
# Ends are final, so they are rare; the user's own programs are what differs from one run to the next.
_MARKS = ("mark", "mark several times")
_ENDS = ("expire", "delete", "purge")
_kinds = st.sampled_from(
    [kind for kind in ACTIONS if kind not in _ENDS] * 4 + [*_ENDS] + [kind for kind in _MARKS for _ in range(15)]
)
_actions = st.builds(Action, st.sampled_from(SESSIONS), _kinds, texts, st.integers(0, 60), _metadata)
_writers = st.lists(st.lists(_actions, min_size=4, max_size=12), min_size=4, max_size=4)


async def _write(manager: SessionManager, actions: Sequence[Action]) -> None:
    for action in actions:
        try:
            await ACTIONS[action.kind](manager, action)
        except (CheckpointExists, ConflictError, SessionArchived, SessionEnded, SessionExists, SessionNotFound):
            # Another writer was first: that is what this test is about.
            continue


@settings(max_examples=100, report_multiple_bugs=False, suppress_health_check=list(HealthCheck))
@given(mine=programs, more=programs, sliding=st.booleans(), writers=_writers)
async def test_both_interpreters_make_the_same_views(
    reach: dict[str, Any],
    make_namespace: Callable[..., str],
    mine: Any,
    more: Any,
    sliding: bool,
    writers: list[list[Action]],
) -> None:
    """Whatever the events, the user's projections and the order in which several writers come to append."""
    namespace = make_namespace(f"t{uuid.uuid4().hex}")
    options: dict[str, Any] = {
        "namespace": namespace,
        "partitions": 1,
        "projections": [marking("mine", mine), marking("more", more)],
        "extend_on": "append" if sliding else "refresh",
    }
    async with (
        SessionManager(**reach, **options) as one,
        SessionManager(**reach, **options) as two,
    ):
        for number, session_id in enumerate(SESSIONS):
            await one.create_session("user", "agent", session_id=session_id, ttl=None if number % 2 else 60)
        await asyncio.gather(*(_write((one, two)[n % 2], actions) for n, actions in enumerate(writers)))
        await assert_folded(two)


async def test_ten_thousand_fields_at_once(make_manager: MakeManager) -> None:
    """What one Lua call cannot take in one piece is set, replaced and removed all the same."""
    names = [f"field {n}" for n in range(10_000)]
    program = [
        [Put(view("large"), dict.fromkeys(names, OFFSET))],
        [Replace(view("large"), "field ", {str(n): AT + n for n in range(5_000, 15_000)})],
        [Unset(view("large"), names), Put(view("other"), dict.fromkeys(names, VERSION))],
        [Replace(view("other"), "", dict.fromkeys(names[5_000:], "é" * 30))],
    ]
    manager = make_manager(marking("own", program))
    session_id = (await manager.create_session("user", "agent")).session_id
    sizes = []
    for step in range(4):
        await manager.append(session_id, Marked(step=step, text=""))
        views = await assert_folded(manager)
        sizes.append({key.split(":")[4]: len(content) for key, content in views.items() if ":view:own:" in key})
    assert sizes == [
        {"large": 10_000},
        {"large": 10_000},
        {"large": 5_000, "other": 10_000},
        {"large": 5_000, "other": 5_000},
    ]
