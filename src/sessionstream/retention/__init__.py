"""What is kept and for how long: holds, archives, trims, the last checkpoints."""

from __future__ import annotations

from sessionstream.retention.door import Retention
from sessionstream.retention.holds import Hold
from sessionstream.retention.keeping import Archived

__all__ = ["Archived", "Hold", "Retention"]
