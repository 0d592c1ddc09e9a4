"""How the namespace was made, whether this process can write to it, what is in it, and what waits to be cleaned up."""

from __future__ import annotations

from sessionstream.cli.diagnosis.ended import StateCounts, count_states, held_by_ended
from sessionstream.cli.diagnosis.finding import Finding, Level
from sessionstream.cli.moments import span
from sessionstream.cli.summaries import counted, size_of
from sessionstream.log.stamp import is_encrypted_namespace
from sessionstream.log.store import Store

__all__ = ["check_namespace", "feed_length"]

_SWEEP = "sessionstream cleanup does it"


async def check_namespace(store: Store) -> list[Finding]:
    """Return how the namespace was made and what is in it."""
    stamps = [
        stamp.decode(errors="replace") if stamp else ""
        for stamp in await store.every_partition("HGET", store.keys.log, ":stamp")
    ]
    name = Finding("namespace", "name", store.keys.namespace)
    if not stamps[0]:
        return [name, Finding("namespace", "made", "not yet: the first write makes it", Level.NOTE)]
    counts = await count_states(store)
    return [name, _made(store, stamps), _sessions(counts), *_waiting(counts), await _ended(store), await _feed(store)]


def _made(store: Store, stamps: list[str]) -> Finding:
    others = sorted({stamp for stamp in stamps if stamp and stamp != stamps[0]})
    if others:
        advice = "a rebuild with --adopt was not finished: run it again"
        return Finding("namespace", "made with", "; ".join([stamps[0], *others]), Level.ATTENTION, advice)
    if stamps[0] != store.stamp:
        lacks_keys = is_encrypted_namespace(stamps[0]) and not is_encrypted_namespace(store.stamp)
        remedy = "give encryption_key and key_store" if lacks_keys else "say --projections, or rebuild --adopt"
        advice = f"this process has {store.stamp}, so it can read and not write: {remedy}"
        return Finding("namespace", "made with", stamps[0], Level.ATTENTION, advice)
    return Finding("namespace", "made with", stamps[0])


def _sessions(counts: StateCounts) -> Finding:
    parts = [
        f"{getattr(counts, name):,} {name}" for name in ("active", "idle", "archived", "expired", "deleted", "erased")
    ]
    return Finding("namespace", "sessions", f"{counts.total:,}: {', '.join(parts)}")


def _waiting(counts: StateCounts) -> list[Finding]:
    findings = []
    if counts.unswept:
        value = counted(counts.unswept, "session")
        findings.append(Finding("namespace", "expired, no end appended yet", value, Level.NOTE, _SWEEP))
    if counts.due:
        value = counted(counts.due, "session")
        findings.append(Finding("namespace", "past their retention", value, Level.NOTE, _SWEEP))
    return findings


async def _ended(store: Store) -> Finding:
    held = await held_by_ended(store)
    kept = store.settings.retention
    until = "for ever" if kept is None else f"for {span(kept)}"
    if held.bytes is None:
        return Finding(
            "namespace", "held by ended sessions", "unknown", Level.UNCHECKED, "MEMORY USAGE is not permitted"
        )
    how = "" if held.measured == held.sessions else f", estimated from {held.measured:,} of them"
    value = f"{size_of(held.bytes)} in {counted(held.sessions, 'session')}{how}"
    return Finding("namespace", "held by ended sessions", value, advice=f"they are kept {until}")


async def _feed(store: Store) -> Finding:
    length = await feed_length(store)
    firsts = await store.every_partition("XRANGE", store.keys.feed, "-", "+", "COUNT", 1)
    oldest = min((int(page[0][0].partition(b"-")[0]) for page in firsts if page), default=None)
    if oldest is None:
        return Finding("namespace", "feed", "empty")
    old = max(0.0, (await store.now_ms() - oldest) / 1000)
    level = Level.NOTE if old > store.settings.feed_retention * 1.1 else Level.FINE
    advice = f"older than {span(store.settings.feed_retention)} is due: {_SWEEP}" if level is Level.NOTE else ""
    return Finding("namespace", "feed", f"{length:,} entries, the oldest {span(old)} old", level, advice)


async def feed_length(store: Store) -> int:
    """Return how many entries the feed holds, over all partitions; those of one script call share an entry."""
    return sum(await store.every_partition("XLEN", store.keys.feed))
