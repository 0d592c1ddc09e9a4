"""google-adk: ``DatabaseSessionService.append_event`` on a SQLite file, with the settings that it comes with.

But one: a task waits for the file's lock for a minute. With SQLite's own 5 seconds, some of 64 tasks fail instead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from google.adk.events import Event
from google.adk.sessions import DatabaseSessionService
from google.genai.types import Content, Part

from benchmarks.payloads import Payload

__all__ = ["opened"]


@asynccontextmanager
async def opened(folder: Path, url: str, sessions: int) -> AsyncIterator[Callable[[int, Payload], Awaitable[object]]]:
    """Open sessions of one service, and give the function that appends a message to one as an event's text."""
    service = DatabaseSessionService(f"sqlite+aiosqlite:///{folder / 'adk.db'}", connect_args={"timeout": 60})
    running = [await service.create_session(app_name="bench", user_id=f"user{number}") for number in range(sessions)]

    async def append(number: int, payload: Payload) -> object:
        content = Content(role="user", parts=[Part(text=str(payload.fields["data"], "utf-8"))])
        event = Event(author="user", invocation_id="invocation", content=content)
        return await service.append_event(running[number], event)

    yield append
    await service.close()
