"""Errors: nothing of the library keeps one that was told, nor what it knows."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import SessionStreamError
from tests.servers import Server


@pytest.mark.parametrize("is_there", [True, False], ids=["an unknown session", "a server that went away"])
async def test_an_error_goes_with_those_who_were_told(
    make_server: Callable[..., Server], namespace: str, is_there: bool
) -> None:
    """Of one append, and of many that travelled together."""
    server, told = make_server(), list[weakref.ref[BaseException]]()

    async def append(session_id: str) -> None:
        try:
            await manager.append(session_id, NoteAdded(text="x"))
        except SessionStreamError as error:
            told.append(weakref.ref(error))

    async with SessionManager(url=server.unix_url, namespace=namespace, deadline=0.2) as manager:
        await manager.create_session("user_1", "assistant")
        if not is_there:
            server.stop()
        await append("unknown")
        await asyncio.gather(*(append(f"unknown {number}") for number in range(20)))
    gc.collect()
    assert len(told) == 21
    assert [ref() for ref in told if ref() is not None] == []
