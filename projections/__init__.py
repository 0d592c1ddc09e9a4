"""The built-in projections: what is read of a session, and how each view follows from the events."""

from __future__ import annotations

from sessionstream.projections.checkpoints import checkpoints
from sessionstream.projections.directory import directory
from sessionstream.projections.retention import retention
from sessionstream.projections.session import session
from sessionstream.projections.statistics import statistics

__all__ = ["BUILT_IN", "checkpoints", "directory", "retention", "session", "statistics"]

BUILT_IN = (session, directory, checkpoints, statistics, retention)
"""Every store runs these, in this order, before the projections of its user."""
