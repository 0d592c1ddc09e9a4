"""A server that stands still, dies, or comes back: what was acknowledged is there once (G3, G5)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import pytest

from sessionstream import Appended, NoteAdded, OutcomeUnknown, SessionManager
from tests.entries import entry
from tests.fault.conftest import Open, in_a_hurry
from tests.fault.ledger import Ledger
from tests.gates import move_gate
from tests.servers import Server


@pytest.fixture
async def patient(real: Server, open_manager: Open) -> SessionManager:
    """A manager that takes a connection for broken after 100 ms."""
    return open_manager(real.unix_url, reply_timeout=0.1)


@pytest.fixture
async def account(patient: SessionManager) -> Ledger:
    """A session on the server of the test's own, with one note."""
    ledger = Ledger((await patient.create_session("user_1", "assistant")).session_id)
    await ledger.append(patient, "before")
    return ledger


async def _standing_still(real: Server, seconds: float) -> None:
    real.pause()
    try:
        await asyncio.sleep(seconds)
    finally:
        real.resume()


@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.35])
async def test_a_pause_longer_than_the_reply_timeout_is_one_event(
    real: Server, patient: SessionManager, account: Ledger, seconds: float
) -> None:
    """The first copy is executed when the server goes on, or never; the repeat finds it, or takes its place."""
    pause = asyncio.create_task(_standing_still(real, seconds))
    await asyncio.sleep(0)
    texts = [f"during {number}" for number in range(5)]
    outcomes = await asyncio.gather(*(account.append(patient, text) for text in texts))
    await pause
    assert all(isinstance(outcome, Appended) for outcome in outcomes)
    assert await account.balance(patient) == ["before", *texts]


async def test_many_sessions_through_many_pauses(real: Server, patient: SessionManager) -> None:
    """Each append is one event, in the order in which its session's were made."""
    sessions = await asyncio.gather(*(patient.create_session("user_1", "assistant") for _ in range(20)))
    ledgers = [Ledger(session.session_id) for session in sessions]
    done = asyncio.Event()

    async def work(ledger: Ledger) -> None:
        number = 0
        while not done.is_set():
            await ledger.append(patient, str(number))
            number += 1

    workers = [asyncio.create_task(work(ledger)) for ledger in ledgers]
    for seconds in (0.12, 0.02, 0.25):
        await _standing_still(real, seconds)
        await asyncio.sleep(0.01)
    done.set()
    await asyncio.gather(*workers)
    for ledger in ledgers:
        assert ledger.errors == {}
        assert await ledger.balance(patient) == list(ledger.acknowledged)


async def test_past_the_deadline_it_is_unknown_and_a_retry_tells(
    real: Server, patient: SessionManager, account: Ledger, open_manager: Open
) -> None:
    """With the same idempotency key, however often, it is one event."""
    hasty = open_manager(real.unix_url, reply_timeout=0.1)
    await account.append(hasty, "hasty")
    real.pause()
    began = time.monotonic()
    with in_a_hurry(hasty):
        unknown = await account.append(hasty, "unknown", idempotency_key="k")
    assert isinstance(unknown, OutcomeUnknown)
    assert 0.2 < time.monotonic() - began < 10
    real.resume()
    again = await account.append(patient, "unknown", idempotency_key="k")
    once_more = await account.append(hasty, "unknown", idempotency_key="k")
    assert isinstance(again, Appended)
    assert isinstance(once_more, Appended)
    assert once_more.offset == again.offset
    assert await account.balance(patient) == ["before", "hasty", "unknown"]


async def test_a_burst_on_one_session_waits_one_deadline_and_not_one_after_the_other(
    real: Server, account: Ledger, open_manager: Open
) -> None:
    """Also those that stand behind an append which used up its whole deadline."""
    hasty = open_manager(real.unix_url, reply_timeout=0.1)
    await account.append(hasty, "hasty")
    real.pause()
    began = time.monotonic()
    with in_a_hurry(hasty, 1.0):
        appends = [asyncio.create_task(account.append(hasty, "first"))]
        await asyncio.sleep(0.01)
        appends += [asyncio.create_task(account.append(hasty, str(number))) for number in range(20)]
        await asyncio.gather(*appends)
    took = time.monotonic() - began
    real.resume()
    assert took < 1.8
    assert set(account.errors) == {"first", *(str(number) for number in range(20))}
    await account.balance(hasty)


@pytest.mark.parametrize("seed", range(3))
async def test_what_was_acknowledged_survives_a_crash(
    make_server: Callable[..., Server], open_manager: Open, seed: int
) -> None:
    """The server is killed in the middle of the work and started again; nobody is told an error."""
    real = make_server(appendfsync="always")
    manager = open_manager(real.unix_url)
    sessions = await asyncio.gather(*(manager.create_session("user_1", "assistant") for _ in range(10)))
    ledgers = [Ledger(session.session_id) for session in sessions]
    dice = random.Random(seed)
    done = asyncio.Event()

    async def work(ledger: Ledger) -> None:
        number = 0
        while not done.is_set():
            texts = [f"{number}.{part}" for part in range(dice.randrange(1, 4))]
            await asyncio.gather(*(ledger.append(manager, text) for text in texts))
            number += 1

    workers = [asyncio.create_task(work(ledger)) for ledger in ledgers]
    for _ in range(2):
        await asyncio.sleep(dice.uniform(0.01, 0.05))
        real.kill()
        await asyncio.to_thread(real.start)
    await asyncio.sleep(0.02)
    done.set()
    await asyncio.gather(*workers)
    for ledger in ledgers:
        assert ledger.errors == {}
        assert await ledger.balance(manager) == list(ledger.acknowledged)
    await ledgers[0].balance_keys(real.url, "faults")


async def test_a_restart_in_good_order_is_not_noticed(real: Server, patient: SessionManager, account: Ledger) -> None:
    """Reads and writes go on, the scripts are loaded anew."""
    for number in range(3):
        await asyncio.to_thread(real.restart)
        await account.append(patient, str(number))
        assert await patient.get_session(account.session_id) is not None
    assert await account.balance(patient) == ["before", "0", "1", "2"]


async def test_a_clock_that_went_back_while_the_answer_was_lost_makes_no_second_event(
    real: Server, patient: SessionManager, account: Ledger
) -> None:
    """The look back for the first copy begins where offsets of that session can begin, not where the clock is now."""
    keys = patient.store.keys
    ahead = int(time.time() * 1000) + 3_600_000
    last = f"{ahead}-3"
    [ahead_of_it] = entry("note.added", '{"text":"ahead"}').items()
    await patient.store.server.call("XADD", keys.events(account.session_id), last, *ahead_of_it)
    await move_gate(patient.store, account.session_id, last)
    partition = keys.partition(account.session_id)
    feed = f"{ahead}-3"
    await patient.store.server.call("XADD", keys.feed(partition), feed, account.session_id, last)
    await patient.store.server.call("HSET", keys.log(partition), ":feed", feed)
    pause = asyncio.create_task(_standing_still(real, 0.25))
    await asyncio.sleep(0)
    appended = await account.append(patient, "during")
    await pause
    assert isinstance(appended, Appended)
    assert appended.offset == f"{ahead}-4"
    assert await account.balance(patient) == ["before", "ahead", "during"]


async def test_a_waiting_append_goes_with_its_cancelled_neighbour(
    real: Server, patient: SessionManager, account: Ledger
) -> None:
    """What stands behind a cancelled append of the same session is sent all the same."""
    real.pause()
    first = asyncio.create_task(patient.append(account.session_id, NoteAdded(text="cancelled")))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(account.append(patient, "second"))
    await asyncio.sleep(0.01)
    first.cancel()
    real.resume()
    assert isinstance(await second, Appended)
    assert await account.balance(patient) == ["before", "cancelled", "second"]
