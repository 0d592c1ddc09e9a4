"""JSON that gives back what it was given, or refuses it with the path of the offending value."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from sessionstream.errors import InvalidData

__all__ = ["decode_json", "encode_json"]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_PLAIN = (str, int, float, bool, type(None))


def encode_json(value: Any, path: str) -> bytes:
    """Return the JSON of a value that reads back equal.

    Args:
        value: dicts with string keys, lists, strings, finite numbers, booleans and None.
        path: what to call the value in an error, such as ``data``.

    Raises:
        InvalidData: JSON would change the value: an integer key, NaN, bytes, a tuple, a set, a datetime.
    """
    try:
        encoded = _encoder.encode(value)
        if _decoder.decode(encoded) == value:
            return encoded
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass
    _name_offender(value, path)
    raise InvalidData(path, "JSON would change this value")


def decode_json(encoded: bytes | str) -> Any:
    """Return the value that JSON text holds; raises `msgspec.DecodeError` where it holds none."""
    return _decoder.decode(encoded)


def _name_offender(value: Any, path: str, depth: int = 0) -> None:
    if depth > 500:
        raise InvalidData(path, "nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidData(path, f"the key {key!r} is not a string")
            _check_text(key, path)
            _name_offender(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _name_offender(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidData(path, f"{value} has no JSON")
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise InvalidData(path, "the integer does not fit into 64 bits")
    elif not isinstance(value, _PLAIN):
        raise InvalidData(path, f"a {type(value).__name__} would not come back from JSON as it is")


def _check_text(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidData(path, "the text holds a lone surrogate") from None
