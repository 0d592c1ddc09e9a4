"""What changed between two moments, field by field, and which events did it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from sessionstream.audit.as_of import AsOf, known, latest_checkpoint
from sessionstream.audit.moments import Moment, folded_at, until_of
from sessionstream.bases import Folded, entries_behind
from sessionstream.errors import InvalidArgument
from sessionstream.events.encrypted import Opener
from sessionstream.log.history import parse_offset
from sessionstream.log.store import Store
from sessionstream.projection import HEAD
from sessionstream.projections.session import METADATA

__all__ = ["Cause", "Change", "Diff", "diff"]

MOST_EVENTS = 100
"""So many events are named of each field, the last ones."""

Path = tuple[str, ...]
_ABSENT = object()
_PREFIX = METADATA.encode()
_FIELDS = {b"state": "state", b"expires_at": "expires_at"}


class Cause(NamedTuple):
    """An event that changed something.

    Attributes:
        offset: where it lies.
        type: the name of its type.
    """

    offset: str
    type: str


@dataclass(frozen=True)
class Change:
    """A field that is not what it was.

    Attributes:
        path: which field: ``("state",)``, ``("expires_at",)``, ``("checkpoint",)``, or ``("metadata", …)`` down to the
            innermost key that differs; lists are compared as wholes.
        kind: ``added``, ``removed`` or ``changed``.
        before: what it was; None where it was not there.
        after: what it is; None where it is not there.
        events: those that did it, oldest first, the last hundred of that top-level field; none where time alone did.
        complete: whether these are all of them.
    """

    path: Path
    kind: str
    before: Any
    after: Any
    events: tuple[Cause, ...]
    complete: bool = True

    @property
    def name(self) -> str:
        """The path as text, its parts joined by dots."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Diff:
    """What changed in a session between two moments.

    Attributes:
        before: the session as it was known at the first.
        after: the same at the second.
        changes: the fields that differ; what changed and changed back does not.
        types: how many events of each type there were in between.
    """

    before: AsOf
    after: AsOf
    changes: tuple[Change, ...]
    types: Mapping[str, int]

    @property
    def events(self) -> int:
        """How many events there were in between."""
        return sum(self.types.values())

    @property
    def messages_added(self) -> int:
        """How many messages were added."""
        return self.types.get("message.added", 0)

    @property
    def messages_retracted(self) -> int:
        """How many messages were taken back."""
        return self.types.get("message.retracted", 0)


async def diff(store: Store, session_id: str, a: Moment, b: Moment) -> Diff:
    """Return what changed between two moments; see `sessionstream.audit.Audit.diff`."""
    first, last = await until_of(store, session_id, a), await until_of(store, session_id, b)
    if parse_offset(last.offset) < parse_offset(first.offset):
        raise InvalidArgument(f"{b!r} lies before {a!r}: give the earlier moment first")
    folded = await folded_at(store, session_id, first)
    before = await known(store, folded, first)
    watch = _Watch(folded, store.opener)
    async with aclosing(entries_behind(store, folded, last.offset)) as pages:
        async for page in pages:
            watch.take(page)
    after = await known(store, folded, last)
    return Diff(before, after, tuple(watch.changes(before, after)), watch.types())


class _Log:
    """The events that changed one top-level field, each with the paths that it changed."""

    def __init__(self) -> None:
        self.events: deque[tuple[Cause, list[Path]]] = deque(maxlen=MOST_EVENTS)
        self.count = 0

    def add(self, cause: Cause, paths: list[Path]) -> None:
        self.events.append((cause, paths))
        self.count += 1

    def of(self, path: Path) -> tuple[Cause, ...]:
        """Return the events that changed a path, something in it, or something that it is in."""
        return tuple(cause for cause, paths in self.events if any(_related(path, one) for one in paths))


class _Watch:
    """Folds what lies between two moments, and notes which event changed what.

    Args:
        folded: the first moment; it goes on to the second.
        opener: what decrypts.
    """

    def __init__(self, folded: Folded, opener: Opener) -> None:
        self._folded = folded
        self._opener = opener
        self._logs: dict[Path, _Log] = {}
        self._words: Counter[bytes] = Counter()
        self._latest = latest_checkpoint(folded.views)

    def take(self, entries: Sequence[Sequence[Any]]) -> None:
        """Fold a page of entries; those that change no view are only counted."""
        folded = self._folded
        slides = folded.views.head.get(b"sliding") == b"1"
        for entry in entries:
            self._words[entry[1][0] if entry[1] else b"?"] += 1
            if slides or not folded.is_quiet(entry):
                self._fold(entry)
        folded.offset = entries[-1][0].decode()

    def types(self) -> dict[str, int]:
        """Return how many events of each type there were, the most frequent first."""
        types: Counter[str] = Counter()
        for word, count in self._words.items():
            types[word.partition(b"@")[0].decode(errors="replace")] += count
        return dict(types.most_common())

    def changes(self, before: AsOf, after: AsOf) -> Iterator[Change]:
        """Yield what differs between the two moments."""
        for path, old, new in _differences(_fields_of(before), _fields_of(after), ()):
            log = self._logs.get(path[:2] if path[0] == "metadata" else path[:1], _Log())
            kind = "added" if old is _ABSENT else "removed" if new is _ABSENT else "changed"
            was, now = (None if value is _ABSENT else value for value in (old, new))
            yield Change(path, kind, was, now, log.of(path), log.count <= MOST_EVENTS)

    def _fold(self, entry: Sequence[Any]) -> None:
        head = self._folded.views.head
        old = dict(head)
        event = self._folded.fold(entry)
        cause = Cause(event.offset, event.type)
        for field in old.keys() | head.keys() if old != head else ():
            if old.get(field) != head.get(field):
                self._note(cause, field, old.get(field), head.get(field))
        if event.type.startswith("checkpoint.") and (latest := latest_checkpoint(self._folded.views)) != self._latest:
            self._latest = latest
            self._log(("checkpoint",)).add(cause, [("checkpoint",)])

    def _note(self, cause: Cause, field: bytes, old: bytes | None, new: bytes | None) -> None:
        if field in _FIELDS:
            self._log((_FIELDS[field],)).add(cause, [(_FIELDS[field],)])
        elif field.startswith(_PREFIX):
            path = ("metadata", field[len(_PREFIX) :].decode())
            known = [None if value is None else self._opened(field, value) for value in (old, new)]
            if known[0] != known[1]:
                was, now = (_ABSENT if value is None else msgspec.json.decode(value) for value in known)
                self._log(path).add(cause, [one for one, *_ in _differences(was, now, path)])

    def _opened(self, field: bytes, value: bytes) -> bytes:
        return self._opener.field(self._folded.session_id, "", HEAD, field, value)

    def _log(self, path: Path) -> _Log:
        return self._logs.setdefault(path, _Log())


def _fields_of(known: AsOf) -> dict[str, Any]:
    fields: dict[str, Any] = {"state": known.state.value, "metadata": dict(known.metadata)}
    if known.session.expires_at is not None:
        fields["expires_at"] = known.session.expires_at
    if known.checkpoint is not None:
        fields["checkpoint"] = known.checkpoint.checkpoint_id
    return fields


def _differences(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    """Yield the innermost keys in which two values differ, each with what it has in both."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, key))
    elif old is not new and (old is _ABSENT or new is _ABSENT or _json(old) != _json(new)):
        yield path, old, new


def _json(value: Any) -> bytes:
    # Python holds 1, 1.0 and True equal, JSON does not.
    return value.isoformat().encode() if isinstance(value, datetime) else msgspec.json.encode(value, order="sorted")


def _related(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
