"""Who does it, and because of what: stamped on every event that is made inside a `with acting(…)` block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from sessionstream.errors import InvalidType
from sessionstream.events.strict_json import encode_json

__all__ = ["NOTHING", "Meta", "acting", "current_meta", "meta_of_task"]


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who and why, stored with an event; absent fields are not stored.

    Attributes:
        actor: who did it.
        correlation_id: the whole to which the event belongs, such as a request.
        causation_id: the id of the event or message that led to it.
    """

    actor: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None


NOTHING = Meta()
"""What `meta_of_task` returns outside of every `acting` block."""

_current: ContextVar[Meta] = ContextVar("sessionstream_meta", default=NOTHING)
meta_of_task = _current.get
"""Return who acts, and why, in the running task; no function of ours, as every append asks."""

_encode = msgspec.json.Encoder().encode


@contextmanager
def acting(
    *, actor: str | None = None, correlation_id: str | None = None, causation_id: str | None = None
) -> Iterator[None]:
    """Stamp every event that is made in this context; blocks nest, and the inner one adds to the outer.

    Args:
        actor: who does it, such as ``user:42`` or ``agent:planner``.
        correlation_id: the whole to which the events belong.
        causation_id: the id of what led to them.

    Raises:
        InvalidType: one of them is not a string.
        InvalidData: or holds a lone surrogate.
    """
    token = _current.set(_merged(actor, correlation_id, causation_id))
    try:
        yield
    finally:
        _current.reset(token)


def current_meta(correlation_id: str | None = None, causation_id: str | None = None) -> bytes:
    """Return the JSON to store with an event made now, empty where there is nothing to say."""
    if correlation_id is None and causation_id is None:
        meta = _current.get()
        if meta is NOTHING:
            return b""
    else:
        meta = _merged(None, correlation_id, causation_id)
    return b"" if meta == NOTHING else _encode(meta)


def _merged(actor: str | None, correlation_id: str | None, causation_id: str | None) -> Meta:
    given = {"actor": actor, "correlation_id": correlation_id, "causation_id": causation_id}
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise InvalidType(f"{name} is a string, not a {type(value).__name__}")
        if value is not None:
            encode_json(value, name)
    outer = _current.get()
    return Meta(
        actor=actor if actor is not None else outer.actor,
        correlation_id=correlation_id if correlation_id is not None else outer.correlation_id,
        causation_id=causation_id if causation_id is not None else outer.causation_id,
    )
