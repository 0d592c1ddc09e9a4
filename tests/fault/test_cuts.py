"""A connection cut after sending, and a late first copy behind a delaying proxy, never make two events (G3, G42)."""

from __future__ import annotations

import asyncio
import random

import pytest

from sessionstream import Appended, NoteAdded, OutcomeUnknown, SessionManager, Unavailable
from tests.fault.conftest import in_a_hurry
from tests.fault.ledger import Ledger
from tests.proxy import Fault, Proxy

FAULTS = list(Fault)


@pytest.mark.guarantee
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
async def test_one_interrupted_append_is_one_event(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, ledger: Ledger, fault: Fault
) -> None:
    """Whatever became of its first copy, it succeeds, and its result tells where it is."""
    await ledger.append(manager, "before")
    proxy.arm(fault)
    appended = await ledger.append(manager, "interrupted")
    assert isinstance(appended, Appended)
    assert proxy.armed == 0
    proxy.deliver()
    await ledger.append(manager, "after")
    assert await ledger.balance(beside) == ["before", "interrupted", "after"]


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_each_append_is_one_event(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, ledger: Ledger, seed: int
) -> None:
    """Many rounds of faults at random; late copies come at any moment, also while the repeat is under way."""
    dice = random.Random(seed)
    late: set[asyncio.Task[None]] = set()

    async def deliver(delay: float) -> None:
        await asyncio.sleep(delay)
        await asyncio.to_thread(proxy.deliver)

    for round_ in range(30):
        for fault in dice.choices(FAULTS[:4], k=dice.randrange(3)):
            proxy.arm(fault)
            if fault is Fault.LATE_REQUEST:
                late.add(asyncio.create_task(deliver(dice.uniform(0, 0.01))))
        texts = [f"{round_}.{number}" for number in range(dice.randrange(1, 4))]
        await asyncio.gather(*(ledger.append(manager, text) for text in texts))
    await asyncio.gather(*late)
    proxy.deliver()
    assert ledger.errors == {}
    assert len(await ledger.balance(beside)) == len(ledger.acknowledged)


async def test_a_late_copy_is_kept_out_by_the_fence(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, ledger: Ledger
) -> None:
    """Every time: a copy that arrives after its repeat was answered finds its connection ended."""
    for number in range(20):
        proxy.arm(Fault.LATE_REQUEST)
        assert isinstance(await ledger.append(manager, str(number)), Appended)
        proxy.deliver()
    assert await ledger.balance(beside) == [str(number) for number in range(20)]


async def test_a_late_copy_behind_many_other_events_is_found(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, ledger: Ledger
) -> None:
    """A repeat looks back to the moment from which its first copy can be there, however many events came since."""
    proxy.arm(Fault.NO_REPLY)
    interrupted = asyncio.create_task(ledger.append(manager, "interrupted"))
    while not any(event.type == "note.added" for event in [e async for e in beside.history(ledger.session_id)]):
        await asyncio.sleep(0.001)
    await beside.append(ledger.session_id, [NoteAdded(text=f"other {number}") for number in range(350)])
    appended = await interrupted
    assert isinstance(appended, Appended)
    assert appended.version == 2
    assert len(await ledger.balance(beside)) == 351


@pytest.mark.guarantee
async def test_batches_are_repeated_whole(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, ledger: Ledger
) -> None:
    """The result is that of the last event of the first copy."""
    for fault in FAULTS:
        proxy.arm(fault)
        appended = await manager.append(ledger.session_id, [NoteAdded(text=f"{fault.name} {n}") for n in range(5)])
        proxy.deliver()
        stored = [event.offset async for event in beside.history(ledger.session_id, backward=True, limit=5)]
        assert appended.offsets == stored[::-1]
    assert len(await ledger.balance(beside)) == 5 * len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
async def test_many_sessions_in_one_interrupted_call_are_each_appended_once(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, fault: Fault
) -> None:
    """Whatever a group shares, the appends in it are found one by one."""
    sessions = await asyncio.gather(*(beside.create_session("user_1", "assistant") for _ in range(40)))
    ledgers = [Ledger(session.session_id) for session in sessions]
    await asyncio.gather(*(ledger.append(manager, "before") for ledger in ledgers))
    proxy.arm(fault)
    await asyncio.gather(*(ledger.append(manager, "interrupted") for ledger in ledgers))
    assert proxy.armed == 0
    proxy.deliver()
    for ledger in ledgers:
        assert ledger.errors == {}
        assert await ledger.balance(beside) == ["before", "interrupted"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
async def test_every_method_survives_an_interruption(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, fault: Fault
) -> None:
    """Creating, changing, saving, deleting: each call once more interrupted, each one event."""
    proxy.arm(fault)
    session = await manager.create_session("user_1", "assistant", {"a": 1})
    session_id = session.session_id
    for step in (
        lambda: manager.update_session_metadata(session_id, {"b": 2}),
        lambda: manager.set_session_state(session_id, "idle"),
        lambda: manager.save_checkpoint(session_id, {"turn": 1}, checkpoint_id="one"),
        lambda: manager.add_messages(session_id, {"role": "user", "content": "Hi"}),
        lambda: manager.pop_messages(session_id),
        lambda: manager.delete_checkpoint(session_id, "one"),
        lambda: manager.delete_session(session_id),
    ):
        proxy.arm(fault)
        await step()
        proxy.deliver()
    assert [event.type async for event in beside.history(session_id)] == [
        "session.created",
        "session.metadata_updated",
        "session.state_changed",
        "checkpoint.saved",
        "message.added",
        "message.retracted",
        "checkpoint.deleted",
        "session.deleted",
    ]


async def test_a_cancelled_append_that_is_tried_again_is_one_event(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, ledger: Ledger
) -> None:
    """With the same idempotency key: before it was sent, while it was under way, after it arrived."""
    dice = random.Random(7)
    for number in range(40):
        task = asyncio.create_task(ledger.append(manager, f"note {number}", idempotency_key=str(number)))
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(dice.choice([0, 0, 0.0005]))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        again = await ledger.append(manager, f"note {number}", idempotency_key=str(number))
        assert isinstance(again, Appended)
    assert await ledger.balance(beside) == [f"note {number}" for number in range(40)]


async def test_a_cancelled_append_may_still_happen(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, ledger: Ledger
) -> None:
    """It was sent, and its caller takes nothing back; what the same caller appends next comes after it."""
    await ledger.append(manager, "before")
    proxy.hold(requests=True)
    task = asyncio.create_task(manager.append(ledger.session_id, NoteAdded(text="cancelled")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    proxy.release()
    await ledger.append(manager, "after")
    assert await ledger.balance(beside) == ["before", "cancelled", "after"]


async def test_closing_the_manager_while_an_append_is_under_way_leaves_it_unknown(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, ledger: Ledger
) -> None:
    """And no connection behind."""
    await ledger.append(manager, "before")
    proxy.hold(replies=True)
    task = asyncio.create_task(ledger.append(manager, "under way"))
    while not any(b"under way" in request for request in proxy.requests):
        await asyncio.sleep(0.001)
    await manager.aclose()
    assert isinstance(await task, OutcomeUnknown)
    proxy.release()
    while proxy.open_connections:
        await asyncio.sleep(0.001)
    await ledger.balance(beside)


async def test_a_network_that_is_away_for_a_while_is_waited_for(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, ledger: Ledger
) -> None:
    """Appends that were made meanwhile go through in their order."""
    await ledger.append(manager, "before")
    proxy.refuse()
    appends = [asyncio.create_task(ledger.append(manager, str(number))) for number in range(10)]
    for _ in range(20):
        await asyncio.sleep(0.005)
    proxy.accept()
    await asyncio.gather(*appends)
    assert await ledger.balance(beside) == ["before", *(str(number) for number in range(10))]


async def test_where_nothing_comes_back_before_the_deadline_it_is_unknown_or_unavailable(
    manager: SessionManager, beside: SessionManager, proxy: Proxy, ledger: Ledger
) -> None:
    """Unknown if it was sent, unavailable if it was not; never an error of the driver or of the system."""
    await ledger.append(manager, "before")
    proxy.hold(replies=True)
    with in_a_hurry(manager, 0.4):
        sent = await ledger.append(manager, "sent")
        unsent = await ledger.append(manager, "not sent")
    assert isinstance(sent, OutcomeUnknown)
    assert isinstance(sent, ConnectionError)
    assert isinstance(sent, TimeoutError)
    assert isinstance(unsent, Unavailable)
    assert isinstance(unsent, ConnectionError)
    proxy.release()
    await ledger.append(manager, "after")
    assert "not sent" not in await ledger.balance(beside)
