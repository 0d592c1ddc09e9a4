"""Faults that any server can meet, and any worker."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from tests.fault.runner.scene import Fault, Scene, call, give_room, limit_files
from tests.fault.runner.workers import Stuck
from tests.proxy import Proxy
from tests.servers import Server

__all__ = ["CLOCKS", "EVERYWHERE", "REPLACING", "killed_and_restarted", "restarted"]

_YEAR = 365 * 86_400.0
_PATIENCE = 20.0


def killed_and_restarted(scene: Scene) -> None:
    """A server is killed (SIGKILL) and started again."""
    server = scene.dice.choice(scene.place.targets).server
    server.kill()
    server.start()


def restarted(scene: Scene) -> None:
    """A server is stopped in good order and started again."""
    scene.dice.choice(scene.place.targets).server.restart()


def _paused(scene: Scene) -> None:
    """A server hangs (SIGSTOP), for less than it takes others to declare it dead, and goes on."""
    server = scene.dice.choice(scene.place.targets).server
    server.pause()
    try:
        scene.last(0.3, scene.place.longest_pause)
    finally:
        server.resume()


def _cut(scene: Scene) -> None:
    """All connections are closed, several times, each time in the middle of the work."""
    for _ in range(scene.dice.randrange(2, 6)):
        for proxy in _proxies(scene):
            proxy.cut()
        scene.progress(5)


def _delayed(scene: Scene) -> None:
    """Everything takes longer, in one direction or in both."""
    for proxy in _proxies(scene):
        proxy.request_delay, proxy.reply_delay = scene.dice.choice([(0.05, 0.0), (0.0, 0.05), (0.03, 0.03)])
    try:
        scene.progress(8)
    finally:
        for proxy in _proxies(scene):
            proxy.request_delay = proxy.reply_delay = 0.0


def _half_open(scene: Scene) -> None:
    """The server's side of all connections is gone, and the client is not told."""
    for proxy in _proxies(scene):
        proxy.half_open()


def _held(scene: Scene) -> None:
    """Nothing passes, in one direction or in both, for longer than a reply may take; then all that waited arrives."""
    requests, replies = scene.dice.choice([(True, False), (False, True), (True, True)])
    for proxy in _proxies(scene):
        proxy.hold(requests=requests, replies=replies)
    try:
        scene.last(0.5, 2.0)
    finally:
        for proxy in _proxies(scene):
            proxy.release()


def _disk_full(scene: Scene) -> None:
    """No file of a server's grows any further, until there is room again."""
    server = scene.dice.choice(scene.place.targets).server
    keeps_log = call(server, "INFO", "persistence")["aof_enabled"]
    sizes = [path.stat().st_size for path in server.folder.rglob("*.aof")] if keeps_log else []
    limit_files(server, max(sizes, default=0) + scene.dice.randrange(2_000, 20_000))
    status = "aof_last_write_status" if keeps_log else "rdb_last_bgsave_status"
    if not keeps_log:
        _write_anew(server, "BGSAVE")
    _until(server, lambda: _says(server, status) != "ok")
    scene.last(0.1, 0.6)
    give_room(server)
    # A server that must have each write on the disk ends itself where it cannot, and is whole when it is started again.
    while not _until(server, lambda: not keeps_log or _says(server, status) == "ok"):
        server.start()
    _write_anew(server, "BGREWRITEAOF" if keeps_log else "BGSAVE")


def _write_anew(server: Server, command: str) -> None:
    """Do what an operator has to do once there is room again: the file may be broken where it was cut short.

    Redis 7.0 and Valkey 9.1, if they have written their append-only file anew since they were started, leave a hole in
    it at the first write that fails, and go on; with that hole they cannot be started again.
    """
    with contextlib.suppress(ResponseError):  # one is under way already
        call(server, command)
    _until(
        server,
        lambda: (
            not any(
                _says(server, name)
                for name in ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
            )
        ),
    )


def _says(server: Server, name: str) -> Any:
    return call(server, "INFO", "persistence")[name]


def _memory_full(scene: Scene) -> None:
    """A server is at its limit of memory, and then has more."""
    server = scene.dice.choice(scene.place.targets).server
    call(server, "CONFIG", "SET", "maxmemory", call(server, "INFO", "memory")["used_memory"])
    scene.last(0.3, 1.0)
    call(server, "CONFIG", "SET", "maxmemory", 0)


def _clock_back(scene: Scene) -> None:
    """The clock of all servers is set back by up to an hour, and stays there.

    Until it has caught up with the last snapshot a server makes no more of them by itself, so it is told to.
    """
    scene.place.clock.set(scene.place.clock.seconds - scene.dice.uniform(1, 3600))
    scene.place.save()


def _clock_ahead(scene: Scene) -> None:
    """The clock of all servers jumps a year ahead, goes on from there for a while, and is set right."""
    scene.place.clock.set(_YEAR)
    scene.progress()
    scene.place.clock.set(0)
    scene.place.save()


def _worker_killed_ahead(scene: Scene) -> None:
    """A worker is killed while the clock is a year ahead: what it has leased then must not stay leased for a year."""
    scene.place.clock.set(_YEAR)
    scene.progress()
    for worker in scene.workers.all:
        worker.kill()
        worker.start()
    scene.place.clock.set(0)
    scene.place.save()


def _scripts_flushed(scene: Scene) -> None:
    """All servers forget their scripts, several times."""
    for _ in range(5):
        for target in scene.place.targets:
            call(target.server, "SCRIPT", "FLUSH")
        scene.progress(5)


def _worker_killed(scene: Scene) -> None:
    """A worker is killed (SIGKILL) in the middle of whatever it does, and another takes its place."""
    worker = scene.dice.choice(scene.workers.all)
    worker.kill()
    worker.start()


def _proxies(scene: Scene) -> list[Proxy]:
    return [target.proxy for target in scene.place.targets if target.proxy is not None]


def _until(server: Server, condition: Callable[[], bool]) -> bool:
    """Return True when a condition holds of a server, and False when it has ended."""
    deadline = time.monotonic() + _PATIENCE
    while server.running:
        with contextlib.suppress(RedisConnectionError):
            if condition():
                return True
        if time.monotonic() > deadline:
            raise Stuck(f"waited {_PATIENCE:.0f} s in vain for what a fault was to do to a server")
        time.sleep(0.02)
    return False


EVERYWHERE = {
    fault.name: fault
    for fault in (
        Fault("server paused", _paused),
        Fault("connections cut", _cut),
        Fault("connections delayed", _delayed),
        Fault("connections half open", _half_open),
        Fault("connections held", _held),
        Fault("disk full", _disk_full),
        Fault("memory full", _memory_full),
        Fault("scripts flushed", _scripts_flushed),
        Fault("worker killed", _worker_killed),
    )
}
"""What can happen in every topology, by name."""

REPLACING = frozenset(
    {"failover", "primary killed", "primary paused", "server killed", "server paused", "server restarted", "disk full"}
)
"""By what a replica is promoted, where there is one: by the last four if they take longer than the others wait. A disk
that is full ends a server that syncs always (`appendfsync always`)."""

CLOCKS = {
    fault.name: fault
    for fault in (
        Fault("clock set back", _clock_back),
        Fault("clock a year ahead and back", _clock_ahead),
        Fault("workers killed while the clock is ahead", _worker_killed_ahead),
    )
}
"""What can happen to clocks. Servers that watch each other take each other for dead then, which is another fault."""
