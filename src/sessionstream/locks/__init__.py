"""Locks: leases with a token that only grows, so that what a late holder writes is refused."""

from __future__ import annotations

from sessionstream.locks.lease import Lock
from sessionstream.locks.locking import Locks

__all__ = ["Lock", "Locks"]
