"""Encryption at rest: what users say is stored encrypted with a data key of their own, which is kept elsewhere.

With the extra ``crypto``. A `KeyStore` keeps data keys outside of Redis, wrapped with a master key of a `KeyProvider`;
`DataKeys` are both. The settings give a key store in a folder and master keys of secrets.
"""

from __future__ import annotations

from sessionstream.encryption.data_keys import DataKeys
from sessionstream.encryption.folder import FolderKeyStore
from sessionstream.encryption.keys import KeyProvider, KeyStore, WrappedKey
from sessionstream.encryption.masters import MasterKeys

__all__ = ["DataKeys", "FolderKeyStore", "KeyProvider", "KeyStore", "MasterKeys", "WrappedKey"]
