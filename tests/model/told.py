"""An event type of a user's own, of which there are two versions: the second one also tells how long the text is."""

from __future__ import annotations

from typing import Any

import msgspec

import sessionstream

__all__ = ["Told", "declare"]

_NAME = "model.told"


class _Versions:
    """The classes of the two versions; the second is declared anew in the place of the first."""

    first = msgspec.defstruct("Told", [("text", str)], frozen=True, module=__name__)
    second = msgspec.defstruct("Told", [("text", str), ("length", int)], frozen=True, module=__name__)


class Told(msgspec.Struct, frozen=True):
    """What was told, whatever the version in which it is stored and read.

    Attributes:
        text: what.
    """

    text: str

    def in_version(self, version: int) -> Any:
        """Return the event that says so, as a process that knows types up to a version makes and reads it."""
        return _Versions.first(self.text) if version == 1 else _Versions.second(self.text, len(self.text))


def declare(version: int) -> None:
    """Let this process know the type in a version, and read older events through its upcaster."""
    if version == 1:
        sessionstream.event(_NAME)(_Versions.first)
    else:
        upcasters = {1: lambda fields: {**fields, "length": len(fields["text"])}}
        sessionstream.event(_NAME, version=2, upcasters=upcasters)(_Versions.second)
