"""The names of all keys of one namespace; the hash tag is the partition, so a session's keys share a Cluster slot."""

from __future__ import annotations

import binascii
import re

import msgspec

from sessionstream.errors import InvalidArgument
from sessionstream.events.ids import checked_id
from sessionstream.log.gates import name_in_log
from sessionstream.projection import Place
from sessionstream.wire.packing import bulk, pack

__all__ = ["Keys", "Route"]

_MOST_ROUTES = 10_000

_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class Route(msgspec.Struct, frozen=True, gc=False):
    """Where a session lies.

    Attributes:
        partition: its partition.
        head: the key of its head.
        events: the key of its stream.
        declared: that, as a command carries it.
        named: the session's name in the log, as a command carries it.
        looked_at: what `Keys.head_commands` gives, packed.
    """

    partition: int
    head: str
    events: str
    declared: bytes
    named: bytes
    looked_at: bytes


class Keys:
    """The keys of a namespace: a caller's id is always the last part, so two ids never share a key.

    Args:
        namespace: 1 to 64 of ``A-Z a-z 0-9 . _ -``.
        partitions: into how many slices its sessions are divided.

    Attributes:
        routes: what `route` gave, by session id.

    Raises:
        InvalidArgument: the namespace has other characters, or the partitions are not 1 to 4096.
    """

    __slots__ = ("_declared", "_prefixes", "namespace", "partitions", "routes")

    def __init__(self, namespace: str, partitions: int) -> None:
        if not isinstance(namespace, str) or not _NAMESPACE.match(namespace):
            raise InvalidArgument(f"the namespace {namespace!r} is not 1 to 64 of A-Z a-z 0-9 . _ -")
        if isinstance(partitions, bool) or not isinstance(partitions, int) or not 1 <= partitions <= 4096:
            raise InvalidArgument(f"{partitions!r} partitions: 1 to 4096 are allowed")
        self.namespace = namespace
        self.partitions = partitions
        self.routes: dict[str, Route] = {}
        self._prefixes = [f"{namespace}:{{{partition}}}:" for partition in range(partitions)]
        self._declared = [
            bulk(self.log(partition).encode()) + bulk(self.feed(partition).encode()) for partition in range(partitions)
        ]

    def route(self, session_id: str) -> Route:
        """Return what an append needs to know of a session's keys; the ids that were used last are remembered."""
        try:
            return self.routes[session_id]
        except KeyError:
            checked_id(session_id, "session_id")
        except TypeError:  # it cannot be hashed, so it is no string
            checked_id(session_id, "session_id")
            raise
        if len(self.routes) >= _MOST_ROUTES:
            self.routes.clear()
        self.routes[session_id] = route = self._route(session_id)
        return route

    def _route(self, session_id: str) -> Route:
        head, events = self.head(session_id), self.events(session_id)
        declared, named = bulk(events.encode()), bulk(name_in_log(session_id).encode())
        looked_at = b"".join(map(pack, self.head_commands(session_id)))
        return Route(self.partition(session_id), head, events, declared, named, looked_at)

    def head_commands(self, session_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the commands that look a session up in the log and read its head; see `gates.head_of`.

        The gate comes first: what is appended in between makes the head tell of a later event, never of an earlier one.
        """
        checked_id(session_id, "session_id")
        return (
            ("HGET", self.log(self.partition(session_id)), name_in_log(session_id)),
            ("HGETALL", self.head(session_id)),
        )

    def partition(self, identifier: str) -> int:
        """Return the partition of a session's or a user's id: CRC16 (XMODEM), as Redis Cluster uses it."""
        return binascii.crc_hqx(identifier.encode(), 0) % self.partitions

    def log(self, partition: int) -> str:
        """A hash: what the append must know of the partition (``:stamp``, ``:feed`` …), and of each of its sessions."""
        return self._prefixes[partition] + "log"

    def feed(self, partition: int) -> str:
        """A stream: one pointer for each append, in commit order."""
        return self._prefixes[partition] + "feed"

    def declared(self, partition: int) -> bytes:
        """Return the keys of a partition's log and feed, as a command carries them."""
        return self._declared[partition]

    def registry(self, partition: int) -> str:
        """A sorted set: every kept session by the time of its creation."""
        return self._prefixes[partition] + "registry"

    def head(self, session_id: str) -> str:
        """A hash: the session's own view, and its lock."""
        return f"{self._prefixes[self.partition(session_id)]}head:{session_id}"

    def events(self, session_id: str) -> str:
        """A stream: the session's events."""
        return f"{self._prefixes[self.partition(session_id)]}events:{session_id}"

    def idempotency(self, session_id: str) -> str:
        """A hash: the session's idempotency keys and what they gave."""
        return f"{self._prefixes[self.partition(session_id)]}idempotency:{session_id}"

    def bodies(self, session_id: str) -> str:
        """A hash: the bodies of the session's checkpoints."""
        return f"{self._prefixes[self.partition(session_id)]}bodies:{session_id}"

    def bases(self, session_id: str) -> str:
        """A hash: the session's base snapshots, from which its past is folded."""
        return f"{self._prefixes[self.partition(session_id)]}bases:{session_id}"

    def seals(self, session_id: str) -> str:
        """A list: the session's seals, oldest first."""
        return f"{self._prefixes[self.partition(session_id)]}seals:{session_id}"

    def deltas(self, session_id: str) -> str:
        """A stream: what was published to the session's followers, for minutes."""
        return f"{self._prefixes[self.partition(session_id)]}deltas:{session_id}"

    def groups(self, partition: int) -> str:
        """A hash: the consumer groups that read the partition, and the position of each, ``<ms>-<n>``."""
        return self._prefixes[partition] + "groups"

    def group(self, name: str, partition: int) -> str:
        """A hash: what a consumer group keeps of a partition; its lease, and what it has done."""
        return f"{self._prefixes[partition]}group:{name}"

    def parked(self, name: str, partition: int) -> str:
        """A hash: what a consumer group has parked of a partition, and how far it was caught up."""
        return f"{self._prefixes[partition]}parked:{name}"

    def unlocked(self, session_id: str) -> str:
        """A sharded channel: somebody released the session's lock."""
        return f"{self._prefixes[self.partition(session_id)]}unlocked:{session_id}"

    def user(self, user_id: str) -> str:
        """A sorted set: the sessions of a user, in the user's own partition."""
        return f"{self._prefixes[self.partition(user_id)]}user:{user_id}"

    def beside(self, key: str, partition: int) -> str:
        """The key under which a view of a partition is built anew, beside the one in use."""
        prefix = self._prefixes[partition]
        return f"{prefix}beside:{key.removeprefix(prefix)}"

    def restoring(self, run: str, key: str, partition: int) -> str:
        """The key under which an import restores a key of a session, before the session is there."""
        prefix = self._prefixes[partition]
        return f"{prefix}restoring:{run}:{key.removeprefix(prefix)}"

    def place(self, projection: str, place: Place, session_id: str) -> str:
        """The key of a view, for a session or for the session's partition."""
        if place.kind == "head":
            return self.head(session_id)
        if place.kind in ("view", "ranking"):
            partition = self.partition(session_id)
            return f"{self._prefixes[partition]}{place.kind}:{projection}:{place.name}:{session_id}"
        return self.partition_place(projection, place, self.partition(session_id))

    def partition_place(self, projection: str, place: Place, partition: int) -> str:
        """The key of a view that all sessions of a partition share."""
        tail = f":{place.key}" if place.key else ""
        return f"{self._prefixes[partition]}{place.kind}:{projection}:{place.name}{tail}"
