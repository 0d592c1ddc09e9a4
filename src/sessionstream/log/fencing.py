"""The fencing tokens of the locks that the running task holds, carried to every write by a context variable."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["hold_token", "release_token", "token_for"]

# A tuple, not a dict: a context that was copied for a child task must not see what its parent does later.
_held: ContextVar[tuple[tuple[str, int], ...]] = ContextVar("sessionstream_fencing", default=())


def token_for(session_key: str) -> int | None:
    """Return the fencing token that the running task carries for a session, by the key of its head."""
    for key, token in _held.get():
        if key == session_key:
            return token
    return None


def hold_token(session_key: str, token: int) -> None:
    """Carry a token to every write of the running task, and of the tasks that it starts from now on."""
    _held.set((*(pair for pair in _held.get() if pair[0] != session_key), (session_key, token)))


def release_token(session_key: str, token: int) -> None:
    """Carry the token no longer."""
    _held.set(tuple(pair for pair in _held.get() if pair != (session_key, token)))
