"""Appends to one session keep their call order, and one that is refused fails alone (G1)."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import (
    Appended,
    ConflictError,
    IdempotencyConflict,
    NoteAdded,
    Projection,
    SessionEnded,
    SessionManager,
    SessionNotFound,
)
from sessionstream.errors import EventTypeError, SessionArchived
from sessionstream.projection import Put, view
from tests.fault.conftest import Open
from tests.fault.ledger import Ledger
from tests.proxy import Fault, Proxy


async def test_order_is_kept_where_the_script_is_not_loaded(
    manager: SessionManager, beside: SessionManager, client: Redis, ledger: Ledger
) -> None:
    """The first append is sent twice, and those that were made behind it wait for it."""
    for round_ in range(5):
        await client.script_flush()
        first = asyncio.create_task(ledger.append(manager, f"{round_}.0"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rest = [asyncio.create_task(ledger.append(manager, f"{round_}.{number}")) for number in range(1, 20)]
        await asyncio.gather(first, *rest)
    expected = [f"{round_}.{number}" for round_ in range(5) for number in range(20)]
    assert await ledger.balance(beside) == expected


@pytest.mark.parametrize("seed", range(5))
async def test_order_is_kept_through_flushes_cuts_and_reconnections(
    manager: SessionManager, beside: SessionManager, client: Redis, proxy: Proxy, ledger: Ledger, seed: int
) -> None:
    """Hundreds of appends in a row, to sessions side by side, while the connection goes and the scripts go."""
    dice = random.Random(seed)
    others = [Ledger((await beside.create_session("user_1", "assistant")).session_id) for _ in range(3)]
    appends: list[asyncio.Task[object]] = []
    made: dict[str, list[str]] = {one.session_id: [] for one in (ledger, *others)}
    for number in range(300):
        one = dice.choice((ledger, *others))
        made[one.session_id].append(str(number))
        appends.append(asyncio.create_task(one.append(manager, str(number))))
        chance = dice.random()
        if chance < 0.03:
            proxy.arm(dice.choice([Fault.LOSE_REQUEST, Fault.LOSE_REPLY, Fault.HALF_REPLY, Fault.LATE_REQUEST]))
        elif chance < 0.05:
            await client.script_flush()
        elif chance < 0.06:
            proxy.cut()
        elif chance < 0.3:
            await asyncio.sleep(dice.choice([0, 0, 0.001]))
    await asyncio.gather(*appends)
    proxy.deliver()
    for one in (ledger, *others):
        assert one.errors == {}
        assert await one.balance(beside) == made[one.session_id]


async def test_one_refused_append_of_a_group_fails_alone(
    open_manager: Open, reach: dict[str, Any], namespace: str
) -> None:
    """All of them travel in one call: the others are appended as if it had not been there."""
    manager = open_manager(**reach, namespace=namespace, partitions=1)
    ids = {}
    for name in ("fine", "conflict", "ended", "archived", "reused", "also fine"):
        ids[name] = (await manager.create_session("user_1", "assistant")).session_id
    await manager.delete_session(ids["ended"])
    await manager.set_session_state(ids["archived"], "archived")
    await manager.append(ids["reused"], NoteAdded(text="first"), idempotency_key="k")
    note = NoteAdded(text="x")
    outcomes = await asyncio.gather(
        manager.append(ids["fine"], note),
        manager.append(ids["conflict"], note, expected_version=7),
        manager.append("sess_nobody", note),
        manager.append(ids["ended"], note),
        manager.append(ids["archived"], note),
        manager.append(ids["reused"], note, idempotency_key="k"),
        manager.append(ids["also fine"], note),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [
        Appended,
        ConflictError,
        SessionNotFound,
        SessionEnded,
        SessionArchived,
        IdempotencyConflict,
        Appended,
    ]
    for name in ("fine", "also fine"):
        assert [event.type async for event in manager.history(ids[name])] == ["session.created", "note.added"]


async def test_a_refused_append_between_two_of_its_session_fails_alone(
    manager: SessionManager, beside: SessionManager, ledger: Ledger
) -> None:
    """The one behind it is appended."""
    outcomes = await asyncio.gather(
        ledger.append(manager, "one"),
        ledger.append(manager, "refused", expected_version=7),
        ledger.append(manager, "two"),
    )
    assert [type(outcome) for outcome in outcomes] == [Appended, ConflictError, Appended]
    assert await ledger.balance(beside) == ["one", "two"]


@pytest.mark.parametrize("value", ["\ud800", object()], ids=["a lone surrogate", "an object"])
async def test_what_a_projection_of_a_users_own_spoils_fails_alone(
    open_manager: Open, reach: dict[str, Any], namespace: str, value: object
) -> None:
    """Also before there is a connection, and the one behind it in its session is appended in its place."""
    spoiling = Projection("spoiling")

    @spoiling.on(NoteAdded)
    def noted(session_id: str, event: NoteAdded) -> list[Put]:
        if event.text == "raises":
            raise RuntimeError("a mistake")
        return [Put(view("texts"), {"text": value if event.text == "spoiled" else event.text})]  # type: ignore[dict-item]

    manager = open_manager(**reach, namespace=namespace, partitions=1, projections=[spoiling])
    ids = [(await manager.create_session("user_1", "assistant")).session_id for _ in range(2)]
    for _ in range(2):
        outcomes = await asyncio.wait_for(
            asyncio.gather(
                manager.append(ids[0], NoteAdded(text="one")),
                manager.append(ids[0], NoteAdded(text="spoiled")),
                manager.append(ids[1], NoteAdded(text="raises")),
                manager.append(ids[0], NoteAdded(text="two")),
                manager.append(ids[1], NoteAdded(text="three")),
                return_exceptions=True,
            ),
            10,
        )
        failed = [outcome for outcome in outcomes if not isinstance(outcome, Appended)]
        assert [type(outcome) for outcome in (outcomes[0], outcomes[3], outcomes[4])] == [Appended] * 3
        assert isinstance(outcomes[2], EventTypeError)
        assert outcomes[2] in failed
        await manager.aclose()
    texts = [event.data.text async for event in manager.history(ids[0], types=[NoteAdded])]
    assert [text for text in texts if text != "spoiled"] == ["one", "two"] * 2
