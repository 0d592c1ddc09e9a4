"""Tasks that wait for what came together are woken together, each as if it had been woken alone.

G4.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pytest

from sessionstream.wire.waking import give_all

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("name")


async def waiters(count: int, wait: Callable[[asyncio.Future[Any]], Any]) -> list[tuple[asyncio.Future[Any], Any]]:
    """Return so many futures, and for each the task that waits for it."""
    futures = [asyncio.get_running_loop().create_future() for _ in range(count)]
    tasks = [asyncio.ensure_future(wait(future)) for future in futures]
    await asyncio.sleep(0)
    return list(zip(futures, tasks, strict=True))


def give_numbers(pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
    """Give each future its number, and have those woken that wait for it."""
    give_all(asyncio.get_running_loop(), [(future, number) for number, (future, _) in enumerate(pairs)])


async def plainly(future: asyncio.Future[Any]) -> Any:
    """Wait for a future."""
    return await future


async def test_each_gets_its_own_result() -> None:
    """In the order in which they were given, and not before whoever gives is done."""
    order: list[int] = []

    async def wait(future: asyncio.Future[Any]) -> Any:
        order.append(await future)
        return order[-1]

    pairs = await waiters(5, wait)
    give_numbers(pairs)
    assert order == []
    assert await asyncio.gather(*(task for _, task in pairs)) == order == [0, 1, 2, 3, 4]


async def test_where_the_server_is_idle_half_go_first() -> None:
    """What they call at the end of their turn is done before the others go on, who are many or one."""
    for count in (2, 3, 8):
        order: list[int | str] = []

        async def wait(future: asyncio.Future[Any], order: list[int | str] = order) -> Any:
            order.append(await future)
            if "called" not in order:
                asyncio.get_running_loop().call_soon(order.append, "sent")
                order.append("called")

        pairs = await waiters(count, wait)
        loop = asyncio.get_running_loop()
        give_all(loop, [(future, number) for number, (future, _) in enumerate(pairs)], idle=True)
        await asyncio.gather(*(task for _, task in pairs))
        half = count // 2
        assert order == [0, "called", *range(1, half), "sent", *range(half, count)]


async def test_nobody_has_to_wait() -> None:
    """A future that nobody waits for yet has its result all the same."""
    [(future, task)] = await waiters(1, plainly)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    alone = asyncio.get_running_loop().create_future()
    give_numbers([(alone, None)])
    assert await alone == 0
    assert future.cancelled()


async def test_one_that_is_cancelled_meanwhile_is_cancelled() -> None:
    """As ever, between the result and the turn of who waits for it; the others have theirs."""
    pairs = await waiters(3, plainly)
    give_numbers(pairs)
    pairs[1][1].cancel()
    found = await asyncio.gather(*(task for _, task in pairs), return_exceptions=True)
    assert isinstance(found[1], asyncio.CancelledError)
    assert (found[0], found[2]) == (0, 2)


async def test_each_goes_on_in_its_own_context() -> None:
    """What one of them sets no other sees."""

    async def wait(future: asyncio.Future[Any]) -> str:
        NAME.set(str(await future))
        await asyncio.sleep(0)
        return NAME.get()

    pairs = await waiters(3, wait)
    give_numbers(pairs)
    assert await asyncio.gather(*(task for _, task in pairs)) == ["0", "1", "2"]
    assert NAME.get("") == ""


async def test_several_may_wait_for_one() -> None:
    """And those that are shielded, or wait for a while only."""
    future = asyncio.get_running_loop().create_future()
    others = [asyncio.ensure_future(one) for one in (plainly(future), plainly(future), asyncio.shield(future))]
    timed = asyncio.ensure_future(asyncio.wait_for(asyncio.shield(future), 10))
    await asyncio.sleep(0)
    pairs = await waiters(1, lambda one: asyncio.wait_for(one, 10))
    give_numbers([(future, None), *pairs])
    assert await asyncio.gather(*others, timed, pairs[0][1]) == [0, 0, 0, 0, 1]


async def test_an_error_of_a_callback_is_told_and_keeps_nobody_waiting() -> None:
    """The loop's handler of errors is told, as it is of any callback."""
    told: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))
    pairs = await waiters(3, plainly)
    broken = loop.create_future()
    broken.add_done_callback(lambda done: 1 / 0)
    give_numbers([pairs[0], (broken, None), *pairs[1:]])
    assert await asyncio.gather(*(task for _, task in pairs)) == [0, 2, 3]
    assert [type(error) for error in told] == [ZeroDivisionError]


def test_an_interrupt_keeps_nobody_waiting() -> None:
    """It ends the loop at once; who waited behind it goes on when the loop does."""

    async def begin() -> list[tuple[asyncio.Future[Any], Any]]:
        async def interrupted(future: asyncio.Future[Any]) -> None:
            await future
            raise KeyboardInterrupt

        [first] = await waiters(1, interrupted)
        return [first, *await waiters(3, plainly)]

    loop = asyncio.new_event_loop()
    pairs = loop.run_until_complete(begin())
    loop.call_soon(give_numbers, pairs)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    rest = asyncio.gather(*(task for _, task in pairs[1:]), return_exceptions=True)
    assert loop.run_until_complete(rest) == [1, 2, 3]
    assert isinstance(pairs[0][1].exception(), KeyboardInterrupt)
    loop.close()


async def test_nobody_takes_himself_for_the_only_one() -> None:
    """As long as others are still to be woken the loop has something to do, which a lane looks at."""
    loop: Any = asyncio.get_running_loop()
    ready: list[int] = []

    async def wait(future: asyncio.Future[Any]) -> None:
        await future
        ready.append(len(loop._ready))

    pairs = await waiters(4, wait)
    give_numbers(pairs)
    await asyncio.gather(*(task for _, task in pairs))
    assert min(ready[:-1]) > 0
