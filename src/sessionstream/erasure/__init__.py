"""Erasing a user: all that is kept of the user's sessions goes, and what is left of them says that it was erased."""

from __future__ import annotations

from sessionstream.erasure.erasing import Erased, erase_user

__all__ = ["Erased", "erase_user"]
