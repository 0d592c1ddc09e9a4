"""Which of a Cluster's 16,384 slots a command belongs to (https://valkey.io/topics/cluster-spec/#key-distribution-model)."""

from __future__ import annotations

import binascii
import functools
from collections.abc import Sequence
from typing import NamedTuple

from sessionstream.wire.packing import Word

__all__ = ["SLOTS", "Run", "Unit", "key_of", "runs_of", "slot_of"]

SLOTS = 16384

# Where a command's first key stands, if not directly behind its name; 0: it has none.
_KEY_AT = {
    "CLIENT": 0,
    "CLUSTER": 0,
    "CONFIG": 0,
    "ECHO": 0,
    "INFO": 0,
    "MEMORY": 2,
    "OBJECT": 2,
    "PING": 0,
    "SCRIPT": 0,
    "TIME": 0,
    "XINFO": 2,
}


@functools.lru_cache(maxsize=10_000)
def slot_of(key: Word) -> int:
    """Return the slot of a key: that of its hash tag, if it has one that is not empty."""
    whole = bytes(key) if isinstance(key, (bytes, memoryview)) else str(key).encode()
    start = whole.find(b"{") + 1
    end = whole.find(b"}", start) if start else -1
    return binascii.crc_hqx(whole[start:end] if end > start else whole, 0) % SLOTS


def key_of(words: Sequence[Word]) -> Word | None:
    """Return the first key of a command, None if it has none, so that any node can answer it."""
    place = _KEY_AT.get(str(words[0]), 1)
    return words[place] if 0 < place < len(words) else None


class Unit(NamedTuple):
    """What one node must answer together: a command with a key, and those without one that follow it.

    Attributes:
        key: of the command with a key.
        places: of the commands, in their order.
    """

    key: Word
    places: list[int]


Run = list[Unit]
"""Units of one slot that follow each other."""


def runs_of(commands: Sequence[Sequence[Word]]) -> list[Run]:
    """Divide commands into runs; those in front of the first one with a key belong to it too."""
    runs: list[Run] = []
    leading: list[int] = []
    for place, words in enumerate(commands):
        key = key_of(words)
        if key is not None:
            if not runs or slot_of(runs[-1][0].key) != slot_of(key):
                runs.append([])
            runs[-1].append(Unit(key, [*leading, place]))
            leading = []
        elif runs:
            runs[-1][-1].places.append(place)
        else:
            leading.append(place)
    return runs or [[Unit("", leading)]]
