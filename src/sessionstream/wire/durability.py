"""What a server keeps an append by before it acknowledges it, compared with what is wanted.

`memory`: the server has it. `process`: its append-only file has it, so that it survives the end of the server's
process. `fsync`: it is on the server's disk (``appendfsync always``, at every moment). `replicated(n)`: so many
replicas have it (`sessionstream.log.replicating`).

A server tells whether it has an append-only file (``INFO``); how often that reaches the disk is a setting, which is
asked for (``CONFIG GET``) where `process` or `fsync` is wanted. It is looked at when a connection is made, so after
every reconnection and failover, and then each second while the connection is used, since a setting can be changed.
WAITAOF is no way to find out: Valkey up to 9.1.2 answers it before the disk has anything.
"""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import hiredis

from sessionstream.errors import DurabilityUnavailable, InvalidArgument, InvalidType
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.packing import Word, pack

__all__ = ["UNSYNCED", "Demand", "Level", "facts_of", "level_of", "replicas_of"]

UNCHECKED = " (unchecked)"
_INTERVAL = 1.0
# A server with no-appendfsync-on-rewrite answers without the disk for as long as it writes a snapshot or a new file.
UNSYNCED = "no-appendfsync-on-rewrite"
_CONFIG = ("CONFIG", "GET", "appendonly", "appendfsync", UNSYNCED)
_FILE = {"1": "process", "0": "memory", "yes": "process", "no": "memory"}
_ADVICE = {
    "process": "set appendonly to yes",
    "fsync": f"set appendonly to yes, appendfsync to always and {UNSYNCED} to no",
}
_BEGUN = "its append-only file was switched on just now, and is not complete yet"
_ASK = "ask whoever runs it, and if it does, say so with allow_unchecked_durability"


class Level(NamedTuple):
    """A durability that is wanted.

    Attributes:
        word: ``memory``, ``process``, ``fsync`` or ``replicated``.
        replicas: how many are to have it, of ``replicated``; else 0.
    """

    word: str
    replicas: int = 0


def level_of(text: object) -> Level:
    """Return the level of a name, such as ``fsync`` or ``replicated(2)``.

    Raises:
        InvalidArgument: it is none.
    """
    # The settings' models are loaded when a manager is made, and not before.
    from sessionstream.settings import checked_durability

    if not isinstance(text, str):
        raise InvalidType(f"a durability is text, such as 'fsync' or 'replicated(1)', not a {type(text).__name__}")
    try:
        checked_durability(text)
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
    word, _, number = text.rstrip(")").partition("(")
    return Level(word, int(number or 0))


class Demand:
    """What is wanted of every server that a connection is made to.

    Args:
        durability: its name; None takes servers as they are.
        allow_unchecked: take the caller's word for it where a server does not tell.
    """

    def __init__(self, durability: str | None = None, *, allow_unchecked: bool = False) -> None:
        self._level = Level("") if durability is None else level_of(durability)
        self._allow_unchecked = allow_unchecked

    @property
    def questions(self) -> list[tuple[Word, ...]]:
        """What a server is asked besides INFO, each of which it may refuse to answer."""
        return [_CONFIG] if self._level.word in _ADVICE else []

    def met_by(self, facts: Mapping[str, str], answers: list[Any], *, known: bool = False) -> str | None:
        """Return what a server gives, as `Appended.durability` says it; None where it does not tell.

        Args:
            facts: what INFO says; nothing where that is forbidden.
            answers: to the `questions`; an error where one is refused.
            known: whether its append-only file was complete before: a rewrite that is under way is another one then.

        Raises:
            DurabilityUnavailable: it gives less than is wanted, or does not tell.
        """
        wanted, begun = self._level.word, not known and _is_begun(facts)
        found = "memory" if begun else _FILE.get(facts.get("aof_enabled", ""))
        if wanted in _ADVICE and found != "memory":
            found = _kept_by(found, _settings(answers), wanted)
        if wanted not in _ADVICE or found in (wanted, "fsync"):
            return found
        if found is not None:
            raise DurabilityUnavailable(wanted, found, _BEGUN if begun else _ADVICE[wanted], passing=begun)
        if not self._allow_unchecked:
            raise DurabilityUnavailable(wanted, None, _ASK)
        return wanted + UNCHECKED

    def watch(self, lane: Lane) -> None:
        """Look each second whether a lane's server still gives what is wanted; one that does not is used no more."""
        if self._level.word in _ADVICE:
            asyncio.get_running_loop().call_later(_INTERVAL, _look, weakref.ref(lane), self, lane.written)

    def heard(self, lane: Lane, facts: Mapping[str, str], answers: list[Any]) -> None:
        """Retire a lane whose server gives less than is wanted by now."""
        try:
            lane.durability = self.met_by(facts, answers, known=True)
        except DurabilityUnavailable as error:
            lane.durability = error.found
            lane.retire()


def facts_of(info: Any) -> dict[str, str]:
    """Return what a reply to INFO says; nothing if it is none, such as an error."""
    if not isinstance(info, (bytes, str)):
        return {}
    text = info.decode() if isinstance(info, bytes) else info
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def replicas_of(facts: Mapping[str, str]) -> int | None:
    """Return how many replicas have all that the server had sent so far; None where INFO does not tell."""
    if "connected_slaves" not in facts:
        return None
    return sum("state=online" in value for name, value in facts.items() if re.fullmatch(r"slave\d+", name))


def _is_begun(facts: Mapping[str, str]) -> bool:
    """Whether an append-only file is written for the first time: until it is complete, a crash loses all of it."""
    under_way = "1" in (facts.get("aof_rewrite_in_progress"), facts.get("aof_rewrite_scheduled"))
    return under_way and facts.get("aof_base_size") == "0"


def _settings(answers: list[Any]) -> dict[str, str]:
    """Return what CONFIG GET tells, which is nothing where it is refused."""
    [words] = answers
    if not isinstance(words, list):
        return {}
    texts = [word.decode() if isinstance(word, bytes) else str(word) for word in words]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _kept_by(found: str | None, settings: Mapping[str, str], wanted: str) -> str | None:
    """Return what a server gives whose INFO says so much, by its settings too; None if that is not told."""
    if found is None:
        found = _FILE.get(settings.get("appendonly", ""))
    if found != "process":
        return found
    often = settings.get("appendfsync")
    if often is None:
        return None if wanted == "fsync" else found
    return "fsync" if often == "always" and settings.get(UNSYNCED) != "yes" else found


def _look(known: weakref.ref[Lane], demand: Demand, written: int) -> None:
    """Ask a lane's server anew, if the lane was used meanwhile; nobody is kept alive by being looked at."""
    lane = known()
    if lane is None or lane.closed:
        return
    if lane.written != written:
        commands = [("INFO", "persistence"), *demand.questions]
        replies: list[Any] = []
        for words in commands:
            lane.send(pack(words), partial(_taken, known, demand, replies, len(commands)))
        lane.flush()
    demand.watch(lane)


def _taken(known: weakref.ref[Lane], demand: Demand, replies: list[Any], count: int, reply: Any) -> None:
    replies.append(reply)
    lane = known()
    if len(replies) < count or lane is None or any(isinstance(one, LaneClosed) for one in replies):
        return
    if not isinstance(replies[0], hiredis.ReplyError):
        demand.heard(lane, facts_of(replies[0]), replies[1:])
