"""What is no id is refused by every method that takes one, with nothing written."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from sessionstream import MessageAdded, SessionManager
from sessionstream.errors import InvalidArgument, InvalidType
from tests.sessions.conftest import Dump

_METHODS: dict[str, list[Any]] = {
    "get_session": [],
    "session_exists": [],
    "get_session_state": [],
    "refresh_session": [],
    "delete_session": [],
    "delete_user_sessions": [],
    "delete_agent_sessions": [],
    "get_sessions_by_user": [],
    "get_active_session_count": [],
    "get_latest_checkpoint": [],
    "list_checkpoints": [],
    "clear_checkpoints": [],
    "resume": [],
    "messages": [],
    "update_session_metadata": [{"a": 1}],
    "set_session_state": ["idle"],
    "save_checkpoint": [{}],
    "append": [MessageAdded(role="user", content="Hi")],
    "get_checkpoint": ["ckpt_1"],
    "delete_checkpoint": ["ckpt_1"],
}
_BAD: dict[str, tuple[Any, type[Exception]]] = {
    "empty": ("", InvalidArgument),
    "long": ("a" * 513, InvalidArgument),
    "long in bytes": ("é" * 257, InvalidArgument),
    "surrogate": ("\ud800", InvalidArgument),
    "bytes": (b"sess_1", InvalidType),
    "number": (7, InvalidType),
    "list": (["sess_1"], InvalidType),
    "nothing": (None, InvalidType),
}


@pytest.mark.parametrize(("method", "kind"), list(itertools.product(_METHODS, _BAD)))
async def test_what_is_no_id_is_refused(manager: SessionManager, dump: Dump, method: str, kind: str) -> None:
    """By every method that takes one, with nothing written."""
    identifier, error = _BAD[kind]
    if (method, identifier) == ("get_active_session_count", None):
        assert await manager.get_active_session_count(None) == 0
        return
    with pytest.raises(error) as caught:
        await getattr(manager, method)(identifier, *_METHODS[method])
    assert isinstance(caught.value, ValueError)
    assert await dump() == {}


@pytest.mark.parametrize(("name", "kind"), list(itertools.product(["user_id", "agent_id", "session_id"], _BAD)))
async def test_a_session_needs_ids_that_are_ids(manager: SessionManager, dump: Dump, name: str, kind: str) -> None:
    """The error names the argument, and nothing is written."""
    identifier, error = _BAD[kind]
    arguments: dict[str, Any] = {"user_id": "user_1", "agent_id": "agent_1", name: identifier}
    if (name, identifier) == ("session_id", None):
        assert (await manager.create_session(**arguments)).session_id.startswith("sess_")
        return
    with pytest.raises(error, match=name):
        await manager.create_session(**arguments)
    assert await dump() == {}


@pytest.mark.parametrize("kind", [kind for kind in _BAD if kind != "nothing"])
async def test_a_checkpoint_needs_an_id_that_is_one(manager: SessionManager, dump: Dump, kind: str) -> None:
    """Where it is given, and where one is looked for."""
    identifier, error = _BAD[kind]
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    before = await dump()
    for call in (
        manager.save_checkpoint("sess_1", {}, checkpoint_id=identifier),
        manager.get_checkpoint("sess_1", identifier),
        manager.delete_checkpoint("sess_1", identifier),
        manager.list_checkpoints("sess_1", after=identifier),
        manager.append("sess_1", MessageAdded(role="user", content="Hi"), idempotency_key=identifier),
    ):
        with pytest.raises(error):
            await call
    assert await dump() == before
