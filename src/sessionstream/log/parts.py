"""What the queues of all event loops work with."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sessionstream.log.keys import Keys
from sessionstream.log.positions import Positions
from sessionstream.log.recovery import Recovery
from sessionstream.log.replicating import Replicating
from sessionstream.log.request import Appended
from sessionstream.log.script_call import ScriptCalls
from sessionstream.wire.server import Server

__all__ = ["MILESTONE", "Parts"]

MILESTONE = 1024
"""So many events of a session lie between two of its milestones: a power of two, which is quick to ask for."""

_BETWEEN = MILESTONE - 1


class Parts(NamedTuple):
    """What the queues of all event loops work with.

    Attributes:
        server: where to send.
        keys: the names of the namespace's keys.
        calls: packs what is sent.
        recovery: sends again what met a failure.
        replicating: sends what waits for replicas.
        positions: where to note what was appended.
        milestones: called with what was appended when a session has come to a multiple of so many events, or past it.
    """

    server: Server
    keys: Keys
    calls: ScriptCalls
    recovery: Recovery
    replicating: Replicating
    positions: Positions
    milestones: list[Callable[[Appended], object]]

    def note(self, made: list[Appended]) -> None:
        """Note appends that were made."""
        for appended in made:
            if appended.version & _BETWEEN < appended.count and not appended.duplicate:
                for tell in self.milestones:
                    tell(appended)
        self.positions.appended(made)
