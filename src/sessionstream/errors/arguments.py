"""Bad input and wrong declarations: nothing was written."""

from __future__ import annotations

from sessionstream.errors.root import SessionStreamError

__all__ = [
    "EventTypeError",
    "InvalidArgument",
    "InvalidData",
    "InvalidImportLine",
    "InvalidType",
    "TooLarge",
]


class InvalidArgument(SessionStreamError, ValueError):
    """An argument is wrong; it was refused before anything was written."""


class InvalidType(InvalidArgument, TypeError):
    """An argument is of the wrong type; it was refused before anything was written."""


class InvalidData(InvalidArgument):
    """A value would not come back from JSON as it was given.

    Attributes:
        path: where the value lies, such as ``data.items[3]``.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class TooLarge(InvalidArgument):
    """Something is larger than the settings allow.

    Attributes:
        size: its size in bytes.
        limit: the largest size allowed, in bytes.
    """

    def __init__(self, what: str, size: int, limit: int, setting: str) -> None:
        super().__init__(f"{what} has {size:,} bytes, the limit is {limit:,} ({setting})")
        self.size = size
        self.limit = limit


class InvalidImportLine(InvalidArgument):
    """One line of an import is malformed.

    Attributes:
        line: its number, from 1.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


class EventTypeError(SessionStreamError, TypeError):
    """An event type or upcaster is declared wrongly, or an event's type is not registered."""
