"""What a session, its events or its namespace do not allow."""

from __future__ import annotations

from sessionstream.errors.root import SessionStreamError

__all__ = [
    "AccessDenied",
    "CheckpointExists",
    "ConflictError",
    "CorruptEvent",
    "CorruptRecord",
    "IdempotencyConflict",
    "NamespaceMismatch",
    "NotPermittedInPhase",
    "SessionArchived",
    "SessionEnded",
    "SessionExists",
    "SessionNotFound",
]


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
        reason: ``expired``, ``deleted`` or ``erased``.
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


class CorruptRecord(SessionStreamError):
    """What is kept beside the events does not read: somebody else has written there; `rebuild` makes views anew.

    Attributes:
        what: the record.
        session_id: whose it is; None for what sessions share.
        problem: why it does not read.
    """

    def __init__(self, what: str, problem: str, session_id: str | None = None) -> None:
        whose = "" if session_id is None else f" of session {session_id!r}"
        super().__init__(f"{what}{whose} does not read ({problem}): rebuild makes views anew from the events")
        self.what = what
        self.session_id = session_id
        self.problem = problem


class NamespaceMismatch(SessionStreamError):
    """The namespace was made with other settings than this process has; nothing was written.

    Attributes:
        namespace: its name.
    """

    def __init__(self, namespace: str, problem: str) -> None:
        super().__init__(f"namespace {namespace!r}: {problem}")
        self.namespace = namespace
