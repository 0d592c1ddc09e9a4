"""A real primary that sentinels watch: it has two replicas, and a test can let one of them take over.

The sentinels look more often than they would by themselves (``SENTINEL DEBUG``,
https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/), so that a failover takes a second or two.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import redis.asyncio.sentinel
from redis.asyncio import Redis

from tests.clusters import Node, StartedTogether, until
from tests.servers import Server, Setting, program

__all__ = ["NAME", "TestSentinels"]

NAME = "primary"

_REPLICAS, _SENTINELS, _QUORUM = 2, 3, 2
_FAILOVER_TIMEOUT = 3_000  # after twice this long a vote that nobody won is held again
# Not PING-PERIOD: replicas that were not heard of for five times that are not taken, and they are asked once a second.
_LOOKING = ("INFO-PERIOD", 200, "PUBLISH-PERIOD", 200, "ASK-PERIOD", 100)


class _Sentinel(Server):
    """One sentinel: it keeps what it knows in its configuration file, which it writes anew itself."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self._lines = lines

    def _launch(self) -> None:
        path = self.folder / "sentinel.conf"
        if not path.exists():
            own = ("bind 127.0.0.1", f"port {self.port}", f"unixsocket {self.socket}", f"dir {self.folder}")
            path.write_text("\n".join([*own, *self._lines]) + "\n", encoding="utf-8")
        self._run(program(), str(path), "--sentinel")


class TestSentinels(StartedTogether):
    """Six processes; every method returns when what it says is true for all of them.

    Args:
        password: what the data nodes ask for, each other and the sentinels too.
        down_after: milliseconds without an answer after which a sentinel takes a node for dead.
        settings: those of the data nodes, such as ``min_replicas_to_write=1``.

    Attributes:
        nodes: the primary and its replicas, whoever of them is what at the moment.
        sentinels: those that watch them.
    """

    __test__ = False

    def __init__(self, *, password: str | None = None, down_after: int = 1_000, **settings: Setting) -> None:
        self.password = password
        self._down_after = down_after
        own: dict[str, Setting] = {"repl_diskless_sync_delay": 0, "repl_ping_replica_period": 1}
        if password is not None:
            own |= {"requirepass": password, "masterauth": password}
        self.nodes = [Node(Server(**(own | settings))) for _ in range(1 + _REPLICAS)]
        self.sentinels: list[Node] = []

    def close(self) -> None:
        """End all of it."""
        for node in [*self.sentinels, *self.nodes]:
            node.server.close()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the sentinels are, for redis-py's Sentinel."""
        return [("127.0.0.1", node.port) for node in self.sentinels]

    @property
    def url(self) -> str:
        """The primary's, for a manager: it names the sentinels."""
        credentials = f":{quote(self.password, safe='')}@" if self.password is not None else ""
        return f"redis+sentinel://{credentials}{','.join(f'{host}:{port}' for host, port in self.addresses)}/{NAME}"

    @contextlib.asynccontextmanager
    async def client(self, kind: type[Redis] = Redis, **settings: Any) -> AsyncIterator[Redis]:
        """Make a client whose connections ask the sentinels where the primary is; all of it is closed at the end."""
        given = {"password": self.password, **settings}
        sentinel = redis.asyncio.sentinel.Sentinel(self.addresses, socket_timeout=1.0)
        async with sentinel.master_for(NAME, kind, **given) as client:
            try:
                yield client
            finally:
                for one in sentinel.sentinels:
                    await one.aclose()

    def _start(self) -> None:
        first, *others = self.nodes
        first.start()
        for node in others:
            node.server.settings["replicaof"] = ("127.0.0.1", first.port)
        with ThreadPoolExecutor(_SENTINELS) as pool:
            list(pool.map(Node.start, others))
            until(lambda: self._is_followed(first, others), "the replicas to follow")
            lines = [
                f"sentinel monitor {NAME} 127.0.0.1 {first.port} {_QUORUM}",
                f"sentinel down-after-milliseconds {NAME} {self._down_after}",
                f"sentinel failover-timeout {NAME} {_FAILOVER_TIMEOUT}",
                f"sentinel parallel-syncs {NAME} {_REPLICAS}",
            ]
            if self.password is not None:
                lines.append(f'sentinel auth-pass {NAME} "{self.password}"')
            self.sentinels = [Node(_Sentinel(*lines)) for _ in range(_SENTINELS)]
            list(pool.map(Node.start, self.sentinels))
        # After a restart the sentinels say what a node is.
        for node in others:
            del node.server.settings["replicaof"]
        self.wait_until_whole()

    def _is_followed(self, primary: Node, replicas: Sequence[Node]) -> bool:
        section = primary.section("replication")
        return sum("state=online" in value for value in section.values()) == len(replicas) and all(
            node.section("replication")["master_link_status"] == "up" for node in replicas
        )

    def wait_until_whole(self) -> None:
        """Start what was killed, let go on what was paused, and wait until all agree and the replicas follow."""
        for node in [*self.nodes, *self.sentinels]:
            node.server.start()
            node.server.resume()
        for node in self.sentinels:
            node.call("SENTINEL", "DEBUG", *_LOOKING)
        until(self._is_whole, "the sentinels to see a primary and its replicas")

    def _is_whole(self) -> bool:
        primary = self.primary()
        replicas = [node for node in self.nodes if node is not primary]
        ports = {node.port for node in replicas}
        return (
            self._is_followed(primary, replicas)
            and all(int(node.section("replication")["master_port"]) == primary.port for node in replicas)
            and all(self._sees(sentinel, primary, ports) for sentinel in self.sentinels)
        )

    def _sees(self, sentinel: Node, primary: Node, replicas: set[int]) -> bool:
        state = _fields(sentinel.call("SENTINEL", "MASTER", NAME))
        followers = [_fields(one) for one in sentinel.call("SENTINEL", "REPLICAS", NAME)]
        return (
            int(state["port"]) == primary.port
            and state["flags"] == "master"
            and int(state["num-other-sentinels"]) == _SENTINELS - 1
            and {int(one["port"]) for one in followers} == replicas
            and all(one["flags"] == "slave" and one["master-link-status"] == "ok" for one in followers)
        )

    def primary(self) -> Node:
        """Return the node that all running sentinels name, and that takes writes.

        Raises:
            AssertionError: they do not agree, or it does not take writes yet.
        """
        node = self._named()
        assert not node.server.running or node.is_primary, "it takes no writes yet"
        return node

    def _named(self) -> Node:
        named = {
            int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])
            for sentinel in self.sentinels
            if sentinel.server.running
        }
        assert len(named) == 1, f"the sentinels name the ports {sorted(named)}"
        return next(node for node in self.nodes if node.port in named)

    def replicas(self) -> list[Node]:
        """Return the nodes that run and are no primary, in their own view."""
        return [node for node in self.nodes if node.server.running and not node.is_primary]

    def fail_over(self, *, coordinated: bool = False) -> Node:
        """Let a replica take over, planned (``SENTINEL FAILOVER``), and return it when all follow it.

        Args:
            coordinated: let the primary hand over, so that nothing is written to it meanwhile; Valkey alone can.
        """
        old = self.primary()
        words = ("SENTINEL", "FAILOVER", NAME, *(["COORDINATED"] if coordinated else []))
        asked_at = 0.0

        def has_taken_over() -> bool:
            nonlocal asked_at
            if time.monotonic() - asked_at > 5:
                asked_at = time.monotonic()
                with contextlib.suppress(redis.ResponseError):  # one is under way, or no replica is fit yet
                    self.sentinels[0].call(*words)
            return self.primary() is not old

        until(has_taken_over, "a replica to take over")
        until(self._is_whole, "all to follow the new primary")
        return self.primary()

    def wait_for_another(self, old: Node) -> Node:
        """Return the primary that the sentinels put in the place of one that was killed or paused."""
        # The old one is not asked: a paused one would not answer.
        until(lambda: self._named() is not old and self.primary() is not old, "a replica to take over")
        return self.primary()

    def empty(self) -> None:
        """Remove all keys, from the replicas too."""
        primary = self.primary()
        primary.call("FLUSHALL")
        until(lambda: primary.call("WAIT", _REPLICAS, 1000) == _REPLICAS, "all replicas to follow")


def _fields(reply: Sequence[bytes]) -> dict[str, str]:
    words = [word.decode() for word in reply]
    return dict(zip(words[::2], words[1::2], strict=True))
