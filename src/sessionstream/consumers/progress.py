"""How far a partition is handled: pointers in their order, of which those at the front may be committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from sessionstream.consumers.committing import Commit, Operated
from sessionstream.feed.cursor import number_of
from sessionstream.log.feed import Pointer

__all__ = ["Mark", "Progress"]

_MOST_MARKS = 1_000
_MOST_OPERATED = 200


class Mark:
    """A pointer of the feed.

    Attributes:
        position: its position.
        number: its number.
        left: how many of its events are not over.
        handled: how many of its events were handled.
        gone: how many were removed before they could be.
        operated: the operations of those that were handled.
        removed: itself, where it tells of the removal or the erasure of a session: a commit holds nothing behind that.
    """

    __slots__ = ("gone", "handled", "left", "number", "operated", "position", "removed")

    def __init__(self, position: str, number: int) -> None:
        self.position = position
        self.number = number
        self.left = self.handled = self.gone = 0
        self.removed: Pointer | None = None
        self.operated: list[Operated] = []


class Progress:
    """What is to be committed of a partition.

    Args:
        position: where the group stands.
        removal: gives what removes a session from the group's views.

    Attributes:
        position: as it was committed last.
        ahead: how many pointers were read and are not committed.
    """

    def __init__(self, position: str, removal: Callable[[Pointer], Sequence[Operated]]) -> None:
        self.position = position
        self._removal = removal
        self._marks: deque[Mark] = deque()
        self._beside = Commit("")
        self._under_way = 0

    @property
    def ahead(self) -> int:
        """How many pointers were read and are not committed."""
        return len(self._marks) + self._under_way

    @property
    def number(self) -> int:
        """How many pointers of the feed are behind the group."""
        return number_of(self.position)

    @property
    def beside(self) -> Commit:
        """What the next commit carries wherever the position stands: what was parked, and is no more."""
        return self._beside

    @property
    def pending(self) -> bool:
        """Whether there is anything that a commit would change."""
        beside = self._beside
        return bool(
            (self._marks and not self._marks[0].left)
            or beside.parked
            or beside.operated
            or beside.fields
            or beside.counters
        )

    def begin(self, position: str, number: int) -> Mark:
        """Note that a pointer was read."""
        mark = Mark(position, number)
        self._marks.append(mark)
        return mark

    def take(self) -> Commit:
        """Return what is to be committed now; nothing of it is given again."""
        one, self._beside = self._beside, Commit("")
        one.position = self.position
        taken = 0
        while self._marks and not self._marks[0].left and taken < _MOST_MARKS and len(one.operated) < _MOST_OPERATED:
            mark = self._marks.popleft()
            taken += 1
            one.position = mark.position
            one.operated += mark.operated
            one.counters["handled"] += mark.handled
            one.counters["gone"] += mark.gone
            if mark.removed is not None:
                # Now it is known where the group keeps anything of it: all that came before was handled.
                one.operated += self._removal(mark.removed)
                break
        self._under_way = taken
        return one

    def committed(self, position: str) -> None:
        """Note that what was taken is kept."""
        self.position = position
        self._under_way = 0
