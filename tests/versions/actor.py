"""A process of whichever version is on its path: it does what it reads, a JSON list a line, and answers in JSON.

It knows nothing but the package, and of that only what all versions have in common.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import sessionstream
from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import SessionStreamError

_deeds: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {}


def _deed(do: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    _deeds[do.__name__.strip("_")] = do
    return do


@_deed
async def _create(manager: SessionManager, session_id: str, **options: Any) -> Any:
    return (
        await manager.create_session("user_1", "assistant", {"by": "old"}, session_id=session_id, **options)
    ).version


@_deed
async def _append(manager: SessionManager, session_id: str, text: str, count: int = 1, **options: Any) -> list[Any]:
    """Return the offsets of as many notes, appended one by one."""
    return [(await manager.append(session_id, NoteAdded(text=f"{text} {n}"), **options)).offset for n in range(count)]


@_deed
async def _once(manager: SessionManager, session_id: str, text: str, key: str) -> list[Any]:
    appended = await manager.append(session_id, NoteAdded(text=text), idempotency_key=key)
    return [appended.offset, appended.duplicate]


@_deed
async def _read(manager: SessionManager, session_id: str) -> list[Any]:
    """Return the session's metadata, state and version, and each event with what of it is not text."""
    session = await manager.get_session(session_id)
    events = [[event.offset, event.type, event.id, event.raw.decode()] async for event in manager.history(session_id)]
    told = None if session is None else [session.metadata, session.state.value, session.version]
    return [told, await manager.messages(session_id), events]


@_deed
async def _kinds(manager: SessionManager, session_id: str) -> list[str]:
    """Return what this version makes of the data of each event."""
    return [type(event.data).__name__ async for event in manager.history(session_id)]


@_deed
async def _save(manager: SessionManager, session_id: str, data: Any) -> str:
    return await manager.save_checkpoint(session_id, data)


@_deed
async def _resume(manager: SessionManager, session_id: str) -> list[Any]:
    resumed = await manager.resume(session_id)
    data = None if resumed.checkpoint is None else resumed.checkpoint.data
    return [data, [event.offset for event in resumed.events]]


@_deed
async def _metadata(manager: SessionManager, session_id: str, changes: dict[str, Any]) -> None:
    await manager.update_session_metadata(session_id, changes)


@_deed
async def _locked(manager: SessionManager, session_id: str, text: str, rounds: int) -> int:
    """Add to a counter under the lock, so many times, each time what was read plus one."""
    for _ in range(rounds):
        async with manager.lock(session_id, timeout=30):
            session = await manager.get_session(session_id)
            assert session is not None
            await manager.update_session_metadata(session_id, {text: session.metadata.get(text, 0) + 1})
    return rounds


@_deed
async def _follow(manager: SessionManager, session_id: str, count: int) -> list[str]:
    """Return the offsets of the next events, once it has said that it follows."""
    found: list[str] = []
    async with manager.follow(session_id, after="now") as events:
        print(json.dumps("following"), flush=True)
        async for event in events:
            found.append(event.offset)
            if len(found) == count:
                break
    return found


@_deed
async def _cursor(manager: SessionManager, after: str | None, count: int) -> list[Any]:
    """Return the next events of all sessions behind a cursor, and the cursor behind them."""
    found: list[Any] = []
    async with manager.follow_all(after=after) as events:
        async for event in events:
            found.append([event.session_id, event.offset])
            if len(found) == count:
                return [found, str(events.cursor)]
    raise AssertionError("unreachable")


@_deed
async def _consume(manager: SessionManager, group: str, count: int) -> list[Any]:
    """Return what it was given as a member of a group, until the group had handled so many in all."""
    found: list[Any] = []

    async def handle(item: Any) -> None:
        found.append([item.session_id, item.event.offset])

    async with manager.consumers.join(group, handle):
        while (await manager.consumers.status(group)).count("handled") < count:
            await asyncio.sleep(0.01)
    return found


@_deed
async def _seal(manager: SessionManager, session_id: str, anchor: str) -> None:
    await manager.audit.seal(session_id)
    async for _ in manager.audit.seal_all(anchor=Path(anchor)):
        pass


@_deed
async def _evidence(manager: SessionManager, session_id: str, path: str) -> None:
    await manager.audit.evidence(session_id, Path(path))


@_deed
async def _verify(manager: SessionManager, session_id: str, anchor: str | None) -> list[Any]:
    verified = await manager.audit.verify(session_id, anchor=Path(anchor) if anchor else None)
    return [verified.ok, not verified.unproven, [str(one) for one in verified.findings]]


@_deed
async def _trim(manager: SessionManager, session_id: str, folder: str) -> None:
    await manager.retention.trim(session_id, Path(folder), keep_events=2)


@_deed
async def _replay(manager: SessionManager, session_id: str, folder: str) -> list[str]:
    return [event.offset async for event in manager.retention.replay(session_id, Path(folder))]


@_deed
async def _export(manager: SessionManager, session_id: str) -> list[str]:
    from sessionstream.transfer import export_events

    return [line.decode() async for line in export_events(manager.store, [session_id])]


@_deed
async def _restore(manager: SessionManager, *lines: str) -> list[Any]:
    from sessionstream.transfer import import_events

    restored = await import_events(manager.store, [line.encode() for line in lines])
    return [restored.created, restored.unchanged, [str(one) for one in restored.failures]]


@_deed
async def _rebuild(manager: SessionManager) -> None:
    await manager.rebuild()


async def _answer(manager: SessionManager, word: str, given: list[Any]) -> Any:
    options = given.pop() if given and isinstance(given[-1], dict) and word in ("create", "append") else {}
    try:
        return await _deeds[word](manager, *given, **options)
    except SessionStreamError as error:
        return {"refused": [type(error).__name__, str(error)]}


async def _main() -> None:
    print(json.dumps(sessionstream.__file__), flush=True)
    async with SessionManager.open(**json.loads(sys.argv[1])) as manager:
        while line := await asyncio.to_thread(sys.stdin.readline):
            word, *given = json.loads(line)
            print(json.dumps(await _answer(manager, word, given)), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
