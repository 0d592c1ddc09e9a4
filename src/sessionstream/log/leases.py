"""Leases by the server's clock: whose they are, and whether they run; see leases.lua for what acquires them."""

from __future__ import annotations

import math
import os

__all__ = ["holder_named", "is_running"]

_BETWEEN_NODES = 60_000
"""By so many milliseconds the clocks of nodes may differ, since a lease and the time may be read from two of them."""


def holder_named(lease: float) -> str:
    """Return a name that no other holder has; it ends with how long its lease runs, by which scripts notice a clock.

    Args:
        lease: seconds for which it runs.
    """
    return f"{os.urandom(12).hex()}~{math.ceil(lease * 1000)}"


def is_running(lapse: int, holder: bytes, now: int) -> bool:
    """Whether a lease runs.

    Args:
        lapse: milliseconds since 1970 at which it ends.
        holder: whose it is. Where far more is left than its name tells, the clock was set back since: unless its holder
            lives and renews it, the next one who asks lets it begin anew.
        now: the server's time, in the same milliseconds.
    """
    _, named, longest = holder.rpartition(b"~")
    return 0 < lapse - now <= (int(longest) + _BETWEEN_NODES if named else math.inf)
