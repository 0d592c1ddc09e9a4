"""Which checkpoints a session has; the latest is the top of an order, so deleting it uncovers the one before.

The bodies are no view: they lie beside the stream, since events carry only their size and digest.
"""

from __future__ import annotations

from collections.abc import Iterable

from sessionstream.events.lifecycle import CheckpointDeleted, CheckpointSaved
from sessionstream.events.strict_json import encode_json
from sessionstream.projection import OFFSET, VERSION, Add, Operation, Projection, Put, Remove, Unset, ranking, view

__all__ = ["NO_LABEL", "ORDER", "SAVED", "checkpoints"]

ORDER = ranking("order")
SAVED = view("saved")

NO_LABEL = "null"
"""What stands in the place of a label where there is none; a label itself may be encrypted."""

checkpoints = Projection("checkpoints", version=1)


@checkpoints.on(CheckpointSaved)
def saved(session_id: str, event: CheckpointSaved) -> Iterable[Operation]:
    """A saved checkpoint is the latest; its own offset, what it covers, size, digest and label are kept."""
    yield Add(ORDER, VERSION, event.checkpoint_id)
    label = encode_json(event.label, "label").decode()
    yield Put(SAVED, {event.checkpoint_id: OFFSET + f" {event.covers} {event.size} {event.sha256} {label}"})


@checkpoints.on(CheckpointDeleted)
def deleted(session_id: str, event: CheckpointDeleted) -> Iterable[Operation]:
    """A deleted checkpoint is forgotten."""
    yield Remove(ORDER, event.checkpoint_id)
    yield Unset(SAVED, [event.checkpoint_id])
