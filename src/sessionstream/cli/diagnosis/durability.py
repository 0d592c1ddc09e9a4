"""What the server's persistence means for an event that was acknowledged, in plain words."""

from __future__ import annotations

import time
from typing import NamedTuple

from sessionstream.cli.diagnosis.finding import Finding, Level, ask, info
from sessionstream.cli.moments import span
from sessionstream.log.store import Store
from sessionstream.wire.durability import UNSYNCED, level_of, replicas_of

__all__ = ["Durability", "check_durability", "durability_of"]

# What a word that is wanted is met by.
_AT_LEAST = {
    "memory": ("memory", "process", "fsync", "unknown"),
    "process": ("process", "fsync"),
    "fsync": ("fsync",),
}
_SINCE_SNAPSHOT = "a crash or a kill of the server loses what came since the last snapshot"


class Durability(NamedTuple):
    """What survives what.

    Attributes:
        word: ``fsync``, ``process``, ``memory`` or ``unknown``.
        loses: what may be lost, and when.
        level: how much that matters.
    """

    word: str
    loses: str
    level: Level


def durability_of(
    appendonly: str | None, appendfsync: str | None, save: str | None, unsynced: str | None = None
) -> Durability:
    """Return what the settings mean; None is one that the server does not tell.

    Args:
        appendonly: whether there is an append-only file.
        appendfsync: when it is written to the disk.
        save: when snapshots are made.
        unsynced: ``no-appendfsync-on-rewrite``: whether it is not, while a snapshot or a new file is written.
    """
    if appendonly == "yes" and unsynced == "yes":
        window = "what came during the last rewrite or snapshot"
        return Durability(
            "process", f"a crash of the server loses nothing; a crash of the machine, {window}", Level.FINE
        )
    if appendonly == "yes" and appendfsync == "always":
        return Durability("fsync", "nothing: an event is on disk before it is acknowledged", Level.FINE)
    if appendonly == "yes" and appendfsync in ("everysec", "no"):
        window = "the last second, two at worst" if appendfsync == "everysec" else "what the system had not written yet"
        return Durability(
            "process", f"a crash of the server loses nothing; a crash of the machine, {window}", Level.FINE
        )
    if appendonly == "yes":
        return Durability("process", "a crash of the server loses nothing; of the machine: not told", Level.UNCHECKED)
    if appendonly == "no" and save:
        return Durability("memory", _SINCE_SNAPSHOT, Level.ATTENTION)
    if appendonly == "no" and save is not None:
        return Durability("memory", "a restart of the server loses everything", Level.ATTENTION)
    if appendonly == "no":
        return Durability("memory", f"at best {_SINCE_SNAPSHOT}", Level.ATTENTION)
    return Durability("unknown", "the server does not tell: ask whoever runs it", Level.UNCHECKED)


async def check_durability(store: Store, wanted: str | None) -> list[Finding]:
    """Return how the server persists, what that means, whether it succeeds, and what is not durable at all.

    Args:
        store: the namespace on its server.
        wanted: the durability that the settings ask for.
    """
    told = await info(store, "persistence")
    names = ("appendonly", "appendfsync", "save", UNSYNCED)
    settings = {name: await _setting(store, name) for name in names}
    if settings["appendonly"] is None and "aof_enabled" in told:
        settings["appendonly"] = "yes" if told["aof_enabled"] == "1" else "no"
    durability = durability_of(*settings.values())
    # Hardly anybody has set it.
    told_of = {name: value for name, value in settings.items() if name != UNSYNCED or value == "yes"}
    words = ", ".join(f"{name} {_shown(value)}" for name, value in told_of.items())
    advice = "" if durability.level is not Level.ATTENTION else "set appendonly to yes"
    return [
        Finding("persistence", "settings", words, durability.level, advice),
        Finding("persistence", "durability", f"{durability.word}: {durability.loses}"),
        *_wanted(wanted, durability.word, await info(store, "replication")),
        *_failures(told),
        *_snapshot(told, settings),
        *await _not_durable(store, durability),
    ]


def _wanted(wanted: str | None, word: str, replication: dict[str, str]) -> list[Finding]:
    if wanted is None:
        return []
    level, advice = Level.ATTENTION, "the server does not give it, and is refused"
    if wanted.startswith("replicated"):
        following = replicas_of(replication)
        enough = following is not None and following >= level_of(wanted).replicas
        word, advice = "unknown" if following is None else word, f"{following} replicas follow"
    else:
        enough = word in _AT_LEAST[wanted]
    if enough:
        level, advice = Level.FINE, ""
    elif word == "unknown":
        level, advice = Level.UNCHECKED, "the server does not tell: it is refused without allow_unchecked_durability"
    return [Finding("persistence", "wanted", wanted, level, advice)]


async def _setting(store: Store, name: str) -> str | None:
    reply = await ask(store, "CONFIG", "GET", name)
    return reply[1].decode() if isinstance(reply, list) and len(reply) == 2 else None


def _shown(value: str | None) -> str:
    return "not told" if value is None else value or '""'


def _failures(told: dict[str, str]) -> list[Finding]:
    names = {
        "aof_last_write_status": "the last write of the append-only file",
        "aof_last_bgrewrite_status": "the last rewrite of the append-only file",
        "rdb_last_bgsave_status": "the last snapshot",
    }
    advice = "look at the server's log and at its disk"
    return [
        Finding("persistence", what, "failed", Level.ATTENTION, advice)
        for name, what in names.items()
        if told.get(name, "ok") != "ok"
    ]


def _snapshot(told: dict[str, str], settings: dict[str, str | None]) -> list[Finding]:
    if settings["appendonly"] == "yes" or not settings["save"] or "rdb_last_save_time" not in told:
        return []
    passed = max(0.0, time.time() - int(told["rdb_last_save_time"]))
    changes = told.get("rdb_changes_since_last_save", "an unknown number of")
    return [Finding("persistence", "last snapshot", f"{span(passed)} ago, {changes} changes since")]


async def _not_durable(store: Store, durability: Durability) -> list[Finding]:
    replicas = int((await info(store, "replication")).get("connected_slaves", "0"))
    copies = (
        "replicas follow behind: a failover may lose the events acknowledged last"
        if replicas
        else "there is no replica"
    )
    kept = store.settings.retention
    history = "for ever" if kept is None else f"for {span(kept)} after its end, then removed"
    return [
        Finding("not durable", "events", durability.loses, Level.NOTE),
        Finding("not durable", "this server", copies, Level.NOTE),
        Finding("not durable", "locks", "leases: they end by themselves, and by a restart that loses them", Level.NOTE),
        Finding("not durable", "an ended session", f"its history is kept {history}", Level.NOTE),
        Finding("not durable", "the feed", f"is kept for {span(store.settings.feed_retention)}", Level.NOTE),
    ]
