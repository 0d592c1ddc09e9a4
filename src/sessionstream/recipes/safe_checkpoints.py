"""Checkpoints without secrets: named fields are removed, and what is left is encrypted with the caller's key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from sessionstream.errors import InvalidArgument, InvalidData, InvalidType
from sessionstream.events.strict_json import decode_json, encode_json
from sessionstream.manager import SessionManager
from sessionstream.session import Checkpoint

__all__ = ["Cipher", "load_checkpoint_safe", "save_checkpoint_safe"]

_FIELD = "encrypted_data"


class Cipher(Protocol):
    """What encrypts and decrypts, such as ``cryptography.fernet.Fernet`` and ``MultiFernet``."""

    def encrypt(self, data: bytes) -> bytes | str:
        """Return the data encrypted."""
        ...

    def decrypt(self, token: bytes) -> bytes | str:
        """Return the data that was encrypted."""
        ...


Key = str | bytes | Cipher | Callable[[str], Any]


async def save_checkpoint_safe(
    manager: SessionManager,
    session_id: str,
    data: Any,
    *,
    remove: Iterable[str] = ("api_key", "password"),
    key: Key | None = None,
) -> str:
    """Save a checkpoint without the named fields, encrypted if a key is given, and return its id.

    The caller's data stays as it is. What is not encrypted is redacted as every checkpoint is; an encrypted
    checkpoint holds ``{"encrypted_data": …}``.

    Args:
        manager: where to.
        session_id: the session.
        data: anything that JSON keeps as it is.
        remove: the names of the fields to remove, at every depth.
        key: a Fernet key; or an object whose ``encrypt`` takes and gives bytes; or a function, also an async one, that
            takes the JSON text. None encrypts nothing: only the fields are removed.

    Raises:
        InvalidData: JSON would change the data.
        InvalidArgument: the key is malformed, or the extra ``crypto`` is not installed.
    """
    if isinstance(remove, str):
        raise InvalidType("remove is a list of names, not one string")
    try:
        safe = _without(data, frozenset(remove))
    except RecursionError:
        raise InvalidData("data", "nested too deeply") from None
    if key is None:
        return await manager.save_checkpoint(session_id, safe)
    token = await _apply(key, "encrypt", encode_json(safe, "data"))
    return await manager.save_checkpoint(session_id, {_FIELD: _text(token)})


async def load_checkpoint_safe(
    manager: SessionManager, session_id: str, checkpoint_id: str | None = None, *, key: Key | None = None
) -> Checkpoint | None:
    """Return a checkpoint that `save_checkpoint_safe` saved, with its data decrypted.

    Args:
        manager: where from.
        session_id: the session.
        checkpoint_id: which one; None is the latest.
        key: the same Fernet key; or an object with ``decrypt``; or the function that undoes what encrypted it.

    Returns:
        None if there is no such checkpoint. One that is not encrypted is returned as it is.

    Raises:
        InvalidArgument: it is encrypted and the key is missing, malformed or another one.
    """
    if checkpoint_id is None:
        checkpoint = await manager.get_latest_checkpoint(session_id)
    else:
        checkpoint = await manager.get_checkpoint(session_id, checkpoint_id)
    if checkpoint is None or not _is_encrypted(checkpoint.data):
        return checkpoint
    if key is None:
        raise InvalidArgument(f"checkpoint {checkpoint.checkpoint_id!r} is encrypted: give its key")
    plain = await _apply(key, "decrypt", checkpoint.data[_FIELD].encode())
    try:
        data = decode_json(_text(plain))
    except ValueError:
        raise InvalidArgument(f"checkpoint {checkpoint.checkpoint_id!r}: the key does not give JSON") from None
    return Checkpoint(**{**checkpoint, "data": data})


def _is_encrypted(data: Any) -> bool:
    return isinstance(data, dict) and data.keys() == {_FIELD} and isinstance(data[_FIELD], str)


def _without(data: Any, names: frozenset[str]) -> Any:
    if isinstance(data, dict):
        return {key: _without(value, names) for key, value in data.items() if key not in names}
    if isinstance(data, list):
        return [_without(item, names) for item in data]
    return data


async def _apply(key: Key, method: str, data: bytes) -> Any:
    if isinstance(key, str | bytes):
        return _with_fernet(key, method, data)
    if hasattr(key, method):
        result = getattr(key, method)(data)
    elif callable(key):
        result = key(data.decode())
    else:
        raise InvalidType(
            f"key is a Fernet key, an object that can {method}, or a function, not a {type(key).__name__}"
        )
    return await result if inspect.isawaitable(result) else result


def _with_fernet(key: str | bytes, method: str, data: bytes) -> bytes:
    try:
        from cryptography.fernet import Fernet, InvalidToken
    except ImportError:
        raise InvalidArgument(
            "key: encryption with a Fernet key needs cryptography: pip install 'sessionstream[crypto]'"
        ) from None
    try:
        fernet = Fernet(key)
    except ValueError as error:
        raise InvalidArgument(f"key: {error}") from None
    try:
        return fernet.encrypt(data) if method == "encrypt" else fernet.decrypt(data)
    except InvalidToken:
        raise InvalidArgument("key: the checkpoint was encrypted with another one, or was changed since") from None


def _text(token: object) -> str:
    if isinstance(token, bytes):
        try:
            return token.decode()
        except UnicodeDecodeError:
            raise InvalidType("the key gave bytes that are no text: encode them, with base64 for example") from None
    if isinstance(token, str):
        return token
    raise InvalidType(f"the key gave a {type(token).__name__}, not bytes or a string")
