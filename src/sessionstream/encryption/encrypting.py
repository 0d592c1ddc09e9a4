"""Encrypting what a store appends: whose a session is, the user's key, and the order in which things were called."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from sessionstream.encryption.ciphers import encrypt
from sessionstream.encryption.data_keys import DataKeys, UserKey
from sessionstream.encryption.events import says_nothing, seal_event
from sessionstream.encryption.opening import DecryptingOpener, body_place, delta_place
from sessionstream.encryption.views import EventSeal
from sessionstream.errors import (
    InvalidArgument,
    KeyDestroyed,
    KeyUnavailable,
    OutcomeUnknown,
    SessionEnded,
    SessionNotFound,
)
from sessionstream.events.base import Phase
from sessionstream.events.codec import EncodedEvent, encode_event
from sessionstream.events.encrypted import Opener, Seal, key_ids_in
from sessionstream.events.ids import event_ids
from sessionstream.events.recorded import payload_of
from sessionstream.lifecycle.reading import ENDS
from sessionstream.log.request import Append, Appended, digest_of

if TYPE_CHECKING:
    from sessionstream.log.store import Store

__all__ = ["StoreEncryption"]

_ASKED_AGAIN = 10.0
"""Seconds after which it is asked anew whose a session is: somebody else may have removed it, and used its id again."""

_MOST_OWNERS = 10_000
_PAGE = 1_000
_CREATED = "session.created"
_SAVED = "checkpoint.saved"
_LARGEST = 1 << 62

Send = Callable[[Append], "asyncio.Future[Appended]"]
_Place = tuple[asyncio.AbstractEventLoop, str]


class StoreEncryption:
    """Encrypts what one store appends; see `sessionstream.log.encrypting.Encryption`.

    Args:
        store: which.
        keys: the data keys.
        send: sends an append.

    Attributes:
        keys: as given.
        opener: decrypts with them.
    """

    def __init__(self, store: Store, keys: DataKeys, send: Send) -> None:
        self._store = store
        self._send = send
        self.keys = keys
        self.opener: Opener = DecryptingOpener(keys)
        self._owners: dict[str, tuple[str, float]] = {}
        # What waits for a key, or behind something that does, by event loop and session.
        self._waiting: dict[_Place, deque[tuple[Append, asyncio.Future[Appended]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def append(self, request: Append) -> asyncio.Future[Appended]:
        """Encrypt an append and send it; one whose key is to be looked up waits, and what is called behind it too."""
        loop = asyncio.get_running_loop()
        place = loop, request.session_id
        waiting = self._waiting.get(place)
        if waiting is None:
            if _says_nothing(request) and not request.meta:
                return self._send(request)
            owner = self._owner(request)
            known = None if owner is None else self.keys.known(owner)
            if known is not None:
                _seal(request, known)
                return self._send(request)
            waiting = self._waiting[place] = deque()
            task = loop.create_task(self._send_waiting(place, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        future: asyncio.Future[Appended] = loop.create_future()
        waiting.append((request, future))
        return future

    async def remember(self, stored: Iterable[bytes]) -> None:
        """Look keys up, so that decrypting blocks nobody."""
        await self.keys.remember(key_ids_in(stored))

    async def event(self, session_id: str, event_id: bytes, event: EncodedEvent, meta: bytes) -> EncodedEvent:
        """Return an event encrypted, with who did it and why; without that, if the user's key was destroyed."""
        try:
            key = await self._key_of(session_id)
        except KeyDestroyed:
            if not says_nothing(event):
                raise
            return event
        return seal_event(key.present, session_id, event_id, event, meta)

    async def seal(self, session_id: str, event_id: bytes) -> Seal:
        """Return what encrypts, with its user's key, what is derived from an event that is stored in plain text."""
        return EventSeal((await self._key_of(session_id)).present, session_id, event_id)

    async def delta(self, session_id: str, delta_id: bytes, data: bytes) -> bytes:
        """Return a delta encrypted; as it is where there is no such session, which is for others to say."""
        try:
            key = await self._key_of(session_id)
        except SessionNotFound:
            return b"null"
        return encrypt(key.present, delta_place(session_id, delta_id), data)

    def forget(self, session_id: str) -> None:
        """Forget whose a session is."""
        self._owners.pop(session_id, None)

    def _owner(self, request: Append) -> str | None:
        """Return whose a session is, if that is known; of one that is about to be created it is not yet."""
        if request.events[0].kind.name == _CREATED:
            return None
        known = self._owners.get(request.session_id)
        return known[0] if known is not None and known[1] > time.monotonic() else None

    async def _send_waiting(self, place: _Place, waiting: deque[tuple[Append, asyncio.Future[Appended]]]) -> None:
        lacking: KeyUnavailable | None = None
        try:
            while waiting:
                request, future = waiting[0]
                creating = request.events[0].kind.name == _CREATED
                try:
                    # What has waited for a key that does not come waits no second time.
                    if lacking is not None and not creating and not _says_nothing(request):
                        raise lacking
                    await self._seal_when_possible(request)
                    sent = self._send(request)
                except KeyUnavailable as error:
                    lacking = error
                    _fail(future, KeyUnavailable(str(error), user_id=error.user_id, key_id=error.key_id))
                except Exception as error:
                    _fail(future, error)
                else:
                    sent.add_done_callback(lambda done, told=future: _tell(told, done))  # type: ignore[misc]
                    if creating:
                        # If it is refused, the session is another one's, and so is what waits behind.
                        await asyncio.wait({sent})
                        self.forget(request.session_id)
                waiting.popleft()
        finally:
            del self._waiting[place]
            for _, future in waiting:
                _fail(future, OutcomeUnknown("the event loop ended before the answer came"))

    async def _seal_when_possible(self, request: Append) -> None:
        try:
            _seal(request, await self._key_for(request))
        except (KeyDestroyed, SessionEnded):
            # What is over can be ended and removed; who did it would be the only thing that is encrypted of it.
            if not _says_nothing(request):
                raise
            request.meta = b""

    async def _key_for(self, request: Append) -> UserKey:
        first = request.events[0]
        if first.kind.name != _CREATED:
            try:
                return await self._key_of(request.session_id)
            except SessionNotFound as error:
                if Phase.ABSENT.value not in request.phases or isinstance(error, SessionEnded):
                    raise
                raise InvalidArgument(
                    f"{first.kind.name} cannot begin a session that is encrypted: create_session says whose it is"
                ) from None
        return await self._in_time(self.keys.of_user(first.value.user_id, begin=True))

    async def _key_of(self, session_id: str) -> UserKey:
        known = self._owners.get(session_id)
        if known is not None and known[1] > time.monotonic():
            return await self._in_time(self.keys.of_user(known[0], begin=False))
        asked_at = time.monotonic()
        found, state = await self._store.server.call("HMGET", self._store.keys.head(session_id), "user_id", "state")
        if not found and state in ENDS:
            raise SessionEnded(session_id, ENDS[state])  # it was erased: nobody's it is
        if not found:
            raise SessionNotFound(session_id)
        user_id = found.decode()
        key = await self._in_time(self._beginning(user_id, session_id))
        self.forget(session_id)
        if len(self._owners) >= _MOST_OWNERS:
            del self._owners[next(iter(self._owners))]
        self._owners[session_id] = user_id, asked_at + _ASKED_AGAIN
        return key

    async def _beginning(self, user_id: str, session_id: str) -> UserKey:
        """Return a user's key; the first one is made if nothing of the session was encrypted, as it began before that.

        Else it is the key store that is lost, or is another one: what a new key encrypted, its readers could not read.
        """
        try:
            return await self.keys.of_user(user_id, begin=False)
        except KeyUnavailable:
            if await self._has_ciphertext(session_id):
                raise
            return await self.keys.of_user(user_id, begin=True)

    async def _has_ciphertext(self, session_id: str) -> bool:
        """Whether any event of a session is encrypted: those that say nothing are not, so all are looked at."""
        end = "+"
        while page := await self._store.server.call(
            "XREVRANGE", self._store.keys.events(session_id), end, "-", "COUNT", _PAGE
        ):
            if any(key_ids_in(payload_of(words) for _, words in page if words)):
                return True
            end = f"({page[-1][0].decode()}"
        return False

    async def _in_time(self, wanted: Any) -> UserKey:
        deadline = self._store.server.deadline
        try:
            async with asyncio.timeout(deadline):
                key: UserKey = await wanted
                return key
        except TimeoutError:
            raise KeyUnavailable(f"the key store or the key provider did not answer within {deadline:g} s") from None


def _says_nothing(request: Append) -> bool:
    """Whether nothing of an append is to be encrypted, who did it aside."""
    first = request.events[0].kind
    # With its creation the session's user is given a key, if that is the first, or the first of a new life.
    if not first.reserved or first.name == _CREATED:
        return False
    if request.guards.idempotency_key is not None or request.claimed:
        return False
    return all(says_nothing(event) for event in request.events)


def _seal(request: Append, user: UserKey) -> None:
    """Put what is stored encrypted in the place of what was given; done once, so that every repeat sends the same."""
    key, guards = user.present, request.guards
    if guards.idempotency_key is not None:
        plain = digest_of(request.events)
        request.digest = hmac.digest(user.digests, plain.encode(), "sha256").hex()[: len(plain)]
    events: list[EncodedEvent] = list(request.events)
    if any(body is not None for _, body in guards.claims):
        bodies = {
            identifier: None if body is None else encrypt(key, body_place(request.session_id, identifier), body)
            for identifier, body in guards.claims
        }
        request.guards = guards._replace(claims=list(bodies.items()))
        events = [_told_of(event, bodies) if event.kind.name == _SAVED else event for event in events]
    request.ids = event_ids(request.count)
    sealed = [
        seal_event(key, request.session_id, event_id, event, request.meta)
        for event_id, event in zip(request.ids, events, strict=True)
    ]
    request.meta = b""
    request.hold(sealed, request.types)


def _told_of(event: EncodedEvent, bodies: dict[str, bytes | None]) -> EncodedEvent:
    """Return the event of a checkpoint with the size and the digest of its body as that is stored."""
    saved = event.value
    body = bodies.get(saved.checkpoint_id)
    if body is None:
        return event
    told = replace(saved, size=len(body), sha256=hashlib.sha256(body).hexdigest())
    return encode_event(told, _LARGEST)


def _tell(future: asyncio.Future[Appended], done: asyncio.Future[Appended]) -> None:
    error = None if done.cancelled() else done.exception()
    if future.done():
        return
    if done.cancelled():
        future.cancel()
    elif error is not None:
        future.set_exception(error)
    else:
        future.set_result(done.result())


def _fail(future: asyncio.Future[Appended], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
