"""What one commit carries, as the script takes it: the position, and all that changes with it in one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sessionstream.consumers.leases import Lease
from sessionstream.log.encoding import KeyNumbers, Word, encode_each
from sessionstream.log.store import Store
from sessionstream.projection import Operation
from sessionstream.wire.scripts import load_script

__all__ = ["Answer", "Commit", "Dropped", "Operated", "owner_of", "send_commit"]

_COMMIT = load_script("sessionstream.consumers", "commit")


@dataclass(frozen=True)
class Dropped:
    """In the place of operations: that all which is kept of a session goes.

    Attributes:
        keys: under which that is kept.
    """

    keys: Sequence[str]


Operated = tuple[str, str, Sequence[Operation] | Dropped]
"""An event's session, its offset, and the operations that belong to it."""


def owner_of(group: str) -> str:
    """Return under whose name the views of a group are kept: no projection has such a name."""
    return f"@{group}"


@dataclass
class Commit:
    """What is committed in one step.

    Attributes:
        position: where the group shall stand.
        fields: of the group's hash, and their values.
        counters: of the group's hash, and what to add.
        parked: fields of what is parked, each with its value as it was and as it shall be, ``""`` for none.
        operated: the events whose operations are carried out, in their order.
    """

    position: str
    fields: dict[str, str] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    parked: dict[str, tuple[str, str]] = field(default_factory=dict)
    operated: list[Operated] = field(default_factory=list)

    def change(self, name: str, before: str, after: str) -> None:
        """Change something that is parked; a later change of the same one goes on from the first."""
        known = self.parked.get(name)
        self.parked[name] = (before if known is None else known[0], after)


@dataclass(frozen=True)
class Answer:
    """What came of a commit.

    Attributes:
        done: whether it was carried out. If not, the partition went to somebody else, or somebody changed what is
            parked: either way what is known of the partition here no longer holds.
        asked: how often something was asked of the holder.
    """

    done: bool
    asked: int = 0


async def send_commit(
    store: Store, group: str, holder: str, lease: Lease, number: int, before: str, one: Commit
) -> Answer:
    """Carry a commit out, unless lease or position are others by now, or the feed has lost what it is about.

    Args:
        store: the namespace.
        group: the group's name.
        holder: who has the lease.
        lease: the partition's.
        number: of this commit, of all that the holder ever makes; one that is sent again keeps it.
        before: the position as it was.
        one: what to commit.
    """
    keys, partition = store.keys, lease.partition
    own = [keys.groups(partition), keys.group(group, partition), keys.parked(group, partition)]
    numbers = KeyNumbers([*own, keys.log(partition), keys.feed(partition)] if one.position != before else own)
    words: list[Word] = []
    for pairs in (one.fields, one.counters):
        flat: list[Any] = [word for pair in pairs.items() if pair[1] != 0 for word in pair]
        words += (len(flat), *flat)
    parked = [(name, *values) for name, values in one.parked.items() if values[0] != values[1]]
    words += (3 * len(parked), *(word for change in parked for word in change))
    for session_id, offset, operations in one.operated:
        if isinstance(operations, Dropped):
            words += (offset, 1, "drop", len(operations.keys), *(numbers[key] for key in operations.keys))
        else:
            count, operated = encode_each(owner_of(group), session_id, operations, keys, numbers)
            words += (offset, count, *operated)
    args = [group, holder, lease.token, number, before, one.position, *words]
    answer, *rest = await store.server.script(_COMMIT, numbers.keys, args)
    return Answer(True, int(rest[0])) if answer == b"done" else Answer(False)
