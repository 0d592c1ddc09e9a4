"""Which data keys a store uses: the caller's own, or those that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream.errors import InvalidArgument, InvalidType

if TYPE_CHECKING:
    from sessionstream.encryption.data_keys import DataKeys
    from sessionstream.settings import Settings

__all__ = ["data_keys_of"]


def data_keys_of(settings: Settings, given: object) -> DataKeys:
    """Return the data keys of a store.

    Args:
        settings: of the store.
        given: the caller's own keys, or None.

    Raises:
        InvalidArgument: the settings name only half of what is needed, or both are given; or the extra ``crypto`` is
            not installed.
    """
    try:
        from sessionstream.encryption.data_keys import DataKeys
        from sessionstream.encryption.folder import FolderKeyStore
        from sessionstream.encryption.masters import MasterKeys
    except ImportError as error:
        raise InvalidArgument(f"encryption needs cryptography: pip install 'sessionstream[crypto]' ({error})") from None
    if given is not None:
        if not isinstance(given, DataKeys):
            raise InvalidType(f"encryption is a sessionstream.encryption.DataKeys, not a {type(given).__name__}")
        if settings.encryption_key is not None or settings.key_store is not None:
            raise InvalidArgument("encryption is given, so encryption_key and key_store are not")
        return given
    if settings.key_store is None or settings.encryption_key is None:
        lacking = "key_store" if settings.key_store is None else "encryption_key"
        raise InvalidArgument(f"settings: encryption needs encryption_key and key_store; {lacking} is missing")
    return DataKeys(FolderKeyStore(settings.key_store), MasterKeys.of(settings))
