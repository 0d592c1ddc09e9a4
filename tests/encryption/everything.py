"""A session in which one text is said wherever somebody can say something, and the search for it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

import sessionstream
from sessionstream import Item, MessageAdded, NoteAdded, Projection, SessionManager, ToolCalled, acting
from sessionstream.projection import OFFSET, Operation, Put, Replace, view

__all__ = ["NOTED", "TEXT", "found_in_files", "found_in_redis", "noted", "say_everything"]

TEXT = "xylophone-4711"
"""What nobody is to find."""

NOTED = view("noted")
noted = Projection("noted")


@sessionstream.event("encryption.said", version=2, upcasters={1: lambda fields: {**fields, "more": ""}})
class Said(sessionstream.Event, frozen=True, kw_only=True):
    """An event of a user's own."""

    text: str
    more: str


@noted.on(NoteAdded)
def note(session_id: str, event: NoteAdded) -> Iterable[Operation]:
    """A user's own view: what was noted last, since when, and by its first letter."""
    yield Put(NOTED, {"last": event.text, "count": 1, "since": OFFSET + f" {event.text}", "raw": event.text.encode()})
    yield Replace(NOTED, "by:", {event.text[:1]: event.text})


async def say_everything(manager: SessionManager, session_id: str, user_id: str = "user_1") -> None:
    """Say the text in every field that takes one; the manager runs the projection `noted`."""
    with acting(actor=f"actor {TEXT}", correlation_id=f"correlation {TEXT}"):
        await manager.create_session(
            user_id, "agent_1", {"note": TEXT, "deep": {"list": [TEXT]}}, session_id=session_id, idempotency_key="once"
        )
        await manager.update_session_metadata(session_id, {"note": f"{TEXT} again"})
        await manager.append(session_id, MessageAdded(role="user", content=TEXT), idempotency_key="say")
        await manager.append(
            session_id,
            [NoteAdded(text=TEXT), ToolCalled(call_id="t1", name=f"tool {TEXT}", arguments=f"{{{TEXT}}}")],
        )
    await manager.append(session_id, [NoteAdded(text=TEXT), Said(text=TEXT, more=TEXT)])
    await manager.save_checkpoint(session_id, {"memory": [TEXT]}, label=f"label {TEXT}", checkpoint_id="one")
    await manager.retention.hold(session_id, f"because of {TEXT}", hold_id="held")
    await manager.publish(session_id, {"delta": TEXT})
    await _consume(manager)


async def _consume(manager: SessionManager) -> None:
    """Have a group of its own views handle everything, and park what says it."""

    async def handle(item: Item) -> None:
        if isinstance(item.data, NoteAdded):
            item.apply(Put(NOTED, {"last": item.data.text}))
        elif isinstance(item.data, MessageAdded):
            raise ValueError(f"what was said is {TEXT}")

    options: dict[str, Any] = {"attempts": 2, "backoff": 0.001, "on_parked": "continue"}
    async with manager.consumers.join("group", handle, **options) as consumer:
        await _parked(manager, consumer)


async def _parked(manager: SessionManager, consumer: Any) -> None:
    running = asyncio.ensure_future(consumer.run())
    try:
        async with asyncio.timeout(20):
            while not (await manager.consumers.parked("group")) or (await manager.consumers.status("group")).lag:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def found_in_redis(client: Redis, text: str = TEXT) -> list[str]:
    """Return which keys hold a text: in what they give, in how they are stored, and in what is compressed in them."""
    found = []
    async for key in client.scan_iter(count=1000):
        dumped = await client.dump(key)
        values = [value async for value in _values(client, key)]
        blobs = [key, dumped, *values, *(unpacked for value in values for unpacked in _unpacked(value))]
        if any(text.encode() in (blob or b"") for blob in blobs):
            found.append(key.decode(errors="backslashreplace"))
    return found


async def _values(client: Redis, key: bytes) -> AsyncIterator[bytes]:
    match await client.type(key):
        case b"hash":
            for field, value in (await client.hgetall(key)).items():
                yield field
                yield value
        case b"stream":
            for _, fields in await client.xrange(key):
                for field, value in fields.items():
                    yield field
                    yield value
        case b"zset":
            for member in await client.zrange(key, 0, -1):
                yield member
        case b"list":
            for value in await client.lrange(key, 0, -1):
                yield value
        case b"string":
            yield await client.get(key)


def _unpacked(value: bytes) -> list[bytes]:
    """Return what is compressed in a value: a base snapshot is, behind its digest."""
    found = []
    for packed in (value, value[32:]):
        with contextlib.suppress(zlib.error):
            found.append(zlib.decompress(packed))
    return found


def found_in_files(folder: Path, text: str = TEXT) -> list[str]:
    """Return which files below a folder hold a text, compressed ones too."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            with contextlib.suppress(OSError, EOFError):
                raw += gzip.decompress(raw)
            if text.encode() in raw:
                found.append(str(path.relative_to(folder)))
    return found
