"""Gates: what the log of a partition knows of each of its sessions, so that an append looks all of them up in one read.

A gate is a field of the log, ``<offset> <state> <expires_at> <sliding>``: the session's last offset, and what its head
says of whether it may be appended to. The head's own ``offset`` is that of the last event which changed a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["fields_of", "head_of", "name_in_log", "session_named"]


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
    if changed is not None and changed != offset and _numbers(changed) > _numbers(offset):
        return None
    fields[b"offset"] = offset
    return fields


def _numbers(offset: bytes) -> tuple[int, int]:
    ms, _, version = offset.partition(b"-")
    return int(ms), int(version)
