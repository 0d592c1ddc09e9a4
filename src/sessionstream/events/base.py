"""What an event type is: a name, a version, when it may be appended, and how to read its past versions."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from sessionstream.errors import EventTypeError
from sessionstream.events.plainness import Plainness
from sessionstream.redaction.naming import Names

__all__ = [
    "LIVE",
    "Event",
    "EventType",
    "Phase",
    "Upcaster",
    "event",
    "name_of",
    "registered",
    "type_of",
    "types_by_class",
    "types_by_word",
]

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
Declared = TypeVar("Declared", bound=type)

_RESERVED = "sessionstream.events.lifecycle"
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+\Z")


class Phase(enum.Enum):
    """Where a session stands in its life; its value is the letter that the append script knows it by."""

    ABSENT = "a"
    LIVE = "l"
    LAPSED = "p"
    ENDED = "e"


LIVE = frozenset({Phase.LIVE})


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The base of the built-in event types; users' own may derive from it, from `msgspec.Struct` or from pydantic."""


class EventType:
    """A registered event type.

    Attributes:
        name: its dotted name, past tense.
        version: the version of its schema that is written now.
        cls: the class of its events.
        phases: when it may be appended.
        runtime: an archived session refuses it.
        upcasters: for each older version, what makes the next version's fields of it.
        stored_as: what its entries call it: its name, and ``@`` and the version where that is not 1.
        letters: the phases, as the append script knows them.
        usual: whether anybody may append it to a live session, in its first version.
        reserved: whether it tells of something that a method of its own does, and nobody else may.
        encode: gives the JSON of an event's fields, unchecked.
        read: gives the event of the JSON of its fields, at the present version.
        is_clean: whether an event that was read back is known to have no name of a secret.
        is_plain: whether an event is known to be read back as it is, and to have no name of a secret; see `Plainness`.
        inspected: whether `is_plain` looks at events at all.
        direct: whether it is usual, and inspected.
    """

    __slots__ = (
        "cls",
        "direct",
        "encode",
        "inspected",
        "is_clean",
        "is_plain",
        "letters",
        "name",
        "phases",
        "read",
        "reserved",
        "runtime",
        "stored_as",
        "upcasters",
        "usual",
        "version",
    )

    def __init__(
        self,
        cls: type,
        name: str,
        version: int,
        phases: frozenset[Phase],
        runtime: bool,
        upcasters: dict[int, Upcaster],
    ) -> None:
        self.cls = cls
        self.name = name
        self.version = version
        self.stored_as = (name if version == 1 else f"{name}@{version}").encode()
        self.phases = phases
        self.letters = "".join(sorted(phase.value for phase in phases))
        self.runtime = runtime
        self.upcasters = upcasters
        self.reserved = cls.__module__ == _RESERVED
        self.usual = phases == LIVE and runtime and version == 1 and not self.reserved
        self.is_clean: Callable[[Any, Names], bool] = lambda value, names: False
        self.is_plain: Callable[[Any, Names], bool] = lambda value, names: False
        self.inspected = issubclass(cls, msgspec.Struct) and not hasattr(cls, "__post_init__")
        self.direct = self.usual and self.inspected
        if issubclass(cls, msgspec.Struct):
            self.read: Callable[[bytes], Any] = msgspec.json.Decoder(cls).decode
            self.encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
            if self.inspected:
                plainness = Plainness(cls)
                self.is_plain, self.is_clean = plainness.holds, plainness.is_clean
        else:
            self.read = cls.model_validate_json  # type: ignore[attr-defined]
            self.encode = lambda value: value.model_dump_json().encode()

    def decode(self, data: bytes, version: int) -> Any:
        """Return the event that the JSON of its fields holds, brought up to the present version."""
        if version < self.version:
            fields = msgspec.json.decode(data)
            for step in range(version, self.version):
                fields = self.upcasters[step](fields)
            data = msgspec.json.encode(fields)
        return self.read(data)


_by_name: dict[str, EventType] = {}
types_by_word: dict[bytes, EventType] = {}
"""The registered event types, as entries call them in their present version."""

types_by_class: dict[type, EventType] = {}
"""The registered event types by the class of their events."""


def event(
    name: str,
    *,
    version: int = 1,
    upcasters: Mapping[int, Upcaster] | None = None,
    phases: frozenset[Phase] = LIVE,
    runtime: bool = True,
) -> Callable[[Declared], Declared]:
    """Declare a class to be an event type.

    Args:
        name: dotted, lower case, past tense, such as ``orders.refund_approved``; stored with every event.
        version: the version of its fields, from 1; raise it whenever stored events would not decode any more.
        upcasters: for every version below this one, a function from the fields of that version to the next one's.
        phases: when it may be appended; leave as it is for everything that happens while a session runs.
        runtime: whether an archived session refuses it.

    Raises:
        EventTypeError: the name is taken or malformed, the class is neither a `msgspec.Struct` nor a pydantic model,
            or the upcasters leave a gap.
    """

    def declare(cls: Declared) -> Declared:
        if not _NAME.match(name):
            raise EventTypeError(f"{name!r} is no event name: dotted, lower case, such as orders.refund_approved")
        taken = _by_name.get(name)
        if taken is not None and not _same_declaration(taken.cls, cls):
            raise EventTypeError(f"{name!r} is declared twice: by {taken.cls.__qualname__} and by {cls.__qualname__}")
        if not issubclass(cls, msgspec.Struct) and not hasattr(cls, "model_validate_json"):
            raise EventTypeError(f"{cls.__qualname__} is neither a msgspec.Struct nor a pydantic.BaseModel")
        steps = dict(upcasters or {})
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise EventTypeError(f"{name}: the version is {version!r}, not 1 or more")
        missing = sorted(set(range(1, version)) - set(steps))
        beyond = sorted(set(steps) - set(range(1, version)))
        if missing or beyond:
            problem = f"no upcaster from version {missing[0]}" if missing else f"an upcaster from version {beyond[0]}"
            raise EventTypeError(f"{name} has version {version} and {problem}")
        if taken is not None:
            # Its entries may be of a version that is an older one now.
            types_by_word.pop(taken.stored_as, None)
        kind = EventType(cls, name, version, phases, runtime, steps)
        _by_name[name] = kind
        types_by_word[kind.stored_as] = kind
        types_by_class[cls] = kind
        return cls

    return declare


def _same_declaration(one: type, other: type) -> bool:
    # A module that is imported anew, as notebooks and reloaders do, declares the same class once more.
    names = [(cls.__module__, cls.__qualname__) for cls in (one, other)]
    return names[0] == names[1] and "<locals>" not in other.__qualname__


def registered(name: str) -> EventType | None:
    """Return the event type of a name, or None."""
    return _by_name.get(name)


def name_of(cls: type) -> str:
    """Return the name under which a class's events are stored; raises `EventTypeError` if it is not declared."""
    kind = types_by_class.get(cls) if isinstance(cls, type) else None
    if kind is None:
        raise EventTypeError(f"{cls!r} is no event type: declare it with @sessionstream.event('what.happened')")
    return kind.name


def type_of(value: object) -> EventType:
    """Return the event type of an event.

    Raises:
        EventTypeError: its class is not declared as an event type.
    """
    kind = types_by_class.get(type(value))
    if kind is None:
        raise EventTypeError(
            f"{type(value).__qualname__} is no event type: declare it with @sessionstream.event('what.happened')"
        )
    return kind
