"""One server."""

from __future__ import annotations

from typing import Any

from tests.fault.runner.faults import CLOCKS, EVERYWHERE, killed_and_restarted, restarted
from tests.fault.runner.scene import Fault, Place, Target, call
from tests.proxy import Proxy
from tests.servers import Server

__all__ = ["Single"]


class Single(Place):
    """One server behind a proxy."""

    _server: Server
    _proxied: Proxy

    def _start(self) -> None:
        self._server = Server(**self._settings)
        self._server.environment = self.clock.environment
        self._stack.enter_context(self._server)
        self._proxied = self._proxy(self._server)

    @property
    def faults(self) -> dict[str, Fault]:
        """Those of every topology, its clock, and that it is killed or stopped and started again."""
        own = (
            Fault("server killed", killed_and_restarted),
            Fault("server restarted", restarted),
        )
        return {fault.name: fault for fault in own} | EVERYWHERE | CLOCKS

    @property
    def workers_place(self) -> dict[str, Any]:
        """By the proxy."""
        return {"url": self._proxied.url}

    @property
    def own_place(self) -> dict[str, Any]:
        """By the server's socket."""
        return {"url": self._server.unix_url}

    @property
    def targets(self) -> list[Target]:
        """The one."""
        return [Target(self._server, self._proxied)]

    @property
    def servers(self) -> list[Server]:
        """The one."""
        return [self._server]

    def empty(self) -> None:
        """Remove all keys."""
        call(self._server, "FLUSHALL")
