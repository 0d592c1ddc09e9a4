"""What holds and archives do not allow: nothing was removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sessionstream.errors.root import SessionStreamError

__all__ = [
    "ArchiveDamaged",
    "ArchiveFailed",
    "SessionHeld",
    "SessionsHeld",
]


class SessionHeld(SessionStreamError):
    """A hold stands on the session, so nothing of it is removed: release its holds first.

    Attributes:
        session_id: the session.
        reasons: of the holds that stand; none where they were not read.
    """

    def __init__(self, session_id: str, reasons: Sequence[str] = (), message: str | None = None) -> None:
        told = f": {'; '.join(reasons)}" if reasons else ""
        super().__init__(message or f"session {session_id!r} is held{told} (release its holds first)")
        self.session_id = session_id
        self.reasons = tuple(reasons)


class SessionsHeld(SessionHeld):
    """Of many sessions that were to be deleted, or erased, some are held; the others that have ended are counted.

    Attributes:
        held: the ids of those that are held, with the reasons.
        ended: how many this call ended.
    """

    def __init__(self, held: Mapping[str, Sequence[str]], ended: int) -> None:
        first, reasons = next(iter(held.items()))
        more = f" and {len(held) - 1} more are" if len(held) > 1 else " is"
        message = f"session {first!r}{more} held and not deleted ({ended} ended): release their holds first"
        super().__init__(first, reasons, message)
        self.held = {session_id: tuple(why) for session_id, why in held.items()}
        self.ended = ended


class ArchiveDamaged(SessionStreamError):
    """A file of an archive, or the archive as a whole, is not what was written; nothing was trimmed.

    Attributes:
        path: the file or folder.
        problem: what is wrong with it.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class ArchiveFailed(SessionStreamError):
    """An archive could not be written or read; nothing was trimmed.

    Attributes:
        path: the file or folder.
        problem: what the system says.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
