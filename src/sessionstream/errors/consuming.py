"""What went wrong with a consumer group."""

from __future__ import annotations

from sessionstream.errors.root import SessionStreamError

__all__ = ["ConsumerError", "GroupNotFound", "LeaseLost", "MemberExists", "NotProjected", "ProjectionReplaced"]


class ConsumerError(SessionStreamError):
    """Something is wrong with a consumer group.

    Attributes:
        group: its name.
    """

    def __init__(self, group: str, message: str) -> None:
        super().__init__(message)
        self.group = group


class GroupNotFound(ConsumerError, ValueError):
    """There is no such group, or it was deleted; joining makes one."""

    def __init__(self, group: str, message: str = "") -> None:
        super().__init__(group, message or f"there is no consumer group {group!r}: join it to make it")


class MemberExists(ConsumerError, ValueError):
    """Another process lives under the same name in the group.

    Attributes:
        member: the name.
    """

    def __init__(self, group: str, member: str) -> None:
        super().__init__(
            group, f"group {group!r} has a member {member!r} that lives: give each process a name of its own, or none"
        )
        self.member = member


class LeaseLost(ConsumerError):
    """The partition went to another member; what was handled under the old lease was not acknowledged.

    Attributes:
        partition: which one.
    """

    def __init__(self, group: str, partition: int) -> None:
        super().__init__(group, f"group {group!r}: partition {partition} went to another member")
        self.partition = partition


class NotProjected(ConsumerError, TimeoutError):
    """What was waited for was not in the view in time."""


class ProjectionReplaced(ConsumerError):
    """The views of a projection are of another version now, or were removed; this process's is not kept up any more.

    Attributes:
        current: the generation in use, ``<version>.<number>``; None if there is none.
    """

    def __init__(self, group: str, current: str | None) -> None:
        what = "was removed" if current is None else f"is at {current} now"
        super().__init__(group, f"projection {group!r} {what}: what this process has is not kept up any more")
        self.current = current
