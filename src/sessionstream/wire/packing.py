"""Commands as they are sent: RESP, arrays of bulk strings (https://valkey.io/topics/protocol/)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import hiredis

__all__ = ["Word", "bulk", "bulks", "pack"]

Word = str | bytes | int | float | memoryview


def pack(words: Sequence[Word]) -> bytes:
    """Return a command as it is sent; raises what a word that is no text, bytes or number makes hiredis raise."""
    packed: bytes = hiredis.pack_command(cast("tuple[Word]", tuple(words)))
    return packed


def bulk(word: bytes) -> bytes:
    """Return one word of a command as it is sent."""
    return b"$%d\r\n%b\r\n" % (len(word), word)


def bulks(words: Sequence[Word]) -> bytes:
    """Return some words of a command as they are sent, without the count that stands in front of a whole command."""
    if not words:
        return b""
    packed = pack(words)
    return packed[packed.index(b"\n") + 1 :]
