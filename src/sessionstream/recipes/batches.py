"""Many sessions created or deleted in one call; the store sends what is under way together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.events.ids import checked_id
from sessionstream.lifecycle.creating import checked_metadata
from sessionstream.manager import SessionManager
from sessionstream.session import Session

__all__ = ["batch_create_sessions", "batch_delete_sessions", "each"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_REQUIRED = ("user_id", "agent_id")
_OPTIONS = ("metadata", "session_id", "ttl", "idempotency_key")
_AT_ONCE = 256


async def batch_create_sessions(manager: SessionManager, users_data: Iterable[Mapping[str, Any]]) -> list[Session]:
    """Create a session for each row and return them in the rows' order.

    Args:
        manager: where to.
        users_data: mappings with ``user_id`` and ``agent_id``; ``metadata``, ``session_id``, ``ttl`` and
            ``idempotency_key`` are those of ``create_session``; other keys are passed over.

    Raises:
        InvalidArgument: a row is malformed; no session was created.
        SessionStreamError: the first failure, after all other rows were tried.
    """
    rows = [_arguments(number, data) for number, data in enumerate(users_data)]
    return await each(rows, lambda row: manager.create_session(**row))


async def batch_delete_sessions(manager: SessionManager, session_ids: Iterable[str]) -> int:
    """Delete sessions and return how many this call ended; unknown and ended ones do not count.

    Raises:
        InvalidType: ``session_ids`` is one string.
        SessionStreamError: the first failure, after all other sessions were tried.
    """
    if isinstance(session_ids, str):
        raise InvalidType("session_ids is a list of ids, not one string")
    return sum(await each(list(dict.fromkeys(session_ids)), manager.delete_session))


def _arguments(number: int, data: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InvalidType(f"users_data[{number}] is a mapping, not a {type(data).__name__}")
    for name in _REQUIRED:
        if name not in data:
            raise InvalidArgument(f"users_data[{number}]: {name} is missing")
        checked_id(data[name], f"users_data[{number}].{name}")
    row = {name: data[name] for name in (*_REQUIRED, *_OPTIONS) if name in data}
    return {**row, "metadata": checked_metadata(row.get("metadata"))}


async def each(items: list[Item], work: Callable[[Item], Awaitable[Result]]) -> list[Result]:
    """Do the work for every item, many at once, and return the results in the items' order.

    Raises:
        BaseException: the first failure, after the work was done for all other items.
    """
    outcomes: list[Result | BaseException] = []
    for start in range(0, len(items), _AT_ONCE):
        page = items[start : start + _AT_ONCE]
        outcomes += await asyncio.gather(*(work(item) for item in page), return_exceptions=True)
    results = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results
