"""Ids: time-ordered for events (UUIDv7, RFC 9562 section 5.7), prefixed for sessions and checkpoints."""

from __future__ import annotations

import binascii
import hashlib
import itertools
import os
import secrets
import time
from collections.abc import Iterator

from sessionstream.errors import InvalidArgument, InvalidType

__all__ = [
    "LONGEST_ID",
    "checked_id",
    "event_ids",
    "new_checkpoint_id",
    "new_hold_id",
    "new_session_id",
    "session_id_for",
]

LONGEST_ID = 512
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The last 14 bits of an id in base64url: 12 that count, and 2 that stay 0.
_TAILS = [bytes((first, second)) + b"A" for first in _DIGITS for second in _DIGITS]


class _Series:
    """Counts from a random start, and takes another start after 4,096 ids (RFC 9562 section 6.2, method 1)."""

    def __init__(self) -> None:
        # Each replaced as a whole: other threads take ids from them at the same time.
        self._now = (0, b"")
        self._series: tuple[bytes, Iterator[bytes]] = (b"", iter(()))
        os.register_at_fork(after_in_child=self._forget)

    def take(self, count: int) -> tuple[bytes, ...]:
        """Return so many ids, ascending."""
        ms = time.time_ns() // 1_000_000
        known, time_text = self._now
        if known != ms:
            time_text = binascii.b2a_base64(ms.to_bytes(6), newline=False).translate(_URL_SAFE)
            self._now = (ms, time_text)
        start, tails = self._series
        start = time_text + start
        if count == 1 and (tail := next(tails, None)) is not None:
            return (start + tail,)
        found = tuple([start + tail for tail in itertools.islice(tails, count)])
        if len(found) == count:
            return found
        first = _random_bits()
        if count <= len(_TAILS):
            rest, tails = _rest_text(first)[:11], iter(_TAILS)
            start = time_text + rest
            found = tuple([start + tail for tail in itertools.islice(tails, count)])
            # Not before this call has its own: other threads take from what stands there.
            self._series = (rest, tails)
            return found
        return tuple([time_text + _rest_text(number) for number in range(first, first + count)])

    def _forget(self) -> None:
        """Leave to the parent of a fork what it would use too."""
        self._series = (b"", iter(()))


event_ids = _Series().take
"""Return so many new event ids: UUIDv7 in 22 characters of base64url, those of one call ascending."""


def _random_bits() -> int:
    """Return what follows the time in an id: 80 bits, of which 6 say that it is a UUIDv7."""
    noise = os.urandom(10)
    # Room for a whole batch above the random start, so that its ids ascend.
    return 0x7 << 76 | (noise[0] << 8 | noise[1]) % 4096 << 64 | 0b10 << 62 | int.from_bytes(noise[2:]) >> 3


def _rest_text(number: int) -> bytes:
    # The time takes 48 bits, which are 8 characters; so the rest begins with a character of its own.
    return binascii.b2a_base64(number.to_bytes(10), newline=False)[:14].translate(_URL_SAFE)


def new_session_id() -> str:
    """Return a new session id, ``sess_…``, of 96 random bits in base64url."""
    # Each append is told of by its session's id in the feed: in hexadecimal digits it would take 8 bytes more.
    return "sess_" + secrets.token_urlsafe(12)


def new_checkpoint_id() -> str:
    """Return a new checkpoint id, ``ckpt_…``."""
    return "ckpt_" + os.urandom(10).hex()


def new_hold_id() -> str:
    """Return a new hold's id, ``hold_…``."""
    return "hold_" + os.urandom(6).hex()


def session_id_for(idempotency_key: str) -> str:
    """Return the session id that belongs to an idempotency key, the same whenever and wherever it is asked for."""
    key = checked_id(idempotency_key, "idempotency_key").encode()
    return "sess_" + hashlib.sha256(b"create:" + key).hexdigest()[:24]


def checked_id(value: object, name: str) -> str:
    """Return an id as given, as a text of no other type.

    Args:
        value: 1 to 512 bytes of UTF-8, any characters.
        name: of the argument, for the error.

    Raises:
        InvalidType: it is no string, or one that is written differently than it reads.
        InvalidArgument: it is empty, too long, or no valid Unicode.
    """
    if not isinstance(value, str):
        raise InvalidType(f"{name} is a string, not a {type(value).__name__}")
    # As part of a key, a member of an Enum that is no StrEnum would be written by its name.
    if type(value) is not str and f"{value}" != str.__str__(value):
        raise InvalidType(f"{name} is a string that is written differently than it reads: give its value")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidArgument(f"{name} holds a lone surrogate") from None
    if not 1 <= size <= LONGEST_ID:
        raise InvalidArgument(f"{name} has {size} bytes: 1 to {LONGEST_ID} are allowed")
    return str.__str__(value)
