"""Anchors: the last seals of sessions in a file outside of Redis, which whoever can write to Redis cannot roll back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sessionstream.errors import InvalidAnchor
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.lines import LinesReader, LinesWriter

__all__ = ["Anchor", "Anchored", "anchor_writer", "read_anchor"]

_KIND = "anchor"


class Anchored(NamedTuple):
    """How far a session was sealed when the anchor was written.

    Attributes:
        offset: of the last event that was sealed.
        version: its version.
        seal: the last seal.
    """

    offset: str
    version: int
    seal: str


class Anchor(NamedTuple):
    """What a file says.

    Attributes:
        at: when it was begun, in milliseconds since 1970, by the server's clock.
        sessions: each session that it knows.
    """

    at: int
    sessions: Mapping[str, Anchored]


def anchor_writer(path: Path, namespace: str, keyring: Keyring, at: int) -> LinesWriter:
    """Return what writes an anchor: one line for each session, with its id and the fields of `Anchored`.

    Args:
        path: the file.
        namespace: whose sessions these are.
        keyring: the keys.
        at: the server's milliseconds.
    """
    return LinesWriter(path, _KIND, keyring.present, {"namespace": namespace, "at": at}, InvalidAnchor)


def read_anchor(path: Path, namespace: str, keyring: Keyring) -> Anchor:
    """Return what an anchor says, which is checked first.

    Args:
        path: the file.
        namespace: whose sessions they must be.
        keyring: the keys.

    Raises:
        InvalidAnchor: it is no anchor, was cut short or altered, or is of another namespace or key.
    """
    reader = LinesReader(path, _KIND, keyring, InvalidAnchor)
    try:
        sessions = {
            one["session_id"]: Anchored(one["offset"], one["version"], one["seal"]) for one in reader if len(one) == 4
        }
    except (KeyError, TypeError):
        raise InvalidAnchor(str(path), "one of its lines is none of an anchor") from None
    if reader.unchecked or reader.problem:
        raise InvalidAnchor(str(path), reader.unchecked or reader.problem)
    if reader.header["namespace"] != namespace:
        raise InvalidAnchor(str(path), f"it is of namespace {reader.header['namespace']!r}, not of {namespace!r}")
    return Anchor(reader.header["at"], sessions)
