"""Where a fork comes from, as its first event tells."""

from __future__ import annotations

import msgspec

__all__ = ["ForkedFrom"]


class ForkedFrom(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a session comes from that began as another one was at some moment.

    Attributes:
        session_id: the origin.
        offset: the origin's last event at that moment.
        covers: the last event that the data of the checkpoint includes which the session began with; empty if it began
            with none.
        covers_in: the session whose event that is, if it is not the origin: the origin was a fork itself.
        depth: how many forks lead to it: one more than to the origin.
    """

    session_id: str
    offset: str
    covers: str = ""
    covers_in: str = ""
    depth: int = 1
