"""A lane: many calls on one connection, each of which gets its own reply, whatever happens to the others."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import hiredis
import pytest

from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.packing import pack
from tests.proxy import Fault, Proxy

MakeLane = Callable[..., Awaitable[Lane]]
MB = 1024 * 1024


async def test_a_call_gets_its_reply(lane: Lane) -> None:
    """Text, bytes and numbers go out; bytes, numbers, lists and None come back."""
    assert await lane.call(("ECHO", "Grüße")) == "Grüße".encode()
    assert await lane.call(("ECHO", b"\x00\xff\r\n")) == b"\x00\xff\r\n"
    assert await lane.call(("ECHO", 7)) == b"7"
    assert await lane.call(("GET", "nothing:at:all")) is None
    assert await lane.call(("STRLEN", "nothing:at:all")) == 0
    assert len(await lane.call(("TIME",))) == 2


async def test_many_calls_of_one_turn_leave_in_one_write(lane: Lane, proxy: Proxy) -> None:
    """One system call for all of them."""
    before = len(proxy.requests)
    replies = await asyncio.gather(*(lane.call(("ECHO", number)) for number in range(100)))
    assert replies == [str(number).encode() for number in range(100)]
    assert len(proxy.requests) == before + 1


async def test_a_call_made_between_turns_leaves_by_itself(lane: Lane, proxy: Proxy) -> None:
    """It does not wait for others."""
    before = len(proxy.requests)
    for number in range(3):
        assert await lane.call(("ECHO", number)) == str(number).encode()
    assert len(proxy.requests) == before + 3


@pytest.mark.parametrize("seed", range(5))
async def test_a_cancelled_call_never_gives_its_reply_to_another(lane: Lane, seed: int) -> None:
    """Half of all calls are cancelled, before and after they were sent."""
    dice = random.Random(seed)
    outcomes: dict[int, bytes] = {}

    async def call(number: int) -> None:
        outcomes[number] = await lane.call(("ECHO", number))

    tasks: list[asyncio.Task[None]] = []
    for number in range(2_000):
        tasks.append(asyncio.create_task(call(number)))
        if dice.random() < 0.5:
            dice.choice(tasks).cancel()
        if dice.random() < 0.1:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(reply == str(number).encode() for number, reply in outcomes.items())
    assert {number for number, task in enumerate(tasks) if not task.cancelled()} == outcomes.keys()
    assert 0 < len(outcomes) < 2_000
    assert await lane.call(("ECHO", "last")) == b"last"


async def test_what_is_asked_together_is_made_into_one_thing(lane: Lane) -> None:
    """An error among the replies is raised, and one of the making; who asks beside it gets its own replies."""
    echoes = b"".join(pack(("ECHO", word)) for word in ("a", "b"))
    broken = pack(("ECHO", "a")) + pack(("NO.SUCH.COMMAND",))

    def divide(_first: bytes, _second: bytes) -> float:
        return 1 / 0

    found = await asyncio.gather(
        lane.together(echoes, 2, lambda first, second: first + second),
        lane.together(broken, 2, lambda first, second: first),
        lane.together(echoes, 2, divide),
        lane.call(("ECHO", "c")),
        return_exceptions=True,
    )
    assert found[::3] == [b"ab", b"c"]
    assert [type(error) for error in found[1:3]] == [hiredis.ReplyError, ZeroDivisionError]


async def test_who_no_longer_waits_for_what_was_asked_together_harms_nobody(lane: Lane) -> None:
    """Nothing is made of its replies, and they are nobody else's."""
    made: list[bytes] = []
    before = lane.call(("ECHO", "before"))
    asked = lane.together(pack(("ECHO", "a")) + pack(("ECHO", "b")), 2, lambda *both: made.extend(both))
    asked.cancel()
    assert await lane.call(("ECHO", "c")) == b"c"
    assert await before == b"before"
    assert not made


async def test_an_error_in_the_middle_is_the_error_of_one_call(lane: Lane) -> None:
    """The calls around it are answered."""
    calls = [("ECHO", "a"), ("NO.SUCH.COMMAND",), ("ECHO", "b"), ("GET",), ("ECHO", "c")]
    outcomes = await asyncio.gather(*map(lane.call, calls), return_exceptions=True)
    assert outcomes[::2] == [b"a", b"b", b"c"]
    assert all(isinstance(outcome, hiredis.ReplyError) for outcome in outcomes[1::2])


async def test_a_call_that_cannot_be_sent_leaves_the_others_their_replies(lane: Lane) -> None:
    """It fails at once, and is not counted among those that wait."""
    first = lane.call(("ECHO", "first"))
    for wrong in (object(), None, "\ud800", ["a", "list"]):
        with pytest.raises((TypeError, ValueError)):
            lane.call(("ECHO", wrong))  # type: ignore[arg-type]
    second = lane.call(("ECHO", "second"))
    assert [await first, await second] == [b"first", b"second"]


async def test_a_large_reply_comes_whole_and_the_small_ones_around_it(lane: Lane) -> None:
    """Replies that arrive in thousands of pieces are put together."""
    large = random.Random(1).randbytes(16 * MB)
    before, echoed, after = await asyncio.gather(
        lane.call(("ECHO", "before")), lane.call(("ECHO", large)), lane.call(("ECHO", "after"))
    )
    assert (before, after) == (b"before", b"after")
    assert echoed == large


async def test_calls_wait_while_the_server_does_not_read(lane: Lane, proxy: Proxy) -> None:
    """What is held back leaves in its order as soon as there is room again."""
    proxy.hold(requests=True)
    calls = [lane.call(("ECHO", f"{number}:" + "x" * 100_000)) for number in range(50)]
    await asyncio.sleep(0)
    calls += [lane.call(("ECHO", f"{number}:")) for number in range(50, 100)]
    await asyncio.sleep(0)
    assert not any(call.done() for call in calls)
    proxy.release()
    replies = await asyncio.gather(*calls)
    assert [int(reply.partition(b":")[0]) for reply in replies] == list(range(100))


async def test_a_connection_without_replies_counts_as_broken(make_lane: MakeLane, proxy: Proxy) -> None:
    """After ``reply_timeout`` all that wait are told, and that what they sent may have been executed."""
    lane = await make_lane(reply_timeout=0.15)
    proxy.hold(replies=True)
    began = time.monotonic()
    outcomes = await asyncio.gather(*(lane.call(("PING",)) for _ in range(3)), return_exceptions=True)
    assert 0.1 < time.monotonic() - began < 3
    assert all(isinstance(outcome, LaneClosed) and outcome.sent for outcome in outcomes)
    assert lane.closed


async def test_an_idle_connection_is_not_broken(make_lane: MakeLane) -> None:
    """Nobody waits for a reply, so none is late."""
    lane = await make_lane(reply_timeout=0.2)
    assert await lane.call(("PING",)) == b"PONG"
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        await asyncio.sleep(0.01)
    assert not lane.closed
    assert await lane.call(("PING",)) == b"PONG"


async def test_a_reply_that_keeps_arriving_is_not_late(make_lane: MakeLane, proxy: Proxy) -> None:
    """A large reply over a slow network takes longer than ``reply_timeout`` as a whole."""
    lane = await make_lane(reply_timeout=0.4)
    large = b"x" * (4 * MB)
    proxy.reply_delay = 0.05
    began = time.monotonic()
    assert await lane.call(("ECHO", large)) == large
    assert time.monotonic() - began > 0.5, "the reply came too fast to show anything"


async def test_a_request_that_keeps_leaving_is_not_late(make_lane: MakeLane, proxy: Proxy) -> None:
    """Nor is one whose bytes the server takes slowly."""
    lane = await make_lane(reply_timeout=0.4)
    proxy.request_delay = 0.05
    began = time.monotonic()
    assert await lane.call(("STRLEN", b"x" * (4 * MB))) == 0
    assert time.monotonic() - began > 0.5, "the request left too fast to show anything"


async def test_a_cut_connection_fails_all_that_wait(lane: Lane, proxy: Proxy) -> None:
    """They were sent, so they may have been executed."""
    proxy.hold(replies=True)
    calls = [lane.call(("PING",)) for _ in range(3)]
    while not any(b"PING" in request for request in proxy.requests):
        await asyncio.sleep(0.001)
    proxy.cut()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, LaneClosed) and outcome.sent for outcome in outcomes)


async def test_a_half_reply_is_no_reply(lane: Lane, proxy: Proxy) -> None:
    """The call it belongs to fails with the connection."""
    proxy.arm(Fault.HALF_REPLY, b"ECHO")
    with pytest.raises(LaneClosed) as caught:
        await lane.call(("ECHO", "x" * 1_000))
    assert caught.value.sent


async def test_a_closed_lane_sends_nothing(lane: Lane) -> None:
    """A call says so at once; one that was not sent yet says that it was not."""
    waiting = lane.call(("PING",))
    lane.close()
    with pytest.raises(LaneClosed) as caught:
        await waiting
    assert not caught.value.sent
    with pytest.raises(LaneClosed) as caught:
        lane.call(("PING",))
    assert not caught.value.sent


async def test_what_is_no_answer_of_a_server_ends_the_connection(
    lane: Lane, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Another protocol on the same port is not taken for replies."""
    proxy.reply_filter = lambda data: b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with pytest.raises(LaneClosed):
        await lane.call(("PING",))
    assert lane.closed


async def test_messages_that_nobody_asked_for_are_no_replies(make_lane: MakeLane, lane: Lane) -> None:
    """On a lane of RESP3 they go to a listener of their own, between the replies."""
    listening = await make_lane(protocol=3)
    pushed: list[Any] = []
    listening.on_push = pushed.append
    listening.tell(("SUBSCRIBE", "news"))
    while not pushed:
        await asyncio.sleep(0.001)
    for number in range(3):
        await lane.call(("PUBLISH", "news", number))
    assert await listening.call(("ECHO", "mine")) == b"mine"
    assert pushed[1:] == [[b"message", b"news", str(number).encode()] for number in range(3)]


async def test_what_closes_a_lane_in_the_middle_of_replies_is_given_nothing_twice(lane: Lane) -> None:
    """Each of the others learns once that the connection is gone, or has the reply that came before."""
    taken: dict[int, list[Any]] = {number: [] for number in range(5)}

    def take(number: int, reply: Any) -> None:
        taken[number].append(reply)
        if number == 2:
            lane.close()

    for number in taken:
        lane.send(pack(("ECHO", number)), partial(take, number))
    lane.flush()
    await lane.wait_closed()
    assert [taken[number] for number in range(3)] == [[b"0"], [b"1"], [b"2"]]
    assert all([type(reply) for reply in taken[number]] == [LaneClosed] for number in (3, 4))


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
async def test_who_is_interrupted_while_replies_are_handed_on_leaves_nobody_waiting(
    lane: Lane, error: type[BaseException]
) -> None:
    """By a signal's handler, say: the connection is abandoned, and whoever was being given a reply is told so too."""
    taken: dict[int, list[Any]] = {number: [] for number in range(3)}

    def take(number: int, reply: Any) -> None:
        taken[number].append(reply)
        if number == 1 and type(reply) is bytes:
            raise error

    for number in taken:
        lane.send(pack(("ECHO", number)), partial(take, number))
    with pytest.raises(error):
        lane.data_received(b"$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n")
    await lane.wait_closed()
    assert taken[0] == [b"0"]
    assert [type(reply) for reply in taken[1]] == [bytes, LaneClosed]
    assert [type(reply) for reply in taken[2]] == [LaneClosed]


async def test_a_lane_knows_the_servers_clock(lane: Lane) -> None:
    """From its first reply on, without asking again."""
    seconds, micros = await lane.call(("TIME",))
    now = int(seconds) * 1000 + int(micros) // 1000
    latest = lane.clock.latest_ms()
    assert latest is not None
    assert abs(latest - now) < 1_000
    assert lane.clock.ms <= now


async def test_a_retired_lane_gives_what_is_due_and_then_closes(make_lane: Callable[..., Awaitable[Lane]]) -> None:
    """It counts as closed at once, so that nobody takes it any more."""
    lane = await make_lane()
    replies = [lane.call(("ECHO", number)) for number in range(3)]
    lane.retire()
    assert lane.closed
    assert await asyncio.gather(*replies) == [b"0", b"1", b"2"]
    await lane.wait_closed()
    with pytest.raises(LaneClosed) as caught:
        lane.call(("PING",))
    assert (caught.value.sent, caught.value.wanted) == (False, False)


async def test_a_lane_that_is_abandoned_answers_nobody(make_lane: Callable[..., Awaitable[Lane]]) -> None:
    """What was sent may have been executed."""
    lane = await make_lane()
    reply = lane.call(("ECHO", "x"))
    lane.flush()
    lane.abandon("the primary is another one")
    with pytest.raises(LaneClosed, match="another one") as caught:
        await reply
    assert caught.value.sent
