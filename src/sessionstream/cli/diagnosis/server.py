"""Which server it is, how full it is, and whether its clock and this machine's agree."""

from __future__ import annotations

import time
from urllib.parse import urlsplit, urlunsplit

from sessionstream.cli.diagnosis.finding import Finding, Level, info
from sessionstream.cli.moments import span
from sessionstream.cli.summaries import counted, size_of
from sessionstream.log.store import Store
from sessionstream.settings import Settings

__all__ = ["check_clock", "check_memory", "check_server"]

_SKEW = 1.0
_FULL = 0.9


async def check_server(store: Store) -> list[Finding]:
    """Return which server answers, how fast, and as what."""
    began = time.perf_counter()
    await store.server.call("PING")
    took = time.perf_counter() - began
    server, replication = await info(store, "server"), await info(store, "replication")
    kind = "Valkey" if "valkey_version" in server else "Redis"
    version = server.get("valkey_version") or server.get("redis_version") or "of an unknown version"
    mode = server.get("server_mode") or server.get("redis_mode") or "unknown mode"
    up = f", up for {span(float(server['uptime_in_seconds']))}" if "uptime_in_seconds" in server else ""
    return [
        Finding("server", "address", _address(store.settings), advice=f"it answers in {took * 1000:.1f} ms"),
        Finding("server", "kind", f"{kind} {version}, {mode}{up}"),
        _role(replication),
    ]


def _address(settings: Settings) -> str:
    if settings.url is not None:
        parts = urlsplit(settings.url)
        _, at, place = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"…@{place}" if at else place, query=""))
    from sessionstream.wire.embedded.places import data_folder

    return f"embedded, its data in {settings.folder or data_folder()}"


def _role(replication: dict[str, str]) -> Finding:
    role, count = replication.get("role"), replication.get("connected_slaves", "0")
    if role is None:
        return Finding("server", "role", "unknown", Level.UNCHECKED, "the server does not tell")
    if role != "master":
        return Finding("server", "role", "replica", Level.ATTENTION, "it takes no writes: connect to the primary")
    return Finding("server", "role", f"primary, {counted(int(count), 'replica')}")


async def check_memory(store: Store) -> list[Finding]:
    """Return how full the server is, and what it does when it is full."""
    memory = await info(store, "memory")
    if "used_memory" not in memory:
        return [Finding("memory", "used", "unknown", Level.UNCHECKED, "the server does not tell")]
    used, most = int(memory["used_memory"]), int(memory.get("maxmemory", "0"))
    policy = memory.get("maxmemory_policy", "noeviction")
    findings = [Finding("memory", "used", f"{size_of(used)}, no limit set")]
    if most:
        level = Level.ATTENTION if used > _FULL * most else Level.FINE
        advice = (
            "nearly full: raise maxmemory, or shorten the retention of ended sessions" if level != Level.FINE else ""
        )
        findings = [Finding("memory", "used", f"{size_of(used)} of {size_of(most)}", level, advice)]
    if policy.startswith("allkeys"):
        advice = "when it is full it drops keys, and events with them: set maxmemory-policy to noeviction"
        return [*findings, Finding("memory", "eviction", policy, Level.ATTENTION, advice)]
    advice = "" if policy == "noeviction" else "drops only keys with a time to live, and no key of a store has one"
    return [*findings, Finding("memory", "eviction", policy, Level.FINE, advice)]


async def check_clock(store: Store) -> list[Finding]:
    """Return how far the server's clock is from this machine's, and whether offsets are ahead of it."""
    before = time.time()
    seconds, micros = await store.server.call("TIME")
    after = time.time()
    server = int(seconds) + int(micros) / 1_000_000
    skew, doubt = server - (before + after) / 2, (after - before) / 2
    level = Level.ATTENTION if abs(skew) - doubt > _SKEW else Level.FINE
    words = f"{span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} this machine's (±{span(doubt)})"
    advice = (
        "offsets, expiry and times in histories are the server's: set both clocks by NTP" if level != Level.FINE else ""
    )
    return [Finding("clock", "server's clock", words, level, advice), await _pinned(store, server)]


async def _pinned(store: Store, server: float) -> Finding:
    feeds = await store.every_partition("HGET", store.keys.log, ":feed")
    latest = max((int(position.partition(b"-")[0]) / 1000 for position in feeds if position), default=0.0)
    if latest - server > _SKEW:
        advice = "the clock has gone back: until it catches up, new offsets carry the time of the last one"
        return Finding("clock", "offsets", f"{span(latest - server)} ahead of the clock", Level.ATTENTION, advice)
    return Finding("clock", "offsets", "not ahead of the clock")
