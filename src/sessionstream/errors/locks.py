"""What went wrong with a lock."""

from __future__ import annotations

from sessionstream.errors.root import SessionStreamError

__all__ = [
    "LockError",
    "LockLost",
    "LockNotHeld",
    "LockReentered",
    "LockTimeout",
]


class LockError(SessionStreamError):
    """Something is wrong with a session's lock.

    Attributes:
        session_id: the session.
    """

    def __init__(self, session_id: str, message: str) -> None:
        super().__init__(message)
        self.session_id = session_id


class LockTimeout(LockError, TimeoutError):
    """The lock was not acquired in the time that the caller gave."""


class LockLost(LockError):
    """The lease went to somebody else or ran out; what was to be written under it was refused."""


class LockNotHeld(LockError):
    """The lock is released by somebody who does not hold it."""


class LockReentered(LockError, RuntimeError):
    """The task that holds the lock asked for it once more; it would wait for itself."""
