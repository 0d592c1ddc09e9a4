"""Consumer groups: who reads the feed for good, how far each has come, and what it could not handle."""

from __future__ import annotations

from sessionstream.consumers.consumer import Consumer, OpenConsumers
from sessionstream.consumers.door import Consumers
from sessionstream.consumers.item import Item
from sessionstream.consumers.parking import Parked
from sessionstream.consumers.registry import positions_of_groups
from sessionstream.consumers.status import GroupStatus

__all__ = ["Consumer", "Consumers", "GroupStatus", "Item", "OpenConsumers", "Parked", "positions_of_groups"]
