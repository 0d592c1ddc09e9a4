"""What has a store: how it is opened, what it does beside its calls, and how it is closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import EllipsisType, TracebackType
from typing import Any, Self

from sessionstream.bases import BasesBeside
from sessionstream.chores import Chores
from sessionstream.feed.hub import Hub
from sessionstream.integrity.sealing import Sealing
from sessionstream.log.store import Store
from sessionstream.projection import Projection

__all__ = ["Opened"]


class Opened:
    """A store and what belongs to it, until it is closed; see `sessionstream.SessionManager` for the arguments.

    Args:
        conn: a client of redis-py, or None.
        ttl: seconds until a session expires.
        url: the server's.
        projections: the user's own.
        settings: the other fields of `Settings`.

    Attributes:
        settings: as they are in force.
        store: the namespace on its server.
    """

    def __init__(
        self,
        conn: object | None,
        ttl: float | EllipsisType | None,
        *,
        url: str | None,
        projections: Sequence[Projection],
        **settings: Any,
    ) -> None:
        # The driver and the settings' models are most of what there is to load: importing this class is cheap.
        from sessionstream.settings import settings_from
        from sessionstream.wire.opening import server_for

        given = settings | ({} if ttl is ... else {"ttl": ttl}) | ({} if url is None else {"url": url})
        self.settings = settings_from(**given)
        options = self.settings.model_dump(include={"folder", "reply_timeout", "deadline", "allow_eviction"})
        self.store = Store(server_for(conn, self.settings.url, **options), self.settings, projections)
        self._hub = Hub(self.store.server)
        self._chores = Chores()
        self._sealing = Sealing(self.store, self._chores)
        self._bases = BasesBeside(self.store, self._chores)
        self._closing: tuple[Callable[[], Awaitable[None]], ...] = (self._bases.aclose, self._chores.aclose)

    @classmethod
    def open(cls, url: str | None = None, **arguments: Any) -> Self:
        """Return a manager for a URL, or for the embedded server; the arguments are those of the class."""
        return cls(url=url, **arguments)

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and let the embedded server go."""
        for close in self._closing:
            await close()
        await self.store.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
