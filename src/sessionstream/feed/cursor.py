"""Positions of the feed: one of a partition, and a cursor that holds one of each.

A position ``<ms>-<n>`` says that the first n pointers of its partition were seen, the last of them at ms; ``0-0`` is
the beginning. A cursor is written as base64url (RFC 4648 section 5) of: 4 bytes of a digest of the namespace, then
numbers of 7 bits a byte, lowest first: the partitions, the earliest ms of all, and of each partition n and, unless that
is 0, by how much its ms is later; at last a CRC16 of what stands before. That is some 7 bytes a partition.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sessionstream.errors import CursorMismatch, InvalidArgument, InvalidType
from sessionstream.events.stored import reading_stored
from sessionstream.log.history import parse_offset
from sessionstream.log.keys import Keys

__all__ = ["BEGINNING", "Cursor", "number_of", "position_of"]

BEGINNING = "0-0"
"""The position in front of the first pointer of a partition."""

_PREFIX = "c1"
_NEWER = re.compile(r"c(?!1)[1-9]")
_CHECK = 2


def position_of(reply: bytes | None) -> str:
    """Return a position as the server gives it: where there is none, the beginning."""
    if reply is None:
        return BEGINNING
    with reading_stored("a position in the feed"):
        text = reply.decode()
        parse_offset(text)
        return text


def number_of(position: str) -> int:
    """Return how many pointers a position has behind it."""
    return int(position.partition("-")[2])


class Cursor(NamedTuple):
    """A position in the feed of every partition; ``str(cursor)`` can be stored, `parse` reads it again.

    Attributes:
        digest: names the namespace.
        positions: one of each partition.
    """

    digest: bytes
    positions: tuple[str, ...]

    @classmethod
    def of(cls, keys: Keys, positions: Sequence[str]) -> Cursor:
        """Return the cursor of a namespace that holds a position of each partition."""
        return cls(_digest_of(keys.namespace), tuple(positions))

    @classmethod
    def beginning(cls, keys: Keys) -> Cursor:
        """Return the cursor in front of everything that a namespace ever held."""
        return cls.of(keys, (BEGINNING,) * keys.partitions)

    @classmethod
    def parse(cls, text: object, keys: Keys) -> Cursor:
        """Return the cursor that was written as a string, or given as it is.

        Args:
            text: what ``str(cursor)`` gave, or a cursor.
            keys: of the namespace for which it is to be used.

        Raises:
            InvalidArgument: it is malformed.
            CursorMismatch: it belongs to another namespace, or to another number of partitions.
        """
        cursor = text if isinstance(text, Cursor) else cls._read(text)
        if cursor.digest != _digest_of(keys.namespace):
            raise CursorMismatch(keys.namespace, keys.partitions, "it is of another namespace")
        if len(cursor.positions) != keys.partitions:
            problem = f"it is of {len(cursor.positions)} partitions"
            raise CursorMismatch(keys.namespace, keys.partitions, problem)
        return cursor

    @classmethod
    def _read(cls, text: object) -> Cursor:
        if not isinstance(text, str):
            raise InvalidType(f"a cursor is a string, not a {type(text).__name__}")
        if _NEWER.match(text):
            raise InvalidArgument(f"{text[:40]!r} is a cursor of a newer version: this one reads those with {_PREFIX}")
        try:
            if not text.startswith(_PREFIX):
                raise ValueError
            written = text[len(_PREFIX) :]
            data = base64.b64decode(written + "=" * (-len(written) % 4), altchars=b"-_", validate=True)
            digest, body, check = data[:4], data[4:-_CHECK], data[-_CHECK:]
            if check != _check_of(data[:-_CHECK]):
                raise ValueError
            return cls(digest, tuple(_positions(_numbers(body))))
        except (ValueError, StopIteration):
            raise InvalidArgument(f"{text[:40]!r} is no cursor: it was cut short, or altered") from None

    def at(self, partition: int, position: str) -> Cursor:
        """Return a cursor that differs in one partition.

        Args:
            partition: which one.
            position: where it stands there.
        """
        before, after = self.positions[:partition], self.positions[partition + 1 :]
        return Cursor(self.digest, (*before, position, *after))

    def __str__(self) -> str:
        pairs = [parse_offset(position) for position in self.positions]
        earliest = min((ms for ms, number in pairs if number), default=0)
        data = bytearray(self.digest)
        for number in (len(pairs), earliest):
            data += _written(number)
        for ms, number in pairs:
            data += _written(number) + (_written(ms - earliest) if number else b"")
        data += _check_of(data)
        return _PREFIX + base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _digest_of(namespace: str) -> bytes:
    return hashlib.sha256(namespace.encode()).digest()[:4]


def _check_of(data: bytes | bytearray) -> bytes:
    return binascii.crc_hqx(data, 0).to_bytes(_CHECK)


def _written(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _numbers(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield number
            number = shift = 0
    if shift:
        raise ValueError("a number is cut short")


def _positions(numbers: Iterator[int]) -> list[str]:
    count, earliest = next(numbers), next(numbers)
    found = []
    for _ in range(min(count, 4096)):
        number = next(numbers)
        found.append(f"{earliest + next(numbers)}-{number}" if number else BEGINNING)
    if next(numbers, None) is not None:
        raise ValueError("more than its partitions")
    return found
