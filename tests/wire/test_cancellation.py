"""A cancelled caller: it never gets, and never shifts, what belongs to another one (G2)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sessionstream import Appended, NoteAdded, OutcomeUnknown, Session, SessionManager
from sessionstream.errors import Unavailable
from tests.servers import Server


@pytest.fixture
async def manager(reach: dict[str, Any], namespace: str) -> AsyncIterator[SessionManager]:
    """A manager with the sessions s0 to s19."""
    async with SessionManager(**reach, namespace=namespace) as manager:
        await asyncio.gather(*(manager.create_session("user_1", "assistant", session_id=f"s{n}") for n in range(20)))
        yield manager


async def _texts(manager: SessionManager, session_id: str) -> dict[str, str]:
    events = [event async for event in manager.history(session_id, types=[NoteAdded])]
    return {event.offset: event.data.text for event in events}


async def _flood(real: Server, manager: SessionManager) -> list[asyncio.Task[Appended]]:
    """Append more to 20 sessions than may be in flight, while the server stands still."""
    await asyncio.gather(*(manager.create_session("user_1", "assistant", session_id=f"s{n}") for n in range(20)))
    real.pause()
    texts = [f"{n} " + "x" * 100_000 for n in range(120)]
    return [asyncio.create_task(manager.append(f"s{n % 20}", NoteAdded(text=text))) for n, text in enumerate(texts)]


@pytest.mark.parametrize("seed", range(3))
async def test_a_cancelled_append_shifts_nobodys_offset(manager: SessionManager, seed: int) -> None:
    """A third of all appends are cancelled, at any moment; the others are told where their own event is."""
    dice = random.Random(seed)
    tasks: dict[tuple[str, str], asyncio.Task[Appended]] = {}
    for number in range(400):
        session_id = f"s{dice.randrange(20)}"
        append = manager.append(session_id, NoteAdded(text=str(number)))
        tasks[session_id, str(number)] = asyncio.create_task(append)
        if dice.random() < 0.33:
            dice.choice(list(tasks.values())).cancel()
        for _ in range(dice.randrange(3)):
            await asyncio.sleep(0)
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    told = {key: task.result() for key, task in tasks.items() if not task.cancelled()}
    assert 0 < len(told) < 400
    stored = {session_id: await _texts(manager, session_id) for session_id in {key[0] for key in tasks}}
    for (session_id, text), appended in told.items():
        assert stored[session_id][appended.offset] == text
    every = [text for texts in stored.values() for text in texts.values()]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("seed", range(3))
async def test_a_cancelled_read_shifts_nobodys_session(manager: SessionManager, seed: int) -> None:
    """Reads of one turn share a write; whoever is not cancelled gets the session that was asked for."""
    dice = random.Random(seed)
    tasks: list[tuple[str, asyncio.Task[Session | None]]] = []
    for _ in range(400):
        session_id = f"s{dice.randrange(20)}"
        tasks.append((session_id, asyncio.create_task(manager.get_session(session_id))))
        if dice.random() < 0.33:
            dice.choice(tasks)[1].cancel()
        for _ in range(dice.randrange(3)):
            await asyncio.sleep(0)
    await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
    found = [(session_id, task.result()) for session_id, task in tasks if not task.cancelled()]
    assert 0 < len(found) < 400
    assert all(session is not None and session.session_id == session_id for session_id, session in found)


async def test_what_follows_a_cancelled_append_keeps_its_order(manager: SessionManager) -> None:
    """The cancelled one may be there or not; the others are, in the order of the calls."""
    tasks = [asyncio.create_task(manager.append("s0", NoteAdded(text=f"{number:03}"))) for number in range(100)]
    await asyncio.sleep(0)
    for task in tasks[::7]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    texts = list((await _texts(manager, "s0")).values())
    assert texts == sorted(texts)
    assert {f"{number:03}" for number in range(100) if number % 7} <= set(texts)


async def test_who_gives_up_on_a_silent_server_is_forgotten_by_the_others(
    make_server: Callable[..., Server],
) -> None:
    """A time-out of the caller's own ends its waiting alone; when the server goes on, each gets its own answer."""
    real = make_server()
    async with SessionManager(url=real.unix_url) as manager:
        await asyncio.gather(*(manager.create_session("user_1", "assistant", session_id=f"s{n}") for n in range(20)))
        real.pause()
        patient = [asyncio.create_task(manager.append(f"s{n}", NoteAdded(text=f"kept {n}"))) for n in range(10)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(manager.append("s19", NoteAdded(text="given up")), 0.1)
        real.resume()
        for n, appended in enumerate(await asyncio.gather(*patient)):
            assert (await _texts(manager, f"s{n}")) == {appended.offset: f"kept {n}"}
        assert list((await _texts(manager, "s19")).values()) in ([], ["given up"])


async def test_who_is_cancelled_while_it_waits_for_room_leaves_the_room_to_others(
    make_server: Callable[..., Server],
) -> None:
    """More bytes wait than may be in flight; half of the callers go, and all others are served."""
    real = make_server()
    async with SessionManager(url=real.unix_url) as manager:
        tasks = await _flood(real, manager)
        await asyncio.sleep(0.05)
        for task in tasks[::2]:
            task.cancel()
        real.resume()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, Appended) for outcome in outcomes[1::2])


async def test_appends_go_on_where_everybody_was_cancelled_while_waiting_for_room(
    make_server: Callable[..., Server],
) -> None:
    """A shutdown cancels all tasks of the loop, those too in which the store itself waits."""
    real = make_server()
    async with SessionManager(url=real.unix_url) as manager:
        await _flood(real, manager)
        await asyncio.sleep(0.05)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        real.resume()
        async with asyncio.timeout(10):
            appended = await manager.append("s0", NoteAdded(text="after"))
        assert (await _texts(manager, "s0"))[appended.offset] == "after"


async def test_what_finds_no_room_within_its_deadline_was_not_sent(make_server: Callable[..., Server]) -> None:
    """It is unavailable, and not unknown."""
    real = make_server()
    async with SessionManager(url=real.unix_url, deadline=0.5, reply_timeout=0.5) as manager:
        tasks = await _flood(real, manager)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        real.resume()
        assert {type(outcome) for outcome in outcomes} <= {OutcomeUnknown, Unavailable}
        assert any(type(outcome) is Unavailable for outcome in outcomes)
        stored = [text for n in range(20) for text in (await _texts(manager, f"s{n}")).values()]
        definite = [f"{n} " for n, outcome in enumerate(outcomes) if type(outcome) is Unavailable]
        assert not any(text.startswith(tuple(definite)) for text in stored)
