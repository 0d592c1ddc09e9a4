"""How a member of a group consumes, checked before anything is sent."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypedDict

from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.events.ids import checked_id
from sessionstream.log.history import type_names

__all__ = ["JoinOptions", "Options", "options_from"]

_LONGEST = 86_400.0
_MOST = 10_000


class JoinOptions(TypedDict, total=False):
    """The options of `options_from`."""

    types: Iterable[str | type] | None
    agents: Iterable[str] | None
    on_parked: Literal["wait", "continue"]
    attempts: int
    backoff: float
    longest_backoff: float
    lease: float
    concurrency: int
    max_handling: float


@dataclass(frozen=True)
class Options:
    """How a member of a group consumes.

    Attributes:
        types: names of the event types that are handled; None is all.
        agents: agents whose sessions are; None is all.
        waits: whether the later events of a session wait for one that is parked.
        attempts: how often an event is tried before it is parked.
        backoff: seconds before the second try, doubled with each further one.
        longest_backoff: seconds that are never exceeded.
        lease: seconds after which the partitions of a member that died go to others.
        concurrency: how many events are handled at a time, of sessions of their own.
        max_handling: seconds after which the handling of an event counts as failed.
    """

    types: frozenset[str] | None = None
    agents: frozenset[str] | None = None
    waits: bool = True
    attempts: int = 5
    backoff: float = 0.1
    longest_backoff: float = 30.0
    lease: float = 15.0
    concurrency: int = 16
    max_handling: float = 300.0

    @property
    def beat(self) -> float:
        """Seconds from one heartbeat to the next: a member that comes or goes is noticed after so long."""
        return min(1.0, self.lease / 3)

    def delay(self, attempts: int) -> float:
        """Return how many seconds to wait after so many failures: half of it is for sure, half is jitter."""
        full = min(self.longest_backoff, self.backoff * 2.0 ** min(attempts - 1, 60))
        return full * (0.5 + random.random() / 2)


def options_from(
    *,
    types: Iterable[str | type] | None = None,
    agents: Iterable[str] | None = None,
    on_parked: Literal["wait", "continue"] = "wait",
    attempts: int = 5,
    backoff: float = 0.1,
    longest_backoff: float = 30.0,
    lease: float = 15.0,
    concurrency: int = 16,
    max_handling: float = 300.0,
) -> Options:
    """Return the options that a caller gave.

    Args:
        types: only events of these types, by name or by class; others are passed over.
        agents: only sessions of these agents.
        on_parked: whether the later events of a session whose event was parked wait for it, or go on.
        attempts: how often an event is tried before it is parked.
        backoff: seconds before the second try, doubled with each further one; half of it is jitter.
        longest_backoff: seconds that are never exceeded.
        lease: seconds after which the partitions of a member that died go to others.
        concurrency: how many events are handled at a time, each of a session of its own.
        max_handling: seconds after which the handling of an event is cancelled, and counts as failed.

    Raises:
        InvalidArgument: one of them is malformed.
    """
    if on_parked not in ("wait", "continue"):
        raise InvalidArgument(f"on_parked is {on_parked!r}: 'wait' and 'continue' are allowed")
    for name, number in (("attempts", attempts), ("concurrency", concurrency)):
        _check(name, number, int, 1, _MOST)
    for name, seconds, least in (
        ("backoff", backoff, 0.0),
        ("longest_backoff", longest_backoff, 0.0),
        ("lease", lease, 0.05),
        ("max_handling", max_handling, 0.001),
    ):
        _check(name, seconds, int | float, least, _LONGEST)
    return Options(
        types=None if types is None else frozenset(type_names(types)),
        agents=None if agents is None else frozenset(_ids(agents)),
        waits=on_parked == "wait",
        attempts=attempts,
        backoff=backoff,
        longest_backoff=longest_backoff,
        lease=lease,
        concurrency=concurrency,
        max_handling=max_handling,
    )


def _check(name: str, value: object, kind: object, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):  # type: ignore[arg-type]
        raise InvalidType(f"{name} is a number, not a {type(value).__name__}")
    if not least <= value <= most:  # type: ignore[operator]
        raise InvalidArgument(f"{name} is {value}: {least:g} to {most:,g} are allowed")


def _ids(agents: Iterable[str]) -> list[str]:
    if isinstance(agents, str | bytes) or not isinstance(agents, Iterable):
        raise InvalidType(f"agents is a list of agent ids, not {agents!r}")
    return [checked_id(agent, "an agent's id") for agent in agents]
