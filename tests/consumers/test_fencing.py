"""A commit counts only while the lease and the position are those that it was made under, and counts once (G29)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.consumers.administering import move_group
from sessionstream.consumers.committing import Commit, send_commit
from sessionstream.consumers.leases import Lease, Leases
from sessionstream.consumers.registry import found
from sessionstream.errors import EventTypeError, InvalidArgument, LeaseLost
from sessionstream.feed.reading import newest
from sessionstream.projection import HEAD, Add, Increment, Put, Slide, counters, index, ranking, view
from tests.consumers.conftest import QUICK, MakeManager
from tests.consumers.joining import Seen, add_notes, caught_up
from tests.servers import Server
from tests.sessions.waiting import until

pytestmark = pytest.mark.guarantee

COUNT, OWN = counters("count"), view("own")


async def _as_if_trimmed(manager: SessionManager) -> None:
    """Let any position pass for one of which the feed has told: a commit to one that it never had is refused."""
    await manager.store.server.call("HSET", manager.store.keys.log(0), ":feed_first", 1_000_000)


async def _holder(manager: SessionManager, name: str, lease: float = 60.0) -> tuple[Leases, Lease]:
    """Return a holder of partition 0 of a group that is new."""
    await found(manager.store, "g", ["0-0"] * manager.store.keys.partitions)
    await _as_if_trimmed(manager)
    leases = Leases(manager.store, "g", name, f"holder-{name}", lease)
    acquired = await leases.acquire(0)
    assert acquired is not None
    return leases, acquired


async def test_a_commit_after_the_partition_went_to_another_is_refused(manager: SessionManager, client: Redis) -> None:
    """Point 3: the token is another one, and nothing of the commit is done."""
    _, stale = await _holder(manager, "a", lease=0.05)
    others = Leases(manager.store, "g", "b", "holder-b", 60.0)
    fresh = await until(lambda: others.acquire(0))
    assert fresh.token > stale.token
    operated = [("s", "1-1", [Increment(COUNT, "n", 1)])]
    answer = await send_commit(manager.store, "g", "holder-a", stale, 1, "0-0", Commit("1-1", operated=operated))
    assert not answer.done
    assert await manager.consumers.view("g").counters(COUNT) == {}
    assert (await manager.consumers.status("g")).partitions[0].position == "0-0"


async def test_a_commit_from_another_position_is_refused(manager: SessionManager) -> None:
    """Somebody has moved the group."""
    _, lease = await _holder(manager, "a")
    assert (await send_commit(manager.store, "g", "holder-a", lease, 1, "0-0", Commit("5-1"))).done
    assert not (await send_commit(manager.store, "g", "holder-a", lease, 2, "0-0", Commit("5-2"))).done


async def test_a_commit_to_a_position_that_the_feed_has_not_is_refused(
    manager: SessionManager, session_id: str
) -> None:
    """It had it when that was read, and has lost it since."""
    _, lease = await _holder(manager, "a")
    partition = manager.store.keys.partition(session_id)
    log = manager.store.keys.log(0)
    await manager.store.server.call("HDEL", log, ":feed_first")
    assert not (await send_commit(manager.store, "g", "holder-a", lease, 1, "0-0", Commit("5-1"))).done
    end = (await newest(manager.store)).positions[partition]
    there = Lease(partition, 1, "0-0", 0, "")
    await Leases(manager.store, "g", "a", "holder-a", 60.0).acquire(partition)
    assert (await send_commit(manager.store, "g", "holder-a", there, 2, "0-0", Commit(end))).done


async def test_a_commit_that_is_sent_twice_counts_once(manager: SessionManager) -> None:
    """Its number tells the repeat, which is answered as the first copy was."""
    _, lease = await _holder(manager, "a")
    for _ in range(2):
        one = Commit("5-1", operated=[("s", "1-1", [Increment(COUNT, "n", 1)])])
        one.counters["handled"] = 1
        assert (await send_commit(manager.store, "g", "holder-a", lease, 1, "0-0", one)).done
    assert await manager.consumers.view("g").counters(COUNT) == {"n": 1}
    assert (await manager.consumers.status("g")).count("handled") == 1


async def test_a_commit_to_a_deleted_group_is_refused(manager: SessionManager) -> None:
    """It does not come back by it."""
    _, lease = await _holder(manager, "a")
    assert await manager.consumers.delete("g")
    assert not (await send_commit(manager.store, "g", "holder-a", lease, 1, "0-0", Commit("5-1"))).done
    assert await manager.consumers.groups() == []


async def test_who_is_refused_learns_it(make_manager: MakeManager, session_id: str) -> None:
    """`Item.committed` raises `LeaseLost` where the acknowledgment came too late, and returns where it did not."""
    manager = make_manager()
    async with manager.consumers.join("g", lease=600.0) as consumer:
        item = await anext(consumer)
        await make_manager().consumers.reset("g", "beginning")
        async with item:
            await make_manager().consumers.reset("g", "now")
        with pytest.raises(LeaseLost) as lost:
            await item.committed()
        assert (lost.value.group, lost.value.partition) == ("g", item.partition)
    await add_notes(manager, session_id, "a")
    async with manager.consumers.join("g") as consumer:
        item = await anext(consumer)
        async with item:
            pass
        await item.committed()
        assert (await manager.consumers.status("g")).lag == 0


async def test_views_change_in_the_step_that_acknowledges(manager: SessionManager, session_id: str) -> None:
    """G27: what a failed attempt has asked for is not done, and what the last one has is done once."""
    fails = iter([True, True, False, False])

    async def handle(item: Any) -> None:
        item.apply(Increment(COUNT, "n", 1), Put(OWN, {"version": str(item.event.version)}))
        if next(fails):
            raise ValueError

    async with manager.consumers.join("g", handle, **QUICK):
        await add_notes(manager, session_id, "a")
        await caught_up(manager)
    views = manager.consumers.view("g")
    assert await views.counters(COUNT) == {"n": 2}
    assert await views.fields(OWN, session_id) == {"version": b"2"}


async def test_views_of_rankings_and_indexes_are_read(manager: SessionManager, session_id: str) -> None:
    """Each kind of view, over all partitions, highest or lowest first."""
    await manager.create_session("u", "a", session_id="sess_2")
    await add_notes(manager, session_id, "x", "y")

    async def handle(item: Any) -> None:
        item.apply(Add(index("busy"), item.event.version))
        if isinstance(item.data, NoteAdded):
            item.apply(Add(ranking("texts"), item.event.version, item.data.text))

    async with manager.consumers.join("g", handle):
        await caught_up(manager)
    views = manager.consumers.view("g")
    assert await views.index(index("busy")) == [(session_id, 3.0), ("sess_2", 1.0)]
    assert await views.index(index("busy"), limit=1, lowest=True) == [("sess_2", 1.0)]
    assert await views.ranking(ranking("texts"), session_id) == {"x": 2.0, "y": 3.0}
    with pytest.raises(InvalidArgument):
        await views.counters(OWN)


async def test_what_cannot_be_carried_out_is_refused_in_the_block(manager: SessionManager, session_id: str) -> None:
    """So it is a failure of that event, and not of the commit."""
    refused: list[Any] = [Put(HEAD, {"a": "b"}), Slide([index("x")]), "nothing", Increment(COUNT, "n", 2**60)]
    problems: list[Exception] = []

    async def handle(item: Any) -> None:
        for operation in refused:
            try:
                item.apply(operation)
            except (EventTypeError, InvalidArgument) as error:
                problems.append(error)

    async with manager.consumers.join("g", handle):
        await caught_up(manager)
    assert len(problems) == len(refused)


async def test_parked_events_change_views_once_too(manager: SessionManager, session_id: str) -> None:
    """Also those that are caught up from a session's own stream, and those that come by the feed meanwhile."""
    seen = Seen(2)

    async def handle(item: Any) -> None:
        item.apply(Increment(COUNT, "n", 1))
        await seen(item)

    async with manager.consumers.join("g", handle, attempts=1, **QUICK):
        await add_notes(manager, session_id, *map(str, range(30)))
        await caught_up(manager)
        seen.failing.clear()
        adding = asyncio.create_task(add_notes(manager, session_id, *map(str, range(200))))
        await manager.consumers.replay("g")
        await adding

        async def complete() -> bool:
            return not await manager.consumers.parked("g") and (await manager.consumers.status("g")).lag == 0

        await until(complete)
    assert await manager.consumers.view("g").counters(COUNT) == {"n": 231}
    assert [one for one, _ in itertools.groupby(seen.versions)] == list(range(1, 232))


class _Partition(RuleBasedStateMachine):
    """The scripts of leases and commits beside a plain model: who holds, with which token, at which position."""

    manager: SessionManager
    loop: asyncio.AbstractEventLoop
    names = ("a", "b", "c")

    def __init__(self) -> None:
        super().__init__()
        self.group = f"g{next(_numbers)}"
        keys = self.manager.store.keys.partitions
        self._run(found(self.manager.store, self.group, ["0-0"] * keys))
        self._run(_as_if_trimmed(self.manager))
        self.leases = {name: Leases(self.manager.store, self.group, name, f"h-{name}", 600.0) for name in self.names}
        self.known: dict[str, Lease] = {}
        self.holder: str | None = None
        self.token = self.position = self.counted = 0
        self.numbers = itertools.count(1)
        self.alive: dict[str, str] = {}

    def _run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @rule(name=st.sampled_from(names))
    def acquire(self, name: str) -> None:
        """It is given to whoever asks while nobody has it, and to the holder again."""
        lease = self._run(self.leases[name].acquire(0))
        if self.holder not in (None, name):
            assert lease is None
            return
        self.token += self.holder is None
        self.holder = name
        assert (lease.token, int(lease.position.partition("-")[2])) == (self.token, self.position)
        self.known[name] = lease

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        """Only the holder's lease begins anew."""
        name = data.draw(st.sampled_from(sorted(self.known)))
        assert (self._run(self.leases[name].renew(self.known[name])) is not None) == self._holds(name)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Only the holder lets go."""
        name = data.draw(st.sampled_from(sorted(self.known)))
        self._run(self.leases[name].release(self.known[name]))
        if self._holds(name):
            self.holder = None

    @rule(to=st.integers(0, 50))
    def reset(self, to: int) -> None:
        """Whoever holds it loses it, unless nothing moves."""
        cursor = [f"{to + 1}-{to}"] + ["0-0"] * (self.manager.store.keys.partitions - 1)
        self._run(move_group(self.manager.store, self.group, cursor))
        if self.position_text != cursor[0]:
            self.token, self.holder = self.token + 1, None
        self.position, self.position_text = to, cursor[0]

    position_text = "0-0"

    @precondition(lambda self: self.known)
    @rule(data=st.data(), by=st.integers(0, 5), repeated=st.booleans(), stale=st.booleans())
    def commit(self, data: st.DataObject, by: int, repeated: bool, stale: bool) -> None:
        """The holder's counts once, however often it is sent; anybody else's does not, nor one from elsewhere."""
        name = data.draw(st.sampled_from(sorted(self.known)))
        number, to = next(self.numbers), self.position + by
        before = "7-777" if stale else self.position_text
        after = f"{to + 1}-{to}"
        good = self._holds(name) and not stale
        for _ in range(1 + repeated):
            one = Commit(after, operated=[("s", "1-1", [Increment(COUNT, self.group, 1)])])
            commit = send_commit(self.manager.store, self.group, f"h-{name}", self.known[name], number, before, one)
            assert self._run(commit).done == good
        if good:
            self.position, self.position_text, self.counted = to, after, self.counted + 1

    def _holds(self, name: str) -> bool:
        return self.holder == name and self.known[name].token == self.token

    @invariant()
    def it_is_where_it_should_be(self) -> None:
        """Position, and what was counted with it."""
        keys = self.manager.store.keys
        view = keys.partition_place(f"@{self.group}", COUNT, 0)
        reads = [("HGET", keys.groups(0), self.group), ("HGET", view, self.group)]
        position, counted = self._run(self.manager.store.server.calls(reads))
        assert (position.decode(), int(counted or 0)) == (self.position_text, self.counted)


_numbers = itertools.count()


@pytest.fixture
def own_server(make_server: Callable[..., Server]) -> Server:
    """A server that no event loop of a test uses."""
    return make_server()


def test_leases_and_commits_are_what_a_plain_model_says(own_server: Server) -> None:
    """G27: whatever members do in whatever order."""
    loop = asyncio.new_event_loop()
    manager = SessionManager(url=own_server.unix_url, namespace="model", partitions=1)
    _Partition.manager, _Partition.loop = manager, loop
    run = settings(max_examples=30, stateful_step_count=30, suppress_health_check=list(HealthCheck), deadline=None)
    try:
        run_state_machine_as_test(_Partition, settings=run)
    finally:
        loop.run_until_complete(manager.aclose())
        loop.close()
