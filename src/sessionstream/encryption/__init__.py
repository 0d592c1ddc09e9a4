"""Encryption at rest: what users say is stored encrypted with a data key of their own, which is kept elsewhere.

With the extra ``crypto``. A `KeyStore` keeps data keys outside of Redis, wrapped with a master key of a `KeyProvider`;
`DataKeys` are both. The settings give a key store in a folder and master keys of secrets. Names are loaded when they
are first asked for, since not everybody has the extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessionstream.encryption.data_keys import DataKeys as DataKeys
    from sessionstream.encryption.folder import FolderKeyStore as FolderKeyStore
    from sessionstream.encryption.keys import KeyProvider as KeyProvider
    from sessionstream.encryption.keys import KeyStore as KeyStore
    from sessionstream.encryption.keys import WrappedKey as WrappedKey
    from sessionstream.encryption.masters import MasterKeys as MasterKeys

__all__ = ["DataKeys", "FolderKeyStore", "KeyProvider", "KeyStore", "MasterKeys", "WrappedKey"]

_HOMES = {
    "DataKeys": "data_keys",
    "FolderKeyStore": "folder",
    "KeyProvider": "keys",
    "KeyStore": "keys",
    "MasterKeys": "masters",
    "WrappedKey": "keys",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
