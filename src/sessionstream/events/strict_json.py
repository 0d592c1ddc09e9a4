"""JSON that gives back what it was given, or refuses it with the path of the offending value."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from sessionstream.errors import InvalidData
from sessionstream.redaction import Redactor

__all__ = ["DEEPEST", "copy_json", "decode_json", "encode_json", "encode_redacted", "refuse_unportable"]

DEEPEST = 128
"""How deep lists and dicts may lie in one another: a reader's stack holds that, whatever it is doing."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_PLAIN = (str, int, float, bool, type(None))


# What may be an integer beyond 64 bits; a string of digits begins with a quotation mark. To look for 19 digits in a row
# first, by searching for zeros in text whose digits all are, takes a fifth of what the expressions take.
_LONG_NUMBER = re.compile(rb"[:,\[-][0-9]{19}")
_BARE_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_ALL_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_ZEROS = b"0" * 19
_LEAST, _MOST = -(2**63), 2**64 - 1


def encode_json(value: Any, path: str) -> bytes:
    """Return the JSON of a value that reads back equal.

    Args:
        value: dicts with string keys, lists, strings, finite numbers, integers of 64 bits, booleans and None.
        path: what to call the value in an error, such as ``data``.

    Raises:
        InvalidData: JSON would change the value: an integer key, NaN, bytes, a tuple, a set, a datetime; or another
            reader could: it is nested deeper than `DEEPEST`, or an integer is beyond 64 bits.
    """
    return _encoded(value, path)[0]


def encode_redacted(value: Any, path: str, redactor: Redactor, root: str | None = None) -> bytes:
    """Return the JSON of a value without what the rules of redaction take out; it reads back equal to that.

    Args:
        value: see `encode_json`, whose errors it raises.
        path: what to call the value in an error.
        redactor: what applies the rules.
        root: how the paths of the rules call the value, if otherwise.
    """
    encoded, copied = _encoded(value, path)
    redacted = redactor.value(copied, root or path)
    return encoded if redacted is copied else encode_json(redacted, path)


def copy_json(value: Any, path: str) -> Any:
    """Return a deep copy of a value as JSON gives it back; the arguments and errors are those of `encode_json`."""
    return _encoded(value, path)[1]


def _encoded(value: Any, path: str) -> tuple[bytes, Any]:
    try:
        encoded = _encoder.encode(value)
        decoded = _decoder.decode(encoded)
        if decoded == value:
            refuse_unportable(encoded, path)
            return encoded, decoded
    except InvalidData:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass
    _name_offender(value, path)
    raise InvalidData(path, "JSON would change this value")


def refuse_unportable(encoded: bytes, path: str, *, depth: int = 0) -> None:
    """Refuse what this process reads back, and another reader may not: deep nesting, integers beyond 64 bits.

    Args:
        encoded: JSON text.
        path: what to call its value in an error.
        depth: how deep that lies; -1 for what is no level of the caller's own.

    Raises:
        InvalidData: it holds such a value.
    """
    long_number = _ZEROS in encoded.translate(_ALL_ZEROS) and (
        _LONG_NUMBER.search(encoded) is not None or _BARE_LONG_NUMBER.match(encoded) is not None
    )
    if long_number or encoded.count(b"{") + encoded.count(b"[") > DEEPEST:
        value = _decoder.decode(encoded)
        if long_number or _is_deep(value, DEEPEST - depth):
            _name_offender(value, path, depth)


def _is_deep(value: Any, levels: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        inner: list[Any] = []
        for container in level:
            items = container.values() if isinstance(container, dict) else container
            inner += [item for item in items if isinstance(item, (dict, list))]
        level = inner
    return bool(level)


def decode_json(encoded: bytes | str) -> Any:
    """Return the value that JSON text holds; raises `msgspec.DecodeError` where it holds none."""
    return _decoder.decode(encoded)


def _name_offender(value: Any, path: str, depth: int = 0) -> None:
    if depth >= DEEPEST and isinstance(value, dict | list):
        raise InvalidData(path, f"nested too deeply: {DEEPEST} levels of lists and dicts are allowed")
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
    elif isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise InvalidData(path, "the integer does not fit into 64 bits")
    elif not isinstance(value, _PLAIN):
        raise InvalidData(path, f"a {type(value).__name__} would not come back from JSON as it is")


def _check_text(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidData(path, "the text holds a lone surrogate") from None
