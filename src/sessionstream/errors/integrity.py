"""What stands against sealing a history, or against proving what it is."""

from __future__ import annotations

from sessionstream.errors.arguments import InvalidArgument
from sessionstream.errors.root import SessionStreamError

__all__ = [
    "HistoryAltered",
    "IntegrityError",
    "InvalidAnchor",
    "InvalidEvidence",
    "SealKeyMissing",
    "SealKeyUnknown",
]


class SealKeyMissing(InvalidArgument):
    """There is no key to make or verify seals with; a chain without one would prove nothing."""

    def __init__(self) -> None:
        super().__init__(
            "there is no key for seals: give seal_key, or SESSIONSTREAM_SEAL_KEY; `openssl rand -hex 32` makes one"
        )


class InvalidAnchor(InvalidArgument):
    """A file is no anchor of this namespace, or was altered since it was written.

    Attributes:
        path: the file.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class InvalidEvidence(InvalidArgument):
    """A file is no evidence at all; one that was altered is verified, and its findings say so.

    Attributes:
        path: the file.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class IntegrityError(SessionStreamError):
    """A session is not sealed any further.

    Attributes:
        session_id: the session.
    """

    def __init__(self, session_id: str, message: str) -> None:
        super().__init__(message)
        self.session_id = session_id


class SealKeyUnknown(IntegrityError):
    """The session's last seal was made with a key that this process was not given.

    Attributes:
        key_id: what names that key.
    """

    def __init__(self, session_id: str, key_id: str) -> None:
        super().__init__(
            session_id,
            f"session {session_id!r} is sealed with key {key_id}, which is not here: give it in seal_keys_old",
        )
        self.key_id = key_id


class HistoryAltered(IntegrityError):
    """What would be sealed is not what was appended; `verify` names all of it.

    Attributes:
        offset: where that was seen.
    """

    def __init__(self, session_id: str, offset: str, problem: str) -> None:
        super().__init__(
            session_id, f"session {session_id!r} is not sealed any further: {problem} at {offset}; verify names it"
        )
        self.offset = offset
