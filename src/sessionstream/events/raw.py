"""Bytes as JSON holds them."""

from __future__ import annotations

import base64
from typing import Any

__all__ = ["bytes_of", "text_of"]


def text_of(raw: bytes) -> Any:
    """Return bytes as JSON holds them: text, or ``{"base64": …}`` where they are no UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def bytes_of(text: Any) -> bytes:
    """Return the bytes that JSON holds as `text_of` gave them."""
    return text.encode() if isinstance(text, str) else base64.b64decode(text["base64"], validate=True)
