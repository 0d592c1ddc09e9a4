"""The embedded server: a real Valkey for one data folder, shared by all processes of the user.

A small supervisor process of ours (`sessionstream.wire.embedded.supervisor`) runs the server. Every process that uses
the store keeps one connection to the supervisor's control socket; a process that dies, however it dies, closes its
own, and some seconds after the last has gone the server is stopped cleanly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessionstream.wire.embedded.lease import EmbeddedServer

__all__ = ["EmbeddedServer"]


def __getattr__(name: str) -> Any:
    # The supervisor imports this package too, and must not wait for asyncio.
    if name == "EmbeddedServer":
        from sessionstream.wire.embedded.lease import EmbeddedServer

        return EmbeddedServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
