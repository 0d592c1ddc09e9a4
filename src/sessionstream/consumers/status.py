"""How a group does: where it stands, how far it is behind, who its members are, and whether all is well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from sessionstream.consumers.parking import readable_text
from sessionstream.consumers.registry import positions_of_group
from sessionstream.events.encrypted import Opener
from sessionstream.events.recorded import at_ms, moment
from sessionstream.events.stored import reading_stored
from sessionstream.feed.cursor import Cursor, number_of, position_of
from sessionstream.log.feed import pointers_of
from sessionstream.log.gates import fields_of
from sessionstream.log.leases import is_running
from sessionstream.log.store import Store
from sessionstream.wire.lane import milliseconds

__all__ = ["COUNTERS", "GroupStatus", "Health", "Member", "PartitionStatus", "status_of"]

COUNTERS = ("handled", "failures", "parked", "discarded", "gone")
"""What a group counts in each partition."""

Health = Literal["active", "failing", "stalled"]
_COUNTED = 1_000
"""So many appends of each partition are looked at to count their events; each further one counts as one."""
_WORST: Sequence[Health] = ("active", "failing", "stalled")


class Member(NamedTuple):
    """A member of a group that lives.

    Attributes:
        name: its name.
        partitions: those that it holds.
    """

    name: str
    partitions: list[int]


@dataclass(frozen=True)
class PartitionStatus:
    """How a group does in one partition.

    Attributes:
        partition: which one.
        position: all pointers of the feed up to here are behind the group.
        lag: how many events are not.
        lag_seconds: how long ago the first of them was appended; 0.0 if there is none.
        member: who holds it, or nothing.
        health: ``failing`` while an event is being retried, ``stalled`` while something is to be done and nothing is,
            for longer than `status_of` was told, or nobody holds it; else ``active``.
        failing: sessions whose event is being retried, each with its offset, the attempts so far and the error.
        moved_at: when the position moved last.
        parked: how many events, or sessions that wait, are parked.
        counters: since the group was made: ``handled``, ``failures``, ``parked``, ``discarded``, and ``gone``, events
            that were removed before they could be handled.
    """

    partition: int
    position: str
    lag: int
    lag_seconds: float
    member: str
    health: Health
    failing: dict[str, tuple[str, int, str]]
    moved_at: datetime | None
    parked: int
    counters: dict[str, int]


@dataclass(frozen=True)
class GroupStatus:
    """How a group does.

    Attributes:
        group: its name.
        members: those that live.
        partitions: how it does in each partition.
        cursor: where it stands in all of them.
    """

    group: str
    members: list[Member]
    partitions: list[PartitionStatus]
    cursor: Cursor

    @property
    def lag(self) -> int:
        """How many events are not behind the group; of a partition more than 1,000 appends behind, at least so many."""
        return sum(one.lag for one in self.partitions)

    @property
    def lag_seconds(self) -> float:
        """How long ago the first of them was appended; 0.0 if there is none."""
        return max(one.lag_seconds for one in self.partitions)

    @property
    def health(self) -> Health:
        """The worst of the partitions'."""
        return max((one.health for one in self.partitions), key=_WORST.index)

    @property
    def parked(self) -> int:
        """How many events, or sessions that wait, are parked."""
        return sum(one.parked for one in self.partitions)

    def count(self, name: str) -> int:
        """Return one of the counters over all partitions; see `PartitionStatus`."""
        return sum(one.counters.get(name, 0) for one in self.partitions)


async def status_of(store: Store, group: str, stalled_after: float) -> GroupStatus:
    """Return how a group does.

    Args:
        store: the namespace.
        group: its name.
        stalled_after: seconds without any progress, while there is something to do, after which that is a stall.

    Raises:
        GroupNotFound: there is no such group.
    """
    positions = await positions_of_group(store, group)
    keys, commands = store.keys, list[tuple[str | int, ...]]()
    for partition, position in enumerate(positions):
        commands += (
            ("XRANGE", keys.feed(partition), f"({position}", "+", "COUNT", _COUNTED),
            ("HGET", keys.log(partition), ":feed"),
            ("HGETALL", keys.group(group, partition)),
            ("HKEYS", keys.parked(group, partition)),
            ("TIME",),
        )
    replies = await store.server.calls(commands)
    rows = [replies[start : start + 5] for start in range(0, len(replies), 5)]
    with reading_stored(f"what is known of group {group!r}"):
        found = [
            _partition(number, position, row, stalled_after, store.opener)
            for number, (position, row) in enumerate(zip(positions, rows, strict=True))
        ]
        return GroupStatus(group, _members(rows[0], found), found, Cursor.of(keys, positions))


def _members(row: Sequence[object], found: Sequence[PartitionStatus]) -> list[Member]:
    fields, now = fields_of(row[2]), milliseconds(row[4])  # type: ignore[arg-type]
    beats = [(name, value.partition(b" ")) for name, value in fields.items() if name.startswith(b"@")]
    names = [name[1:].decode() for name, (lapse, _, holder) in beats if is_running(int(lapse), holder, now)]
    return [Member(name, [one.partition for one in found if one.member == name]) for name in sorted(names)]


def _partition(
    number: int, position: str, row: Sequence[object], stalled_after: float, opener: Opener
) -> PartitionStatus:
    page, end, fields, parked, now = row[0], row[1], fields_of(row[2]), row[3], milliseconds(row[4])  # type: ignore[arg-type]
    behind = [
        pointer
        for entry in page  # type: ignore[attr-defined]
        for pointer in pointers_of(entry)
        if pointer.number > number_of(position)
    ]
    last = position_of(end)  # type: ignore[arg-type]
    left = number_of(last) - number_of(position)
    lag = sum(pointer.events for pointer in behind) + max(0, left - len(behind))
    since = at_ms(behind[0].position) if behind else (at_ms(position) if left > 0 else now)
    lag_seconds = max(0, now - since) / 1000
    moved = int(fields.get(b"moved", b"0"))
    held = is_running(int(fields.get(b"until", b"0")), fields.get(b"holder", b""), now)
    failing = msgspec.json.decode(fields.get(b"failing") or b"{}", type=dict[str, tuple[str, int, str]])
    failing = {
        session_id: (offset, attempts, readable_text(opener, session_id, error))
        for session_id, (offset, attempts, error) in failing.items()
    }
    stalled = left > 0 and (not held or now - max(since, moved) > stalled_after * 1000)
    return PartitionStatus(
        partition=number,
        position=position,
        lag=lag,
        lag_seconds=lag_seconds,
        member=fields.get(b"member", b"").decode() if held else "",
        health="stalled" if stalled else "failing" if failing else "active",
        failing=failing,
        moved_at=moment(moved) if moved else None,
        parked=sum(name[:2] in (b"s:", b"e:") for name in parked),  # type: ignore[attr-defined]
        counters={name: int(fields.get(name.encode(), b"0")) for name in COUNTERS},
    )
