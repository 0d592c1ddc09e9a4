"""What encrypts what a group keeps of an event: errors of its handlers, and texts in its views.

A handler may know far more than its event says. So what it leaves is encrypted where the namespace is, also behind an
event of which nothing is: with a key of the session's user.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sessionstream.errors import EncryptionError, KeyUnavailable, SessionStreamError
from sessionstream.events.encrypted import Seal
from sessionstream.events.recorded import RecordedEvent
from sessionstream.log.stamp import is_encrypted_namespace
from sessionstream.log.store import Store
from sessionstream.projection import Operation, Put, Replace, Symbol

__all__ = ["seal_for"]

_WITHHELD = "(not kept, as it cannot be encrypted)"


async def seal_for(store: Store, event: RecordedEvent) -> Seal | None:
    """Return what encrypts what is kept of an event; None where the namespace is in plain text.

    Args:
        store: the namespace.
        event: the event.
    """
    if event.seal is not None:
        return event.seal
    if not event.encrypted and not is_encrypted_namespace(store.shape):
        return None
    if store.encryption is None:
        return _Withheld(KeyUnavailable("no keys are given to encrypt it: give encryption_key and key_store"))
    try:
        return await store.encryption.seal(event.session_id, event.id.encode())
    except EncryptionError as error:
        return _Withheld(error)
    except SessionStreamError:
        # Nobody's it is any more: what a group keeps of it is removed, and of whom is there to say something?
        return _Withheld(None)


class _Withheld:
    """Keeps no error, and takes no text into views, as there is no key: that is said.

    Args:
        reason: why there is none; None lets views have texts, as they are about to be removed.
    """

    def __init__(self, reason: EncryptionError | None) -> None:
        self._reason = reason

    def text(self, place: str, text: str) -> str:
        """Return what stands in the place of an error."""
        return _WITHHELD

    def operations(self, owner: str, operations: Iterable[Operation]) -> Iterator[Operation]:
        """Yield operations that have no text; raise the reason at one that has."""
        for operation in operations:
            has_text = isinstance(operation, Put | Replace) and any(map(_is_text, operation.fields.values()))
            if self._reason is not None and has_text:
                raise self._reason
            yield operation


def _is_text(value: object) -> bool:
    return bool(value.rest) if isinstance(value, Symbol) else isinstance(value, str | bytes) and bool(value)
