"""Lines as recorded sessions have them, and what is in a store afterwards."""

from __future__ import annotations

import json
from typing import Any

from sessionstream.log.store import Store
from sessionstream.transfer import export_events, export_messages

__all__ = ["everything", "line", "said", "sessions_of"]


def said(*texts: str) -> list[dict[str, Any]]:
    """Return chat messages, of the user and the assistant by turns."""
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def line(*texts: str, **keys: Any) -> bytes:
    """Return the JSON line of a session in which these texts were said, with more keys."""
    return json.dumps({**keys, "messages": said(*texts)}).encode() + b"\n"


async def sessions_of(store: Store, **options: Any) -> list[dict[str, Any]]:
    """Return every session as an export has it."""
    return [json.loads(one) async for one in export_messages(store, **options)]


async def everything(store: Store) -> list[dict[str, Any]]:
    """Return every event as an export has it."""
    return [json.loads(one) async for one in export_events(store)]
