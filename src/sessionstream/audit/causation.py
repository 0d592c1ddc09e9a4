"""What led to what: causation ids name the event before, correlation ids the whole to which events belong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sessionstream.directory.listing import every_session_id
from sessionstream.errors import HistoryTrimmed, InvalidArgument, SessionNotFound
from sessionstream.events.arguments import checked_list
from sessionstream.events.ids import checked_id
from sessionstream.events.recorded import RecordedEvent, at_ms, moment, version_of
from sessionstream.log.history import Window, read_history
from sessionstream.log.store import Store

__all__ = ["Step", "Trace", "Whole", "trace"]


@dataclass(slots=True, eq=False)
class Step:
    """An event, and what it led to; or an id that events name as their cause and that no event here has.

    Attributes:
        id: the event's.
        session_id: whose event it is; empty for a cause that is not here.
        offset: where it lies; empty for a cause that is not here.
        type: the name of its type.
        actor: who did it.
        correlation_id: the whole to which it belongs.
        causation_id: the id of what led to it.
        cause: what led to it; None for what nothing here led to.
        cut: whether its cause is left out because it is its own effect.
        label: what it is about, where the caller asked for that.
        effects: what it led to, in the order of the events.
    """

    id: str
    session_id: str = ""
    offset: str = ""
    type: str = ""
    actor: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    cause: Step | None = field(default=None, repr=False)
    cut: bool = False
    label: str = ""
    effects: list[Step] = field(default_factory=list, repr=False)

    @property
    def known(self) -> bool:
        """Whether it is an event, and not only the id of one that is not here."""
        return self.offset != ""

    @property
    def version(self) -> int:
        """Its version in its session; 0 for a cause that is not here."""
        return version_of(self.offset) if self.known else 0

    @property
    def at(self) -> datetime | None:
        """When it happened; None for a cause that is not here."""
        return moment(at_ms(self.offset)) if self.known else None


class Whole(NamedTuple):
    """What belongs together by its correlation id.

    Attributes:
        correlation_id: the id; None for what has none.
        roots: what nothing here led to.
    """

    correlation_id: str | None
    roots: list[Step]


@dataclass(frozen=True)
class Trace:
    """A tree of what led to what.

    Attributes:
        wholes: by correlation id, in the order of their first events.
        trimmed: the sessions of which the first events were trimmed, and so are not in it.
    """

    wholes: list[Whole]
    trimmed: tuple[str, ...] = ()

    @property
    def events(self) -> int:
        """How many events are in it."""
        return sum(step.known for _, step in self.walk())

    @property
    def unknown(self) -> list[str]:
        """The ids that are named as causes, and that no event here has."""
        return [step.id for _, step in self.walk() if not step.known]

    @property
    def cut(self) -> list[str]:
        """The ids of events whose cause is their own effect, so that it was left out."""
        return [step.id for _, step in self.walk() if step.cut]

    def walk(self) -> Iterator[tuple[int, Step]]:
        """Yield every step with its depth, each before what it led to; a tree of any depth."""
        for whole in self.wholes:
            stack = [(0, root) for root in reversed(whole.roots)]
            while stack:
                depth, step = stack.pop()
                yield depth, step
                stack += [(depth + 1, effect) for effect in reversed(step.effects)]


async def trace(
    store: Store,
    session_id: str,
    *,
    event: str | None = None,
    correlation_id: str | None = None,
    among: Iterable[str] = (),
    everywhere: bool = False,
    label: Callable[[RecordedEvent], str] | None = None,
) -> Trace:
    """Return what led to what in a session; see `sessionstream.audit.Audit.trace`.

    Args:
        store: where it is kept.
        session_id: the session.
        event: the id or the offset of an event: only what led to it, and what it led to.
        correlation_id: only events that belong to this.
        among: further sessions in which causes and effects may lie.
        everywhere: look at every session that is kept, for events of the correlation.
        label: what to keep of each event as its label.
    """
    if everywhere and correlation_id is None:
        raise InvalidArgument("everywhere is for one correlation_id: every event of the namespace is no tree")
    steps: list[Step] = []
    shared: dict[str, str] = {}
    trimmed: dict[str, None] = {}
    async for name in _sessions(store, session_id, among, everywhere):
        async for recorded in _events(store, name, trimmed, required=name == session_id):
            recorded.require_key()
            if correlation_id is None or recorded.correlation_id == correlation_id:
                steps.append(_step(recorded, shared, label))
    steps.sort(key=lambda step: (at_ms(step.offset), step.version))
    roots = _joined(steps)
    if event is not None:
        roots = [_around(steps, event, session_id)]
    return Trace(_wholes(roots), tuple(trimmed))


async def _sessions(store: Store, session_id: str, among: Iterable[str], everywhere: bool) -> AsyncIterator[str]:
    listed = checked_list(among, "among")
    named = dict.fromkeys((checked_id(session_id, "session_id"), *(checked_id(name, "among") for name in listed)))
    for name in named:
        yield name
    if everywhere:
        async for name in every_session_id(store):
            if name not in named:
                yield name


async def _events(
    store: Store, session_id: str, trimmed: dict[str, None], *, required: bool
) -> AsyncIterator[RecordedEvent]:
    begins = 0
    while True:
        try:
            async for recorded in read_history(store, session_id, Window(from_version=begins or None)):
                yield recorded
            return
        except SessionNotFound:
            if required:
                raise
            return
        except HistoryTrimmed as error:  # it may be trimmed once more while it is read
            trimmed[session_id] = None
            if error.first is None or version_of(error.first) <= begins:
                return
            begins = version_of(error.first)


def _step(event: RecordedEvent, shared: dict[str, str], label: Callable[[RecordedEvent], str] | None) -> Step:
    def same(text: str | None) -> str | None:
        # One text for all events that say the same, as most do.
        return None if text is None else shared.setdefault(text, text)

    return Step(
        id=event.id,
        session_id=same(event.session_id) or "",
        offset=event.offset,
        type=same(event.type) or "",
        actor=same(event.actor),
        correlation_id=same(event.correlation_id),
        causation_id=same(event.causation_id),
        label=label(event) if label is not None else "",
    )


def _joined(steps: list[Step]) -> list[Step]:
    """Join events with their causes, and return what has none here: events, and causes that are not here."""
    known: dict[str, Step] = {}
    for step in steps:
        known.setdefault(step.id, step)
    absent: dict[str, Step] = {}
    for step in steps:
        named = step.causation_id
        if named:
            step.cause = known.get(named) or absent.setdefault(named, Step(named))
    _cut_circles(steps)
    roots: dict[int, Step] = {}
    for step in steps:
        if step.cause is None:
            roots[id(step)] = step
        else:
            step.cause.effects.append(step)
            if not step.cause.known:
                step.cause.correlation_id = step.cause.correlation_id or step.correlation_id
                roots.setdefault(id(step.cause), step.cause)
    return list(roots.values())


def _cut_circles(steps: list[Step]) -> None:
    """Take its cause from the first event of each circle of causes."""
    places = {id(step): place for place, step in enumerate(steps)}
    done: set[int] = set()
    for start in steps:
        path: dict[int, Step] = {}
        step: Step | None = start
        while step is not None and id(step) not in done and id(step) not in path:
            path[id(step)] = step
            step = step.cause
        if step is not None and id(step) in path:
            behind = list(path.values())
            circle = behind[behind.index(step) :]
            first = min(circle, key=lambda one: places[id(one)])
            first.cause, first.cut = None, True
        done.update(path)


def _around(steps: list[Step], event: str, session_id: str) -> Step:
    """Return the first cause of an event, with the way to that event alone, and all that the event led to."""
    found = next((step for step in steps if step.id == event), None) or next(
        (step for step in steps if step.offset == event and step.session_id == session_id), None
    )
    if found is None:
        raise InvalidArgument(f"there is no event {event!r} among those that were looked at")
    while found.cause is not None:
        found.cause.effects = [found]
        found = found.cause
    return found


def _wholes(roots: list[Step]) -> list[Whole]:
    wholes: dict[str | None, Whole] = {}
    for root in roots:
        wholes.setdefault(root.correlation_id, Whole(root.correlation_id, [])).roots.append(root)
    return list(wholes.values())
