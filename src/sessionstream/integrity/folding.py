"""The fold of a verified history, and what is held against it: views, places in indexes, bodies of checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sessionstream.errors import KeyUnavailable, SessionStreamError
from sessionstream.events.base import types_by_word
from sessionstream.events.encrypted import Opener, mark_in
from sessionstream.events.recorded import RecordedEvent, version_of
from sessionstream.fold import Spot, Views, fold
from sessionstream.integrity.reporting import Finding, Kind
from sessionstream.log.gates import fields_of
from sessionstream.projection import HEAD, Projection
from sessionstream.projections import BUILT_IN
from sessionstream.projections.checkpoints import ORDER, SAVED
from sessionstream.projections.directory import looks_at
from sessionstream.projections.session import METADATA

if TYPE_CHECKING:
    # Evidence is verified without a store, and without what that loads.
    from sessionstream.log.keys import Keys
    from sessionstream.log.store import Store

__all__ = ["Folded", "altered_bodies", "body_problem", "same_views", "saved_checkpoints", "unlocked_fields"]

_NAMED = 5
_METADATA = METADATA.encode()
_LOCKED = "of what is encrypted, the keys are not here"
_OWNERS = {"", *(projection.name for projection in BUILT_IN)}
_ALWAYS = (Spot("", HEAD), Spot("checkpoints", SAVED))
_SAVED, _ORDER = Spot("checkpoints", SAVED), Spot("checkpoints", ORDER)
_HASHES = ("head", "view")


class Folded:
    """The views of one session as its events make them; events that change none are not decoded.

    Args:
        projections: what folds.
        session_id: the session.
        opener: what decrypts the events; None where nobody does.

    Attributes:
        projections: as given.
        views: as far as they are folded.
        broken: of which event the projections can make nothing, as words; it and what follows is not folded.
        locked: why not all was folded, as words: keys are not here, so only what is stored in plain text was.
    """

    def __init__(self, projections: Sequence[Projection], session_id: str, opener: Opener | None = None) -> None:
        self.projections = projections
        self._session_id = session_id
        self._opener = opener
        self._quiet: dict[bytes, bool] = {}
        self._slides = False
        self.broken = ""
        self.locked = ""
        self.views = Views(session_id)

    def take(self, offset: str, words: Sequence[bytes]) -> None:
        """Fold the next event."""
        kind = words[0] if words else b""
        quiet = self._quiet.get(kind)
        if quiet is None:
            quiet = self._quiet[kind] = _is_quiet(kind, self.projections)
        if quiet and not self._slides:
            return
        if self.broken:
            return
        try:
            event = RecordedEvent(self._session_id, offset, words, self._opener)
            try:
                fold(self._session_id, [event], self.projections, self.views)
            except KeyUnavailable:
                self.locked = _LOCKED
                self._fold_known(event)
        except (SessionStreamError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            # Of what was appended the projections have made something once.
            self.broken = f"version {version_of(offset)}, of which nothing can be made: {error}"
        self._slides = self.views.head.get(b"sliding") == b"1"

    def _fold_known(self, event: RecordedEvent) -> None:
        """Fold what is stored of an encrypted event in plain text: that is all that the built-in projections count."""
        known = event.data if event.known is None else event.known
        for projection in BUILT_IN:
            for operation in projection.operations(self._session_id, known):
                self.views.apply(projection.name, operation, event.offset)

    def spots(self) -> list[Spot]:
        """Return the views that can be compared: the session's own, and the indexes that it may stand in."""
        return [spot for spot in self._spots() if not self.locked or spot.projection in _OWNERS]

    def _spots(self) -> list[Spot]:
        views = self.views
        hashes = {**dict.fromkeys(_ALWAYS), **views.hashes}
        own = [spot for spot in hashes if spot.place.kind in _HASHES]
        sets = {_ORDER: None, **views.sets}
        return own + [spot for spot in sets if spot.place.kind in ("ranking", "index")]

    def commands(self, keys: Keys, spots: Iterable[Spot]) -> list[tuple[Any, ...]]:
        """Return the commands that read the live ones."""
        found: list[tuple[Any, ...]] = []
        for spot in spots:
            key = keys.place(spot.projection, spot.place, self._session_id)
            if spot.place.kind in _HASHES:
                found.append(("HGETALL", key))
            elif spot.place.kind == "ranking":
                found.append(("ZRANGE", key, 0, -1, "WITHSCORES"))
            else:
                found.append(("ZSCORE", key, self._session_id))
        return found

    def differences(self, spots: Sequence[Spot], replies: Sequence[Any]) -> list[Finding]:
        """Return in what the live views differ from the folded ones."""
        found = []
        for spot, reply in zip(spots, replies, strict=True):
            live, folded = _live(spot, reply), self._folded(spot)
            if self.locked and spot.place.kind in _HASHES:
                live, folded = unlocked_fields(live, folded)
            if live != folded:
                name = f"{spot.projection}:{spot.place.name}" if spot.projection else "head"
                key = f" of {spot.place.key}" if spot.place.key else ""
                found.append(Finding(Kind.VIEW_ALTERED, f"{name}{key}: {_told(live, folded)}", name=name))
        return found

    def _folded(self, spot: Spot) -> dict[bytes, Any]:
        if spot.place.kind in _HASHES:
            return {field: value for field, value in self.views.hashes.get(spot, {}).items() if field}
        members = self.views.sets.get(spot, {})
        # Where a session stands in an index, it is itself the member.
        if spot.place.kind == "ranking":
            return dict(members)
        return {b"": next(iter(members.values()))} if members else {}


def unlocked_fields(
    live: dict[bytes, bytes], folded: dict[bytes, bytes]
) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Return of the fields of a hash, as it is and as it was folded without keys, what can be compared."""
    marked = {field: mark_in(value) for field, value in live.items()}
    kept = [
        {
            field: value[: marked[field]] if marked.get(field, -1) >= 0 else value
            for field, value in fields.items()
            if not field.startswith(_METADATA)
        }
        for fields in (live, folded)
    ]
    return kept[0], kept[1]


def _is_quiet(kind: bytes, projections: Iterable[Projection]) -> bool:
    """Whether events of a type change a view only in a session whose time to live slides."""
    known = types_by_word.get(kind)
    return known is not None and not any(looks_at(projection, known.cls) for projection in projections)


def _live(spot: Spot, reply: Any) -> dict[bytes, Any]:
    if spot.place.kind in _HASHES:
        head = spot.place.kind == "head"
        return {
            field: value for field, value in fields_of(reply).items() if field and not (head and _is_the_logs(field))
        }
    if spot.place.kind == "ranking":
        return {member: float(score) for member, score in zip(reply[::2], reply[1::2], strict=True) if member}
    return {} if reply is None else {b"": float(reply)}


def _is_the_logs(field: bytes) -> bool:
    """Whether the log or the locks keep a field of the head, which is no view."""
    return field in (b"offset", b"token") or field.startswith(b"lock_")


def _told(live: Mapping[bytes, Any], folded: Mapping[bytes, Any]) -> str:
    names = sorted({name for name in {**live, **folded} if live.get(name) != folded.get(name)})
    if names == [b""]:
        return "the session does not stand there as its events say"
    text = ", ".join(name.decode(errors="replace") for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{text}{more}: not what the events make"


def same_views(one: Views, other: Views) -> bool:
    """Whether two folds made the same; an absent view equals an empty one."""

    def full(views: Views) -> dict[Spot, Any]:
        return {spot: kept for spot, kept in (*views.hashes.items(), *views.sets.items()) if kept}

    return full(one) == full(other)


def saved_checkpoints(views: Views) -> dict[bytes, bytes]:
    """Return what the events tell of each checkpoint that is kept, by its id."""
    return views.hashes.get(_SAVED, {})


async def altered_bodies(
    store: Store, session_id: str, saved: Mapping[bytes, bytes], fine: set[bytes], *, all_known: bool
) -> list[Finding]:
    """Return which checkpoints' bodies are not what was saved.

    Args:
        store: where they are kept.
        session_id: the session.
        saved: what the events tell of each.
        fine: the ids of those that were found to be right; they are passed over, and others are added.
        all_known: whether the events tell of every checkpoint that there is.
    """
    key = store.keys.bodies(session_id)
    found = []
    for identifier in [one for one in saved if one not in fine]:
        body = await store.server.call("HGET", key, identifier)
        problem = body_problem(saved[identifier], body)
        if problem:
            found.append(_body_finding(identifier, saved[identifier], problem))
        else:
            fine.add(identifier)
    kept = await store.server.call("HKEYS", key) if all_known else []
    found += [
        Finding(Kind.CHECKPOINT_ALTERED, "no event saved it", name=identifier.decode(errors="replace"))
        for identifier in kept
        if identifier and identifier not in saved
    ]
    return found


def body_problem(told: bytes, body: bytes | None) -> str:
    """Return what is wrong with a checkpoint's body, nothing if it is what its event tells.

    Args:
        told: what is kept of the event: offset, covered offset, size, SHA-256, label.
        body: the body, or None.
    """
    _, _, size, sha256, _ = told.split(b" ", 4)
    if body is None:
        return "its body is gone"
    if len(body) != int(size):
        return f"its body has {len(body):,} bytes, {int(size):,} were saved"
    return "" if hashlib.sha256(body).hexdigest().encode() == sha256 else "its body is not what was saved"


def _body_finding(identifier: bytes, told: bytes, problem: str) -> Finding:
    offset = told.split(b" ", 1)[0].decode()
    version = int(offset.partition("-")[2])
    return Finding(Kind.CHECKPOINT_ALTERED, problem, offset, version, identifier.decode(errors="replace"))
