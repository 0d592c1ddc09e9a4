"""Every error that sessionstream raises, in one tree.

::

    SessionStreamError
    ├── InvalidArgument (ValueError)          bad input; nothing was written
    │   ├── InvalidType (TypeError)
    │   ├── InvalidData                       a value that JSON would change; `.path` names it
    │   ├── TooLarge                          past a limit of the settings
    │   └── InvalidImportLine                 `.line` names it; the other lines go in
    ├── SessionNotFound (ValueError)          no such session
    │   └── SessionEnded                      deleted or expired; `.reason` says which
    ├── SessionExists (ValueError)            the id is in use, or ended and still kept
    ├── CheckpointExists (ValueError)         the checkpoint id is in use
    ├── SessionArchived                       an archived session takes no runtime events
    ├── NotPermittedInPhase                   the event's type may not be appended now
    ├── AccessDenied (PermissionError)        the session belongs to somebody else
    ├── ConflictError                         somebody else changed it first; `.actual` is the version now
    ├── IdempotencyConflict (ValueError)      the key was used with another payload
    ├── LockError
    │   ├── LockTimeout (TimeoutError)        not acquired in time
    │   ├── LockLost                          the lease went to somebody else, or ran out
    │   ├── LockNotHeld                       released by somebody who does not hold it
    │   └── LockReentered (RuntimeError)      the same task asked for it twice
    ├── EventTypeError (TypeError)            a wrong declaration of an event type or upcaster
    ├── CorruptEvent                          a stream entry that does not decode; `.offset` names it
    ├── NamespaceMismatch                     the namespace was made with other settings
    ├── Unavailable (ConnectionError)         nothing was written; try again later
    │   ├── ServerLoading                     it is still loading its data
    │   ├── ServerReadOnly                    it is a replica, or refuses writes
    │   ├── ServerOutOfMemory (MemoryError)
    │   ├── AuthenticationFailed (PermissionError)
    │   ├── UnsafeEviction                    its eviction policy would drop keys
    │   └── EmbeddedUnavailable               the embedded server cannot be started
    ├── OutcomeUnknown (ConnectionError, TimeoutError)   sent, and no answer before the deadline
    └── ServerError                           the server refused a command; `.code` is its word
"""

from __future__ import annotations

__all__ = [
    "AccessDenied",
    "AuthenticationFailed",
    "CheckpointExists",
    "ConflictError",
    "CorruptEvent",
    "EmbeddedUnavailable",
    "EventTypeError",
    "IdempotencyConflict",
    "InvalidArgument",
    "InvalidData",
    "InvalidImportLine",
    "InvalidType",
    "LockError",
    "LockLost",
    "LockNotHeld",
    "LockReentered",
    "LockTimeout",
    "NamespaceMismatch",
    "NotPermittedInPhase",
    "OutcomeUnknown",
    "ServerError",
    "ServerLoading",
    "ServerOutOfMemory",
    "ServerReadOnly",
    "SessionArchived",
    "SessionEnded",
    "SessionExists",
    "SessionNotFound",
    "SessionStreamError",
    "TooLarge",
    "Unavailable",
    "UnsafeEviction",
]


class SessionStreamError(Exception):
    """The root of every error that this library raises."""


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


class SessionNotFound(SessionStreamError, ValueError):
    """There is no such session.

    Attributes:
        session_id: the id that was asked for.
    """

    def __init__(self, session_id: str, message: str | None = None) -> None:
        super().__init__(message or f"session {session_id!r} not found")
        self.session_id = session_id


class SessionEnded(SessionNotFound):
    """The session has ended: its history is kept, it takes no more events.

    Attributes:
        reason: ``expired`` or ``deleted``.
    """

    def __init__(self, session_id: str, reason: str) -> None:
        super().__init__(session_id, f"session {session_id!r} has ended: {reason}")
        self.reason = reason


class SessionExists(SessionStreamError, ValueError):
    """The session id is in use, or belongs to an ended session that is still kept.

    Attributes:
        session_id: the id that was given.
    """

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id!r} exists, or has ended and is still kept: choose another id")
        self.session_id = session_id


class CheckpointExists(SessionStreamError, ValueError):
    """The session has a checkpoint of this id.

    Attributes:
        session_id: the session.
        checkpoint_id: the id that was given.
    """

    def __init__(self, session_id: str, checkpoint_id: str) -> None:
        super().__init__(f"session {session_id!r} has a checkpoint {checkpoint_id!r} already: choose another id")
        self.session_id = session_id
        self.checkpoint_id = checkpoint_id


class SessionArchived(SessionStreamError):
    """The session is archived and takes no runtime events until it is ACTIVE again.

    Attributes:
        session_id: the archived session.
    """

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id!r} is archived: set its state to ACTIVE first")
        self.session_id = session_id


class NotPermittedInPhase(SessionStreamError):
    """The event's type does not permit it in the phase that the session is in.

    Attributes:
        session_id: the session.
        phase: ``absent``, ``live``, ``lapsed`` or ``ended``.
    """

    def __init__(self, session_id: str, phase: str) -> None:
        super().__init__(f"the event may not be appended to session {session_id!r}, which is {phase}")
        self.session_id = session_id
        self.phase = phase


class AccessDenied(SessionStreamError, PermissionError):
    """The session belongs to another user.

    Attributes:
        session_id: the session.
        user_id: who asked for it.
    """

    def __init__(self, session_id: str, user_id: str) -> None:
        super().__init__(f"user {user_id!r} does not own session {session_id!r}")
        self.session_id = session_id
        self.user_id = user_id


class ConflictError(SessionStreamError):
    """Somebody else changed the session first; read it again and decide anew.

    Attributes:
        session_id: the session.
        expected: the version that the caller expected, or None.
        actual: the version that the session has now.
        fields: the fields that both changed, where that is known.
    """

    def __init__(
        self, session_id: str, *, expected: int | None = None, actual: int | None = None, fields: tuple[str, ...] = ()
    ) -> None:
        if fields:
            message = f"session {session_id!r}: {', '.join(fields)} changed since it was read"
        else:
            message = f"session {session_id!r} is at version {actual}, not {expected}"
        super().__init__(message)
        self.session_id = session_id
        self.expected = expected
        self.actual = actual
        self.fields = fields


class IdempotencyConflict(SessionStreamError, ValueError):
    """The idempotency key was used before, with another payload.

    Attributes:
        session_id: the session.
        key: the idempotency key.
    """

    def __init__(self, session_id: str, key: str) -> None:
        super().__init__(f"idempotency key {key!r} of session {session_id!r} was used with another payload")
        self.session_id = session_id
        self.key = key


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


class EventTypeError(SessionStreamError, TypeError):
    """An event type or upcaster is declared wrongly, or an event's type is not registered."""


class CorruptEvent(SessionStreamError):
    """A stream entry does not decode.

    Attributes:
        session_id: the session whose stream holds it.
        offset: where it lies.
    """

    def __init__(self, session_id: str, offset: str, problem: str) -> None:
        super().__init__(f"event {offset} of session {session_id!r}: {problem}")
        self.session_id = session_id
        self.offset = offset


class NamespaceMismatch(SessionStreamError):
    """The namespace was made with other settings than this process has; nothing was written.

    Attributes:
        namespace: its name.
    """

    def __init__(self, namespace: str, problem: str) -> None:
        super().__init__(f"namespace {namespace!r}: {problem}")
        self.namespace = namespace


class Unavailable(SessionStreamError, ConnectionError):
    """The server cannot be reached or refuses for now; nothing was written."""


class ServerLoading(Unavailable):
    """The server is still loading its data into memory."""


class ServerReadOnly(Unavailable):
    """The server takes no writes: it is a replica, lacks replicas, or cannot save."""


class ServerOutOfMemory(Unavailable, MemoryError):
    """The server is at its memory limit."""


class AuthenticationFailed(Unavailable, PermissionError):
    """The server refuses the user name, the password, or the command to this user."""


class UnsafeEviction(Unavailable):
    """The server's eviction policy could drop keys, and events with them.

    Attributes:
        policy: the server's ``maxmemory-policy``.
    """

    def __init__(self, policy: str) -> None:
        super().__init__(
            f"the server's maxmemory-policy is {policy}, which can drop events: "
            "set it to noeviction, or allow it by name with allow_eviction"
        )
        self.policy = policy


class EmbeddedUnavailable(Unavailable):
    """The embedded server is not installed, or cannot be started here."""


class OutcomeUnknown(SessionStreamError, ConnectionError, TimeoutError):
    """The call was sent, and no answer came before the deadline: it was applied once, or not at all.

    Call again with the same ``idempotency_key`` to find out.
    """


class ServerError(SessionStreamError):
    """The server refused a command for a reason that has no class of its own.

    Attributes:
        code: the first word of the server's answer, such as ``WRONGTYPE``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.split(" ", 1)[0]
