"""Deltas: what an agent is just saying, for whoever watches; no events, and gone after some minutes.

They lie in a stream beside the session's own, whose entries have two fields: the delta's id with its JSON, and the
session's offset with nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from sessionstream.errors import EncryptionError, NamespaceMismatch, SessionEnded, SessionNotFound, TooLarge
from sessionstream.events.encrypted import Opener, is_encrypted
from sessionstream.events.ids import event_ids
from sessionstream.events.recorded import at_ms, moment
from sessionstream.events.strict_json import encode_redacted
from sessionstream.log.gates import name_in_log
from sessionstream.log.stamp import require_same, shape_of
from sessionstream.log.store import Store
from sessionstream.wire.packing import Word
from sessionstream.wire.scripts import load_script

__all__ = ["KEPT_MS", "MOST_DELTAS", "Delta", "delta_of", "publish"]

MOST_DELTAS = 1_000
"""About how many deltas of a session are kept: a follower that is further behind misses the older ones."""
KEPT_MS = 300_000
"""For how many milliseconds after the last one the deltas of a session are kept."""

_PUBLISH = load_script("sessionstream.following", "publish")
_decode = msgspec.json.Decoder().decode


class Delta(msgspec.Struct, frozen=True, gc=False):
    """Something that was published to a session's followers, and is no event.

    Attributes:
        session_id: the session.
        id: its own, the same on every retry.
        data: what was published.
        at: when, by the server's clock; an aware UTC datetime.
        offset: of the session's last event when it was published.
    """

    session_id: str
    id: str
    data: Any
    at: datetime
    offset: str


def delta_of(session_id: str, entry: Sequence[Any], opener: Opener) -> Delta | None:
    """Return the delta of an entry, as XRANGE gives it; None for one that cannot be decrypted: it is no event."""
    place, words = entry
    identifier, data, offset = words[:3]
    if is_encrypted(data):
        try:
            data = opener.delta(session_id, identifier, data)
        except (EncryptionError, ValueError):
            return None
    return Delta(session_id, identifier.decode(), _decode(data), moment(at_ms(place.decode())), offset.decode())


async def publish(store: Store, session_id: str, delta: object) -> str:
    """Publish a delta to the followers of a live session, and return its id; it is encoded before anything is awaited.

    Args:
        store: where the session is kept.
        session_id: the session.
        delta: anything that JSON keeps as it is.

    Raises:
        InvalidData: or `TooLarge`: it would not be read back as it is.
        SessionNotFound: or `SessionEnded`: nobody follows what is not, or is over.
        KeyUnavailable: it is to be encrypted, and the key cannot be had.
        NamespaceMismatch: what is written to the namespace is encrypted, and this process has no keys; or it is not.
    """
    route, keys = store.keys.route(session_id), store.keys
    data = encode_redacted(delta, "delta", store.delta_redactor)
    limit = store.settings.max_event_bytes
    if len(data) > limit:
        raise TooLarge("the delta", len(data), limit, "max_event_bytes")
    [identifier] = event_ids(1)
    await store.check_readable()
    if store.encryption is not None:
        data = await store.encryption.delta(session_id, identifier, data)
    shape = shape_of(keys.partitions, encrypted=store.encryption is not None)
    args: list[Word] = [name_in_log(session_id), identifier, data, MOST_DELTAS, KEPT_MS, shape]
    log, deltas = keys.log(route.partition), keys.deltas(session_id)
    found = await store.server.script(_PUBLISH, [log, deltas], args, told=True)
    if found is None:
        raise SessionNotFound(session_id)
    if isinstance(found, list) and found[0] == b"stamp":
        require_same(keys.namespace, found[1].decode(errors="replace"), store.stamp, writing=True)
        raise NamespaceMismatch(keys.namespace, "it was made with other settings")
    if isinstance(found, list):
        raise SessionEnded(session_id, found[0].decode())
    return identifier.decode()
