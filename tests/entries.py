"""Entries as streams hold them, for tests that write or read some by hand."""

from __future__ import annotations

__all__ = ["ID", "data_of", "entry"]

ID = "x" * 22


def entry(name: str, data: str | bytes, *, version: object = 1, **more: str | bytes) -> dict[str, str | bytes]:
    """Return the fields of an event's entry.

    Args:
        name: of its type.
        data: its JSON.
        version: of its schema, or what stands in that place.
        more: further fields, such as ``meta``.
    """
    value = ID.encode() + (data.encode() if isinstance(data, str) else data)
    return {name if version == 1 else f"{name}@{version}": value, **more}


def data_of(fields: dict[bytes, bytes], name: str) -> bytes:
    """Return the JSON of an entry of the first version of a type."""
    return fields[name.encode()][len(ID) :]
