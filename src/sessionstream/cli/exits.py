"""What a command's exit code says, the same for every command."""

from __future__ import annotations

import enum

from sessionstream.errors import (
    GroupNotFound,
    InvalidArgument,
    OutcomeUnknown,
    SessionNotFound,
    SessionStreamError,
    Unavailable,
)

__all__ = ["Code", "code_for"]


class Code(enum.IntEnum):
    """The exit codes."""

    DONE = 0
    NOTHING = 1
    USAGE = 2
    UNAVAILABLE = 3
    PARTLY = 4
    REFUSED = 5
    INTERRUPTED = 130
    PIPE_CLOSED = 141


def code_for(error: SessionStreamError) -> Code:
    """Return the exit code of a command that an error ended."""
    if isinstance(error, SessionNotFound | GroupNotFound):
        return Code.NOTHING
    if isinstance(error, InvalidArgument):
        return Code.USAGE
    if isinstance(error, Unavailable | OutcomeUnknown):
        return Code.UNAVAILABLE
    return Code.REFUSED
