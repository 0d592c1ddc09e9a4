"""Ids: time-ordered for events (UUIDv7, RFC 9562 section 5.7), prefixed for sessions and checkpoints."""

from __future__ import annotations

import base64
import hashlib
import os
import time

from sessionstream.errors import InvalidArgument, InvalidType

__all__ = ["LONGEST_ID", "checked_id", "event_ids", "new_checkpoint_id", "new_session_id", "session_id_for"]

LONGEST_ID = 512
_RANDOM_BITS = (1 << 62) - 1


def event_ids(count: int) -> list[str]:
    """Return ``count`` new event ids: UUIDv7 in 22 characters of base64url, ascending."""
    head = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76
    middle = int.from_bytes(os.urandom(2)) & 0xFFF
    # Room for the whole batch above the random start, so that ids of one call ascend.
    tail = int.from_bytes(os.urandom(8)) & (_RANDOM_BITS >> 1)
    first = head | middle << 64 | 0b10 << 62
    return [_text(first | (tail + n)) for n in range(count)]


def _text(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(16)).decode()[:22]


def new_session_id() -> str:
    """Return a new session id, ``sess_…``."""
    return "sess_" + os.urandom(12).hex()


def new_checkpoint_id() -> str:
    """Return a new checkpoint id, ``ckpt_…``."""
    return "ckpt_" + os.urandom(10).hex()


def session_id_for(idempotency_key: str) -> str:
    """Return the session id that belongs to an idempotency key, the same whenever and wherever it is asked for."""
    key = checked_id(idempotency_key, "idempotency_key").encode()
    return "sess_" + hashlib.sha256(b"create:" + key).hexdigest()[:24]


def checked_id(value: object, name: str) -> str:
    """Return an id as given.

    Args:
        value: 1 to 512 bytes of UTF-8, any characters.
        name: of the argument, for the error.

    Raises:
        InvalidType: it is no string.
        InvalidArgument: it is empty, too long, or no valid Unicode.
    """
    if not isinstance(value, str):
        raise InvalidType(f"{name} is a string, not a {type(value).__name__}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidArgument(f"{name} holds a lone surrogate") from None
    if not 1 <= size <= LONGEST_ID:
        raise InvalidArgument(f"{name} has {size} bytes: 1 to {LONGEST_ID} are allowed")
    return value
