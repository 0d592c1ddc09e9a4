"""The root of all errors."""

from __future__ import annotations

__all__ = [
    "SessionStreamError",
]


class SessionStreamError(Exception):
    """The root of every error that this library raises."""
