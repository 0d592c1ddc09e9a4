"""MOVED and ASK: a node's word that another one has the slot, given before anything was executed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from sessionstream.wire.lane import Lane
from sessionstream.wire.packing import Word

__all__ = ["Address", "Asking", "Redirection", "redirection_of"]

Address = tuple[str, int]


class Redirection(NamedTuple):
    """Where a call is to be sent instead.

    Attributes:
        slot: which slot is meant.
        address: host and port of the node that has it.
        asking: this call only, behind ASKING: the slot is on its way to that node. Else the slot has moved.
    """

    slot: int
    address: Address
    asking: bool


def redirection_of(error: Exception, sender: Address | None) -> Redirection | None:
    """Return where an error reply sends the call, None if it is another kind of error.

    Args:
        error: such as ``MOVED 3999 127.0.0.1:6381``.
        sender: which node said so: one that names a port alone means its own host.
    """
    words = str(error).split()
    if len(words) != 3 or words[0] not in ("MOVED", "ASK"):
        return None
    host, _, port = words[2].rpartition(":")
    if not host and sender is not None:
        host = sender[0]
    return Redirection(int(words[1]), (host, int(port)), words[0] == "ASK")


class Asking:
    """A lane on which each call is preceded by ASKING: the node answers for a slot that it is about to be given.

    Args:
        lane: where to.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def call(self, words: Sequence[Word]) -> asyncio.Future[Any]:
        """Queue ASKING and the command; the future gives the command's reply."""
        [future] = self.calls((words,))
        return future

    def calls(self, commands: Sequence[Sequence[Word]], *, awaited: bool = False) -> list[asyncio.Future[Any]]:
        """Queue several commands, each behind its own ASKING, which leave together; see `Lane.calls`."""
        return self._lane.calls([one for words in commands for one in (("ASKING",), words)], awaited=awaited)[1::2]
