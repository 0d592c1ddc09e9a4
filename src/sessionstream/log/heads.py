"""A session's head in plain text, where it was encrypted."""

from __future__ import annotations

from sessionstream.errors import CorruptRecord, EncryptionError
from sessionstream.events.encrypted import Opener, Undecrypted
from sessionstream.projection import HEAD

__all__ = ["opened_fields"]


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
            left.error = error if isinstance(error, EncryptionError) else _altered(session_id, field, error)
    return {**head, **opened}


def _altered(session_id: str, field: bytes, error: ValueError) -> CorruptRecord:
    return CorruptRecord(f"the field {field.decode(errors='replace')!r} of the head", str(error), session_id)
