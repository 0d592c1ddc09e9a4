"""What a check found, and asking a server that may not want to tell."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from sessionstream.errors import AuthenticationFailed, ServerError
from sessionstream.log.store import Store

__all__ = ["Finding", "Level", "ask", "info"]


class Level(enum.StrEnum):
    """How much a finding matters."""

    FINE = "fine"
    NOTE = "note"
    UNCHECKED = "unchecked"
    ATTENTION = "attention"


class Finding(NamedTuple):
    """One thing that a check found.

    Attributes:
        topic: under which heading it belongs.
        name: what was looked at.
        value: what was found.
        level: how much it matters.
        advice: what to do, or what follows from it.
    """

    topic: str
    name: str
    value: str
    level: Level = Level.FINE
    advice: str = ""


async def ask(store: Store, *words: str | int) -> Any:
    """Return the reply to a command, or None where the server does not know it or does not permit it."""
    try:
        return await store.server.call(*words)
    except (AuthenticationFailed, ServerError):
        return None


async def info(store: Store, section: str) -> dict[str, str]:
    """Return what ``INFO`` says in one section, nothing where it is not permitted."""
    text = await ask(store, "INFO", section)
    lines = text.decode(errors="replace").splitlines() if isinstance(text, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line)
