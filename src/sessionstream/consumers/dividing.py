"""How a group's partitions are divided: each member has its share, and gives back what it has too much."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["share_of"]


def share_of(member: str, members: Sequence[str], partitions: int) -> int:
    """Return how many partitions a member should have: as many as any other, or one more.

    Args:
        member: its name.
        members: the names of all that live.
        partitions: how many there are to divide.
    """
    least, more = divmod(partitions, len(members))
    return least + (sorted(members).index(member) < more)
