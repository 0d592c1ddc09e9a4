"""Reading what is stored beside the events: what somebody else has written there is told by an error of the tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from sessionstream.errors import CorruptRecord

__all__ = ["UNREADABLE", "reading_stored"]

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, OSError, msgspec.MsgspecError)
"""What decoding raises of something that is not as it was stored."""


@contextmanager
def reading_stored(what: str, session_id: str | None = None) -> Iterator[None]:
    """Raise `CorruptRecord` where the block cannot make sense of what it decodes; it asks the server for nothing.

    Args:
        what: the record, for the error.
        session_id: whose it is; None for what sessions share.
    """
    try:
        yield
    except UNREADABLE as error:
        raise CorruptRecord(what, f"{type(error).__name__}: {error}", session_id) from None
