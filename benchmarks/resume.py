"""Resuming a session of 10,000 events from a checkpoint 10 before the end, against folding it from the beginning.

Both arrive at the same state, which is checked: how often each role spoke, how often each tool was called, and the last
20 messages, as a runtime keeps them for the model. The checkpoint holds that state as it was 10 events before the end,
and the resume folds the rest. What a resume costs grows with what the checkpoint holds, not with the session.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.claims import Measured, ratio_of_rates, show
from benchmarks.payloads import payloads
from benchmarks.rounds import Contestant, compete
from benchmarks.stage import Options, Stage, make_sessions, options_of, place_of, staged
from sessionstream import MessageAdded

__all__ = ["main", "measure", "prepare"]

NAME = "resume"
LEFT = 10
WINDOW = 20
BATCH = 1_000


def step(state: dict[str, Any], event: object, window: int = WINDOW) -> None:
    """Change the state by one event, as an agent's runtime would; it is the fold that both sides use."""
    if isinstance(event, MessageAdded):
        message = event.message()
        state["roles"][event.role] = state["roles"].get(event.role, 0) + 1
        for call in message.get("tool_calls") or ():
            name = call["function"]["name"]
            state["tools"][name] = state["tools"].get(name, 0) + 1
        state["window"].append(message)
        del state["window"][:-window]


def _empty() -> dict[str, Any]:
    return {"roles": {}, "tools": {}, "window": []}


async def prepare(
    stage: Stage, session_id: str, events: int, *, left: int = LEFT, window: int = WINDOW
) -> dict[str, Any]:
    """Fill a session, with a checkpoint shortly before the end, and return the state to which its messages fold.

    Args:
        stage: where.
        session_id: a session that was just created.
        events: how many it is to have, the creation and the checkpoint among them.
        left: how many come behind the checkpoint.
        window: how many messages the state holds.
    """
    given = [payload.event for payload in payloads(events - 2)]
    state = _empty()
    before = given[: len(given) - left]
    for start in range(0, len(before), BATCH):
        await stage.manager.append(session_id, before[start : start + BATCH])
    for event in before:
        step(state, event, window)
    await stage.manager.save_checkpoint(session_id, copy.deepcopy(state))
    await stage.manager.append(session_id, given[len(before) :])
    for event in given[len(before) :]:
        step(state, event, window)
    return state


async def measure(options: Options) -> Measured:
    """Measure; rates are of whole resumes and whole folds."""
    events, resumes = options.few(10_000, 500), options.few(50, 3)
    async with staged(options) as stage:
        manager = stage.manager
        [session_id] = await make_sessions(manager, 1)
        wanted = await prepare(stage, session_id, events)

        async def resume() -> dict[str, Any]:
            resumed = await manager.resume(session_id)
            assert resumed.checkpoint is not None
            state: dict[str, Any] = resumed.checkpoint.data
            for event in resumed.events:
                step(state, event.data)
            return state

        async def fold() -> dict[str, Any]:
            state = _empty()
            async for event in manager.history(session_id):
                step(state, event.data)
            return state

        async def repeat(arrive: Callable[[], Awaitable[dict[str, Any]]], times: int) -> list[int]:
            took = []
            for _ in range(times):
                began = time.perf_counter_ns()
                state = await arrive()
                took.append(time.perf_counter_ns() - began)
                if state != wanted:
                    raise AssertionError("the two ways lead to different states")
            return took

        found = await compete(
            [
                Contestant("resume", lambda: repeat(resume, resumes), resumes),
                Contestant("fold from the beginning", lambda: repeat(fold, 1), 1),
            ],
            options.rounds,
        )
        place = await place_of(stage.client)
    ours, theirs = found
    claim = ratio_of_rates(found, "resume, 10,000 events, checkpoint 10 before the end", ours, theirs, theirs, 100)
    return Measured(NAME, place, found, [claim])


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    show(await measure(options_of(arguments, NAME, __doc__, rounds=15)))
