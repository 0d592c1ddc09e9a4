"""What has a store: how it is opened, what hangs on it, what it does beside its calls, and how it is closed.

The parts that hang on it are loaded when they are first asked for: an agent that only appends does not pay for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from sessionstream.bases.beside import BasesBeside
from sessionstream.chores import Chores
from sessionstream.log.store import Store
from sessionstream.projection import Projection

if TYPE_CHECKING:
    from sessionstream.audit import Audit
    from sessionstream.consumers import Consumers
    from sessionstream.encryption import DataKeys
    from sessionstream.encryption.door import KeyRotation
    from sessionstream.erasure import Erased
    from sessionstream.events.recorded import RecordedEvent
    from sessionstream.feed.hub import Hub
    from sessionstream.following import Following
    from sessionstream.integrity.sealing import Sealing
    from sessionstream.owned import UserSessions
    from sessionstream.retention import Retention

__all__ = ["Opened"]

_OF_THE_WIRE = {
    "folder",
    "reply_timeout",
    "deadline",
    "allow_eviction",
    "durability",
    "allow_unchecked_durability",
}


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

        encryption = settings.pop("encryption", None)
        given = settings | ({} if ttl is ... else {"ttl": ttl}) | ({} if url is None else {"url": url})
        self.settings = settings_from(**given)
        options = self.settings.model_dump(include=_OF_THE_WIRE)
        keys = self._data_keys(encryption)
        server = server_for(conn, self.settings.url, **options)
        self.store = Store(server, self.settings, projections, encrypts=keys is not None)
        if keys is not None:
            self._encrypt(keys)
        self._chores = Chores()
        self._bases = BasesBeside(self.store, self._chores)
        self._closing: tuple[Callable[[], Awaitable[None]], ...] = (self._bases.aclose, self._chores.aclose)
        self._sealing = self._sealing_beside() if self.settings.seal_key is not None else None
        if self.settings.archive is not None:
            self._archive_first(self.settings.archive)

    @classmethod
    def open(cls, url: str | None = None, **arguments: Any) -> Self:
        """Return a manager for a URL, or for the embedded server; the arguments are those of the class."""
        return cls(url=url, **arguments)

    # What hangs on it

    @cached_property
    def audit(self) -> Audit:
        """What auditors ask: moments, differences, forks, traces, seals and evidence."""
        from sessionstream.audit import Audit

        return Audit(self.store)

    @cached_property
    def consumers(self) -> Consumers:
        """Consumer groups, and projections that are run from the feed."""
        from sessionstream.consumers import Consumers, OpenConsumers

        members = OpenConsumers()
        self._closing = (members.aclose, *self._closing)
        return Consumers(self.store, self._hub, members)

    @cached_property
    def encryption(self) -> KeyRotation:
        """The keys of a store that encrypts: rotation."""
        from sessionstream.encryption.door import KeyRotation

        return KeyRotation(self.store)

    @cached_property
    def retention(self) -> Retention:
        """What is kept, and for how long: holds, archives and trims."""
        from sessionstream.retention import Retention

        return Retention(self.store)

    @cached_property
    def _following(self) -> Following:
        from sessionstream.following import Following

        return Following(self.store, self._hub)

    @cached_property
    def _hub(self) -> Hub:
        from sessionstream.feed.hub import Hub

        hub = Hub(self.store.server)
        self._closing += (hub.aclose,)
        return hub

    # Encryption

    def _data_keys(self, given: DataKeys | None) -> DataKeys | None:
        """Return the caller's own data keys, or those of the settings, or None for a store that encrypts nothing."""
        settings = self.settings
        if given is None and settings.encryption_key is None and settings.key_store is None:
            return None
        from sessionstream.encryption.choosing import data_keys_of

        return data_keys_of(settings, given)

    def _encrypt(self, keys: DataKeys) -> None:
        from sessionstream.encryption.encrypting import StoreEncryption

        store = self.store
        store.encrypt_with(lambda send: StoreEncryption(store, keys, send))

    def for_user(self, user_id: str) -> UserSessions:
        """Return a handle that can touch this user's sessions alone; another's session is as one that is not there.

        Args:
            user_id: whose sessions.

        Raises:
            InvalidArgument: the id is malformed.
        """
        from sessionstream.owned import UserSessions

        return UserSessions(self, user_id)

    # What it does beside its calls

    def _sealing_beside(self) -> Sealing:
        from sessionstream.integrity.sealing import Sealing

        return Sealing(self.store, self._chores)

    def _archive_first(self, folder: Path) -> None:
        from sessionstream.retention.keeping import archiver_into

        self.store.archive_first = archiver_into(self.store, folder)

    def _checkpoint_saved(self, session_id: str) -> None:
        """Begin what is due behind a checkpoint: a seal, and the end of those that are too many."""
        if self._sealing is not None:
            self._sealing.soon(session_id)
        if (last := self.settings.keep_checkpoints) is not None:
            from sessionstream.retention.last_checkpoints import keep_last_quietly

            self._chores.start(("checkpoints", session_id), keep_last_quietly(self.store, session_id, last))

    async def _erase(self, user_id: str, **options: Any) -> Erased:
        from sessionstream.erasure import erase_user

        return await erase_user(self.store, user_id, **options)

    def _archived_in(self, folder: object) -> Callable[[str], AsyncIterator[RecordedEvent]]:
        from sessionstream.retention.replaying import archived_in

        return archived_in(self.store, folder)

    # Its end

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
