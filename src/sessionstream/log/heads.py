"""What is made of a session's head as the server gives it: plain text where it was encrypted, and whether it reads."""

from __future__ import annotations

from sessionstream.errors import CorruptEvent, CorruptRecord, EncryptionError
from sessionstream.events.encrypted import Opener, Undecrypted
from sessionstream.log.gates import problem_of
from sessionstream.projection import HEAD

__all__ = ["is_before_expiry", "opened_fields", "sound"]


def opened_fields(
    opener: Opener, session_id: str, head: dict[bytes, bytes], marked: dict[bytes, bytes]
) -> dict[bytes, bytes]:
    """Return a head in plain text; what cannot be decrypted stays, as `Undecrypted`.

    Args:
        opener: decrypts.
        session_id: the session.
        head: its fields as they are stored.
        marked: those of them that hold something encrypted.
    """
    opened: dict[bytes, bytes] = {}
    for field, value in marked.items():
        try:
            opened[field] = opener.field(session_id, "", HEAD, field, value)
        except (EncryptionError, ValueError) as error:
            left = opened[field] = Undecrypted(value)
            left.error = error if isinstance(error, EncryptionError) else _altered(session_id, head, field, error)
    return {**head, **opened}


def _altered(session_id: str, head: dict[bytes, bytes], field: bytes, error: ValueError) -> CorruptEvent:
    offset = head.get(b"offset", b"").decode()
    return CorruptEvent(session_id, offset, f"the field {field.decode(errors='replace')!r} of its head: {error}")


def is_before_expiry(fields: dict[bytes, bytes], ms: int) -> bool:
    """Whether a session's time is not over at a moment, in milliseconds since 1970, or cannot be told."""
    expires = fields.get(b"expires_at")
    try:
        return not expires or int(expires) > ms
    except ValueError:  # whoever reads on says so
        return True


def sound(session_id: str, fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the fields of a head as given; raises `CorruptRecord` where they do not read."""
    if fields and (problem := problem_of(fields)):
        raise CorruptRecord("the head", problem, session_id)
    return fields
