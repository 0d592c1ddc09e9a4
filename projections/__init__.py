"""The built-in projections: what is read of a session, and how each view follows from the events."""

from __future__ import annotations

from sessionstream.projections.checkpoints import checkpoints
from sessionstream.projections.directory import directory
from sessionstream.projections.session import session
from sessionstream.projections.statistics import statistics

__all__ = ["BUILT_IN", "checkpoints", "directory", "session", "statistics"]

BUILT_IN = (session, directory, checkpoints, statistics)
"""Every store runs these, in this order, before the projections of its user."""
