"""What the append script's answers mean."""

from __future__ import annotations

from typing import Any

import hiredis
import msgspec

from sessionstream.errors import (
    CheckpointExists,
    ConflictError,
    IdempotencyConflict,
    NotPermittedInPhase,
    ServerError,
    SessionArchived,
    SessionEnded,
    SessionExists,
    SessionHeld,
    SessionNotFound,
    SessionStreamError,
)
from sessionstream.events.recorded import at_ms, halves_of, version_of
from sessionstream.log.fencing import lock_lost
from sessionstream.log.request import Append, Appended
from sessionstream.wire.refusal import from_reply

__all__ = ["each_of", "failure_of", "is_made", "needs_sliding", "now_and_versions", "place_of", "refusal_or_repeat"]

_numbers = msgspec.json.Decoder(list[int]).decode
_PHASES = {b"a": "absent", b"l": "live", b"p": "lapsed", b"e": "ended"}


def now_and_versions(reply: bytes) -> list[int]:
    """Return the server's milliseconds and the versions that a call's appends gave, all made just then."""
    return _numbers(b"[%b]" % reply)


def each_of(reply: bytes | list[Any]) -> tuple[int, list[Any]]:
    """Return the server's milliseconds, and the answers to the appends of a call one by one."""
    now, *answers = now_and_versions(reply) if isinstance(reply, bytes) else reply
    return now, answers


def is_made(answer: Any) -> bool:
    """Whether what was to be appended is there, by this call or by one before."""
    return isinstance(answer, bytes | int) or bool(answer[0] == b"duplicate")


def place_of(answer: bytes | int, now: int) -> tuple[int, int]:
    """Return the milliseconds and the version that an append gave, which say its last offset.

    Args:
        answer: the version, or an offset that is of other milliseconds.
        now: those of the call.
    """
    return halves_of(answer) if isinstance(answer, bytes) and b"-" in answer else (now, int(answer))


def failure_of(answer: Any) -> hiredis.ReplyError | None:
    """Return what the server itself had against the first write of an append; None if it was something else."""
    if isinstance(answer, list) and answer[0] == b"failed":
        return hiredis.ReplyError(answer[1].decode(errors="replace"))
    return None


def needs_sliding(answer: Any) -> bool:
    """Whether the append was refused only because the session's time to live slides and it did not say how."""
    return isinstance(answer, list) and bool(answer[0] == b"sliding")


def refusal_or_repeat(request: Append, answer: list[Any], durability: str | None) -> Appended | SessionStreamError:
    """Return what an append had given before, kept as the server keeps it, or the error that refuses it."""
    word = answer[0]
    if word == b"duplicate":
        offset = answer[1].decode()
        ms, version, count = at_ms(offset), version_of(offset), int(answer[2])
        return Appended(request.session_id, ms, version, count, True, request.ids, durability)
    return _refusal(request, word, answer[1:])


def _refusal(request: Append, word: bytes, facts: list[Any]) -> SessionStreamError:
    session_id = request.session_id
    match word:
        case b"phase":
            return _wrong_phase(request, _PHASES[facts[0]], facts[1].decode())
        case b"conflict":
            return ConflictError(session_id, expected=request.guards.expected_version, actual=int(facts[0]))
        case b"archived":
            return SessionArchived(session_id)
        case b"held":
            return SessionHeld(session_id)
        case b"fenced":
            return lock_lost(session_id)
        case b"reused":
            return IdempotencyConflict(session_id, request.guards.idempotency_key or "")
        case b"claimed":
            return CheckpointExists(session_id, request.claimed)
    # The server refused the first write of the script: out of memory, read-only, unable to save.
    return from_reply(ServerError(b" ".join(facts).decode(errors="replace")))


def _wrong_phase(request: Append, phase: str, state: str) -> SessionStreamError:
    creating = request.events[0].kind.name == "session.created"
    if creating:
        return SessionExists(request.session_id)
    if phase == "absent":
        return SessionNotFound(request.session_id)
    if phase == "lapsed":
        return SessionEnded(request.session_id, "expired")
    if phase == "ended":
        return SessionEnded(request.session_id, state)
    return NotPermittedInPhase(request.session_id, phase)
