"""Ids: time-ordered for events (UUIDv7, RFC 9562 section 5.7), prefixed for sessions and checkpoints."""

from __future__ import annotations

import binascii
import hashlib
import os
import time

from sessionstream.errors import InvalidArgument, InvalidType

__all__ = ["LONGEST_ID", "checked_id", "event_ids", "new_checkpoint_id", "new_session_id", "session_id_for"]

LONGEST_ID = 512
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def event_ids(count: int) -> list[bytes]:
    """Return ``count`` new event ids: UUIDv7 in 22 characters of base64url, ascending."""
    noise = _noise(10)
    head = time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | (noise[0] << 8 | noise[1]) % 4096 << 64 | 0b10 << 62
    # Room for the whole batch above the random start, so that ids of one call ascend.
    first = head + (int.from_bytes(noise[2:]) >> 3)
    if count == 1:
        return [_text(first)]
    return [_text(number) for number in range(first, first + count)]


def _text(number: int) -> bytes:
    return binascii.b2a_base64(number.to_bytes(16), newline=False)[:22].translate(_URL_SAFE)


class _Noise:
    """Random bytes of the system, fetched some thousands at a time: one system call for each id would cost more."""

    def __init__(self) -> None:
        self._left = b""
        os.register_at_fork(after_in_child=self.forget)

    def __call__(self, count: int) -> bytes:
        if len(self._left) < count:
            self._left = os.urandom(4000)
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def forget(self) -> None:
        """Throw away what the parent of a fork would use too."""
        self._left = b""


_noise = _Noise()


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
