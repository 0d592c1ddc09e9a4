"""What leaves together: the appends of one loop turn that share a partition, and what becomes of them.

A session has at most one call under way from one manager; what is appended to it meanwhile waits and leaves together in
the next call. So call order is kept through whatever makes a call be repeated, and a busy session batches by itself.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from itertools import repeat
from time import monotonic
from typing import Any

from sessionstream.errors import EventTypeError, NotReplicated, OutcomeUnknown, SessionStreamError, Unavailable
from sessionstream.log.answers import (
    each_of,
    failure_of,
    is_made,
    needs_sliding,
    now_and_versions,
    place_of,
    refusal_or_repeat,
)
from sessionstream.log.group import Group, fit_one_call
from sessionstream.log.parts import Parts
from sessionstream.log.replicating import by_replicas
from sessionstream.log.request import Append, Appended
from sessionstream.log.sending_alone import send_alone
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.refusal import after_sending
from sessionstream.wire.waking import Given, give_all

__all__ = ["Queue"]

# Seconds until what the server refused for a while is sent again.
_PAUSE = 0.05


class Queue:
    """What one event loop has yet to send, and what it waits for.

    Args:
        parts: what it works with.

    Attributes:
        parts: as given.
        loop: the event loop.
        fresh: what is to be sent at the end of this turn, by partition.
        busy: the sessions that have a call under way, each with what waits for its end.
        flushing: whether what is fresh will be sent.
        until: the loop's time at which what is called in this turn is given up.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.loop = asyncio.get_running_loop()
        self.fresh: defaultdict[int, list[Append]] = defaultdict(list)
        self.busy: dict[str, list[Append] | None] = {}
        self.flushing = False
        # Whether some have waited for replicas.
        self._replicated = False
        # The partitions that wait for room.
        self._held: set[int] = set()
        self.until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, request: Append) -> None:
        """Send a request at the end of this turn, or when its session is no longer busy."""
        if not self.flushing and self._begin(request):
            return
        request.until = self.until
        if request.session_id in self.busy:
            self._wait(request)
            return
        if request.replicas:
            self._replicated = True
        self.fresh[request.route.partition].append(request)

    def _begin(self, request: Append) -> bool:
        """Send the first request of a turn at once, if it is alone there; otherwise send what there is when it ends."""
        lane = None if request.replicas else self._lane_alone(request)
        if lane is not None:
            request.until = self.loop.time() + self.parts.server.deadline
            self._send(Group(request.route.partition, [request]), lane)
            lane.flush_alone()
            return True
        # Also where some wait already: they may be of partitions that have no room.
        self._flush_soon()
        return False

    def _lane_alone(self, request: Append) -> Lane | None:
        """Return where a request may leave at once, since nothing else does in this turn."""
        if self.fresh or request.session_id in self.busy:
            return None
        lane = self.parts.server.open_lane(self.parts.keys.log(request.route.partition))
        return lane if lane is not None and lane.alone else None

    def begin_usual(self, request: Append) -> asyncio.Future[Appended]:
        """Send a turn's first request, of the usual form; the future gives what it gave, most often at once."""
        lane = self._lane_alone(request)
        if lane is None:
            self._flush_soon()
        else:
            with suppress(LaneClosed):
                if (future := send_alone(self, request, lane)) is not None:
                    return future
        request.future = future = asyncio.Future(loop=self.loop)
        self.add(request)
        return future

    def _wait(self, request: Append) -> None:
        """Keep a request until its session's call has ended."""
        waiting = self.busy[request.session_id]
        if waiting is None:
            self.busy[request.session_id] = [request]
        else:
            waiting.append(request)

    def _flush_soon(self) -> None:
        if not self.flushing:
            self.flushing = True
            # What is called in one turn of the loop has one deadline.
            self.until = self.loop.time() + self.parts.server.deadline
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self.flushing = False
        fresh, self.fresh = self.fresh, defaultdict(list)
        for partition, requests in fresh.items():
            if self._replicated:
                self._flush_kinds(partition, requests)
            else:
                self._flush_partition(partition, requests)
        self._write()

    def _flush_partition(self, partition: int, requests: list[Append]) -> None:
        lane = self.parts.server.open_lane(self.parts.keys.log(partition))
        if partition in self._held or (lane is not None and not lane.has_room):
            self._hold(partition, requests, lane)
        elif (group := Group(partition, requests)).fits:
            self._send(group, lane)
        else:
            self._send_divided(partition, requests)

    def _flush_kinds(self, partition: int, requests: list[Append]) -> None:
        kinds, behind = by_replicas(requests)
        for kind in kinds.values():
            self._flush_partition(partition, kind)
        for request in behind:
            if request.session_id in self.busy:
                self._wait(request)
            else:
                self.fresh[partition].append(request)

    def _send_divided(self, partition: int, requests: list[Append]) -> None:
        """Send what is too much for one call; a session that comes again behind a border waits for its first call."""
        group: list[Append] = []
        events = size = 0
        for place, request in enumerate(requests):
            events, size = events + request.count, size + request.size
            if group and not fit_one_call(len(group) + 1, events, size):
                self._send(Group(partition, group))
                group, events, size = [], request.count, request.size
                lane = self.parts.server.open_lane(self.parts.keys.log(partition))
                if lane is not None and not lane.has_room:
                    self._hold(partition, requests[place:], lane)
                    return
            if request.session_id in self.busy:
                self._wait(request)
            else:
                group.append(request)
        if group:
            self._send(Group(partition, group))

    def _hold(self, partition: int, requests: list[Append], lane: Lane | None) -> None:
        """Keep requests until their lane has room; those of a busy session wait for its call as ever."""
        for request in requests:
            if request.session_id in self.busy:
                self._wait(request)
            else:
                self.fresh[partition].append(request)
        if partition in self.fresh and partition not in self._held and lane is not None:
            self._held.add(partition)
            self._start(self._flush_with_room(partition, lane))

    async def _flush_with_room(self, partition: int, lane: Lane) -> None:
        try:
            async with asyncio.timeout_at(min([one.until for one in self.fresh.get(partition, ())], default=None)):
                await lane.room()
        except TimeoutError:
            requests, now = self.fresh.pop(partition, []), self.loop.time()
            for request in requests:
                if request.until <= now:
                    _refuse(request, Unavailable("not sent: what was sent before it is not answered"))
            if left := [request for request in requests if request.until > now]:
                self.fresh[partition] = left
        finally:
            self._held.discard(partition)
            self._flush_soon()

    def _write(self) -> None:
        self.parts.server.flush()

    def _send(self, group: Group, lane: Lane | None = None) -> None:
        """Send a group; the lane is looked up, if it is not given."""
        busy, sessions = self.busy, group.sessions
        # What is sent again has kept its sessions, and what waits for them.
        busy.update(sessions if busy.keys().isdisjoint(sessions) else sessions | busy)
        if lane is None:
            lane = self.parts.server.open_lane(self.parts.keys.log(group.partition))
        try:
            packed = self.parts.calls.pack(group)
        except Exception:  # a user's projection may give anything at all
            self._fail_alone(group)
            return
        if group.replicas:
            self._start(self._recover(group, None))
            return
        if lane is None:
            self._start(self._recover(group, None))
            return
        group.sent(lane, monotonic())
        try:
            lane.send_pieces(packed, group.size_of(packed), partial(self.answered, group, lane))
        except LaneClosed as error:
            self._start(self._recover(group, lane, error))

    def answered(self, group: Group, lane: Lane, reply: Any) -> None:
        """Let a group's appends have what the reply to its call says, or the error in its place."""
        # The lane wakes all whose answers have come together.
        if type(reply) is bytes:
            self._resolve(group, lane, reply, lane.given)
        elif reply is None:
            # The script for one append alone has left it to the other one.
            self._start(self._recover(group, None))
        elif isinstance(reply, Exception):
            self._start(self._recover(group, lane, reply))
        elif reply[0] == b"stamp":
            self._start(self._recover(group, lane))
        else:
            self._resolve_each(group, lane, *each_of(reply), lane.given)

    def _resolve(self, group: Group, lane: Lane, reply: bytes, given: list[Given]) -> None:
        """Give the appends of a group, all of which were made just now, what they gave.

        Args:
            group: the appends.
            lane: on which they were sent.
            reply: to their call.
            given: their futures and results are added, for `give_all`.
        """
        now, *versions = now_and_versions(reply)
        lane.clock.heard(now, group.sent_at)
        made = [
            Appended(request.session_id, now, version, request.count, False, request.ids, lane.durability)
            for request, version in zip(group.appends, versions, strict=True)
        ]
        self.parts.note(made)
        given += zip([request.future for request in group.appends], made, strict=True)
        self._release(group)

    def _resolve_each(self, group: Group, lane: Lane, now: int, answers: list[Any], given: list[Given]) -> None:
        """Give each append of a group what became of it; the arguments are those of `each_of` and `_resolve`."""
        lane.clock.heard(now, group.sent_at)
        again: list[Append] = []
        later: list[Append] = []
        made: list[Appended] = []
        futures: list[asyncio.Future[Appended]] = []
        durability = f"replicated({group.reached})" if group.replicas else lane.durability
        for request, answer in zip(group.appends, answers, strict=True):
            outcome: Appended | SessionStreamError
            if isinstance(answer, bytes | int):
                ms, version = place_of(answer, now)
                outcome = Appended(request.session_id, ms, version, request.count, False, request.ids, durability)
            elif needs_sliding(answer) and not request.sliding:
                request.sliding = True
                request.leave_usual_form()
                again.append(request)
                continue
            elif self._passes(request, answer, lane):
                later.append(request)
                continue
            else:
                known = isinstance(answer, NotReplicated)
                outcome = answer if known else refusal_or_repeat(request, answer, durability)
            if isinstance(outcome, Appended):
                made.append(outcome)
                futures.append(request.future)
            else:
                _refuse(request, outcome)
        self.parts.note(made)
        given += zip(futures, made, strict=True)
        if again:
            self._send(Group(group.partition, again))
            self._write()
        if later:
            self._start(self._send_later(group.partition, later))
        self._release(group, again + later)

    def _passes(self, request: Append, answer: Any, lane: Lane) -> bool:
        """Whether what the server has against an append, of which nothing was done, goes away before the deadline."""
        failure = failure_of(answer)
        in_time = failure is not None and self.loop.time() + _PAUSE < request.until
        return failure is not None and in_time and self.parts.server.passes(failure, lane)

    async def _send_later(self, partition: int, requests: list[Append]) -> None:
        try:
            await asyncio.sleep(_PAUSE)
        except asyncio.CancelledError:
            for request in requests:
                _refuse(request, Unavailable("the event loop ended before the server took writes again"))
            raise
        self._send(Group(partition, requests))
        self._write()

    def _fail(self, group: Group, error: SessionStreamError) -> None:
        for request in group.appends:
            _refuse(request, error)
        self._release(group)

    def _fail_alone(self, group: Group) -> None:
        """Some appends of the group cannot be encoded: they alone fail, the others are sent together."""
        fine: list[Append] = []
        for request in group.appends:
            try:
                self.parts.calls.pack(Group(group.partition, [request]))
                fine.append(request)
            except SessionStreamError as error:
                _refuse(request, error)
            except Exception as error:
                _refuse(request, EventTypeError(f"a projection gave what cannot be sent: {error!r}"))
        if fine:
            self._send(Group(group.partition, fine))
            self._write()
        self._release(group, fine)

    def _release(self, group: Group, kept: Sequence[Append] = ()) -> None:
        """Send what waits for the end of a group's call, but for the sessions of those that are sent again."""
        ended: Collection[str] = group.sessions
        if kept:
            ended = group.sessions.keys() - {request.session_id for request in kept}
        for waiting in filter(None, map(self.busy.pop, ended, repeat(None))):
            self.fresh[group.partition] += waiting
        if self.fresh:
            self._flush_soon()

    def _start(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _recover(self, group: Group, lane: Lane | None, error: BaseException | None = None) -> None:
        try:
            if group.replicas:
                lane, reply = await self.parts.replicating.answers(group)
            else:
                lane, reply = await self.parts.recovery.answers(group, lane, error)
            now, answers = each_of(reply)
            if group.replicas and group.reached < group.replicas:
                missing = NotReplicated(group.replicas, group.reached)
                answers = [missing if is_made(one) else one for one in answers]
            given: list[Given] = []
            self._resolve_each(group, lane, now, answers, given)
            give_all(self.loop, given)
        except SessionStreamError as failure:
            self._fail(group, after_sending(failure, "append", group.in_doubt))
        except asyncio.CancelledError:
            self._fail(group, OutcomeUnknown("the event loop ended before the answer came"))
            raise
        except Exception as failure:
            self._fail(group, OutcomeUnknown(f"an unexpected failure: {failure!r}"))
            raise


def _refuse(request: Append, error: SessionStreamError) -> None:
    # An error knows the frames that know the request, and the collector does not see requests: so the circle ends here.
    future, request.future = request.future, None
    if future is not None and not future.done():
        future.set_exception(error)
