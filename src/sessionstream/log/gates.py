"""Gates: what the log of a partition knows of each of its sessions, so that an append looks all of them up in one read.

A gate is a field of the log, ``<offset> <state> <expires_at> <sliding>``: the session's last offset, and what its head
says of whether it may be appended to. The head's own ``offset`` is that of the last event which changed a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sessionstream.errors import CorruptRecord

__all__ = ["fields_of", "head_of", "is_before_expiry", "name_in_log", "problem_of", "session_named", "sound"]

_STATES = frozenset((b"active", b"idle", b"archived", b"expired", b"deleted", b"erased"))
_NUMBERS = (b"created_at", b"expires_at", b"ttl", b"ended_at")
_OFFSETS = (b"offset", b"trimmed")
_LONGEST_NUMBER = 20


def name_in_log(session_id: str) -> str:
    """Return the field under which the log and the feed know a session; a single colon begins what is no session."""
    return ":" + session_id if session_id.startswith(":") else session_id


def session_named(name: str) -> str:
    """Return the id of the session that has a name in the log and the feed."""
    return name[1:] if name.startswith("::") else name


def fields_of(reply: Any) -> dict[bytes, Any]:
    """Return a hash as the server gives it: RESP3 gives a dict, RESP2 its fields and values in turn."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def head_of(gate: bytes | None, words: Sequence[bytes] | dict[bytes, bytes]) -> dict[bytes, bytes] | None:
    """Return the fields of a session's head, of which ``offset`` is its last offset.

    Args:
        gate: what the log says of it, looked up first.
        words: the fields and values of its head, looked up behind it; RESP3 gives a dict.

    Returns:
        Nothing for an unknown session; None if the session was changed between the two looks.
    """
    if gate is None or not words:
        return {}
    # As `fields_of` does; every read of a session comes by here.
    fields = words if isinstance(words, dict) else dict(zip(words[::2], words[1::2], strict=True))
    offset = gate[: gate.find(b" ")]
    changed = fields.get(b"offset")
    if changed is not None and changed != offset and _is_later(changed, offset):
        return None
    fields[b"offset"] = offset
    return fields


def problem_of(head: dict[bytes, bytes]) -> str:
    """Return why the head of a session does not read, or nothing; its metadata and its holds are not looked at."""
    for name in (b"user_id", b"agent_id", b"created_at", b"state"):
        if name not in head:
            return f"it has no {name.decode()}"
    if head[b"state"] not in _STATES:
        return "there is no such state"
    if head[b"state"] in (b"expired", b"deleted", b"erased") and not head.get(b"ended_at"):
        return "it has no ended_at"
    offsets = [part for name in _OFFSETS if name in head for part in head[name].partition(b"-")[::2]]
    for number in (*offsets, *filter(None, map(head.get, _NUMBERS))):
        if not number.isdigit() or len(number) > _LONGEST_NUMBER:
            return f"{number!r} is no number"
    try:
        head[b"user_id"].decode(), head[b"agent_id"].decode()
    except UnicodeDecodeError:
        return "an id is no text"
    return "" if head[b"created_at"] else "it has no created_at"


def _is_later(one: bytes, other: bytes) -> bool:
    try:
        return _numbers(one) > _numbers(other)
    except ValueError:  # whoever reads on says so
        return False


def _numbers(offset: bytes) -> tuple[int, int]:
    ms, _, version = offset.partition(b"-")
    return int(ms), int(version)


def is_before_expiry(fields: dict[bytes, bytes], ms: int) -> bool:
    """Whether a session's time is not over by then; one whose expiry does not read is left to whoever reads on."""
    expires = fields.get(b"expires_at")
    try:
        return not expires or int(expires) > ms
    except ValueError:
        return True


def sound(session_id: str, fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the fields of a head as given; raises `CorruptRecord` where they do not read."""
    if fields and (problem := problem_of(fields)):
        raise CorruptRecord("the head", problem, session_id)
    return fields
