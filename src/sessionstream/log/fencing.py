"""What the running task's writes must find in a session's head, carried to every write by a context variable.

That are the fencing tokens of the locks that it holds, and the user whose sessions alone it may write to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from sessionstream.errors import LockLost

__all__ = [
    "carries_any",
    "hold_token",
    "lock_lost",
    "only_of",
    "owner_for",
    "release_token",
    "require_token",
    "token_for",
]

# A tuple, not a dict: a context that was copied for a child task must not see what its parent does later.
_held: ContextVar[tuple[tuple[str, int | str], ...]] = ContextVar("sessionstream_fencing", default=())


carries_any = _held.get
"""Return what is true if the running task carries anything at all; no function of ours, as every append asks."""

_OWNER = "owner "
_ANY = "any"


def token_for(session_key: str) -> int | None:
    """Return the fencing token that the running task carries for a session, by the key of its head."""
    for key, token in _held.get():
        if key == session_key and isinstance(token, int):
            return token
    return None


def owner_for(session_key: str) -> str | None:
    """Return the user whose session alone the running task may write to there, by what `token_for` takes."""
    for key, user in _held.get():
        if key in (_OWNER + session_key, _OWNER + _ANY) and isinstance(user, str):
            return user
    return None


@contextmanager
def only_of(user_id: str, session_key: str = _ANY) -> Iterator[None]:
    """Refuse, in the block, what the running task would write to a session of somebody else.

    Args:
        user_id: whose session it has to be.
        session_key: of which session; otherwise that holds for all of them.
    """
    pair = (_OWNER + session_key, user_id)
    _held.set((*_held.get(), pair))
    try:
        yield
    finally:
        # Not what it was before: a lock may have been acquired in the block.
        _held.set(tuple(other for other in _held.get() if other is not pair))


def hold_token(session_key: str, token: int) -> None:
    """Carry a token to every write of the running task, and of the tasks that it starts from now on."""
    _held.set((*(pair for pair in _held.get() if pair[0] != session_key), (session_key, token)))


def release_token(session_key: str, token: int) -> None:
    """Carry the token no longer."""
    _held.set(tuple(pair for pair in _held.get() if pair != (session_key, token)))


def require_token(session_key: str, session_id: str, head: Mapping[bytes, bytes]) -> None:
    """Raise `LockLost` if the running task carries a token for a session, and its head has a later one."""
    token = token_for(session_key)
    if token is not None and head.get(b"token") != str(token).encode():
        raise lock_lost(session_id)


def lock_lost(session_id: str) -> LockLost:
    """Return the error of a task whose lock went to somebody else."""
    return LockLost(session_id, f"the lock of session {session_id!r} was lost: it went to somebody else")
