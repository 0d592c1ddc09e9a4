"""What is appended: messages of recorded conversations where the recording is there, else made ones of the same sizes.

`SESSIONSTREAM_AIRLINE` names the recording; by default it is looked for beside the checkout. A payload is made once and
given to both sides of a comparison: as a typed event, which the store has still to encode, and as the fields of a
stream entry, encoded already.
"""

from __future__ import annotations

import gzip
import itertools
import os
import random
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sessionstream import MessageAdded
from sessionstream.events.ids import event_ids

__all__ = ["Payload", "messages", "of_size", "payloads", "source"]

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data" / "airline-sessions.jsonl.gz"

# The recording's messages: the share of each role, and the bytes of its JSON at these quantiles.
_ROLES = {"assistant": 0.466, "user": 0.277, "tool": 0.223, "system": 0.034}
_QUANTILES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)
_SIZES = {
    "assistant": (79, 184, 198, 199, 224, 246, 303, 380, 448, 584, 701, 989, 1_331),
    "user": (38, 70, 85, 96, 107, 120, 133, 150, 169, 194, 219, 276, 346),
    "tool": (90, 99, 128, 460, 821, 871, 915, 989, 1_080, 1_217, 1_524, 5_445, 9_279),
    "system": (6_263,) * 13,
}
_TEXT = "I can hold two seats on the flight to Oslo at 14:05 until noon tomorrow; the fare is refundable."
_WORDS = _TEXT.split()


class Payload(NamedTuple):
    """One message, as both sides take it.

    Attributes:
        message: the chat message, as a mapping.
        event: what the store appends.
        fields: its id, its type and its JSON, ready to be sent, as one gives them to XADD.
    """

    message: dict[str, Any]
    event: MessageAdded
    fields: dict[Any, Any]


def source() -> str:
    """Return where the messages come from, in words."""
    return f"messages of {_recording().name}" if _recording().is_file() else "made messages of recorded sizes"


def payloads(count: int) -> list[Payload]:
    """Return so many payloads, the same messages at every call, in a fixed random order, over again if need be.

    Every stretch of them has about the sizes of the whole.
    """
    taken = itertools.islice(itertools.cycle(_prepared()), count)
    return [
        Payload(message, event, {"id": identifier, "type": "message.added", "data": data})
        for (message, event, data), identifier in zip(taken, event_ids(count), strict=True)
    ]


def of_size(size: int) -> MessageAdded:
    """Return a message whose JSON has exactly so many bytes."""
    empty = len(msgspec.json.encode(MessageAdded(role="assistant", content="")))
    text = " ".join(itertools.islice(itertools.cycle(_WORDS), size // 4 + 1))
    return MessageAdded(role="assistant", content=text[: size - empty])


@cache
def messages() -> list[dict[str, Any]]:
    """Return all messages, in a fixed random order."""
    found = _recorded() if _recording().is_file() else _made(4_652)
    random.Random(1).shuffle(found)
    return found


@cache
def _prepared() -> list[tuple[dict[str, Any], MessageAdded, bytes]]:
    events = [(message, MessageAdded.of(message)) for message in messages()]
    return [(message, event, msgspec.json.encode(event)) for message, event in events]


def _recording() -> Path:
    return Path(os.environ.get("SESSIONSTREAM_AIRLINE") or _DEFAULT)


def _recorded() -> list[dict[str, Any]]:
    with gzip.open(_recording()) as lines:
        return [message for line in lines for message in msgspec.json.decode(line)["messages"]]


def _made(count: int) -> list[dict[str, Any]]:
    chance = random.Random(2)
    return [_message(chance) for _ in range(count)]


def _message(chance: random.Random) -> dict[str, Any]:
    role = chance.choices(list(_ROLES), list(_ROLES.values()))[0]
    share = chance.random()
    step = max(number for number, quantile in enumerate(_QUANTILES) if quantile <= share)
    (start, end), (low, high) = _QUANTILES[step : step + 2], _SIZES[role][step : step + 2]
    size = round(low + (high - low) * (share - start) / (end - start))
    text = " ".join(chance.choices(_WORDS, k=size // 2))
    around = len(msgspec.json.encode({"role": role, "content": ""}))
    return {"role": role, "content": text[: max(1, size - around)]}
