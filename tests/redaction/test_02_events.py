"""Secrets are taken out of events of every type before they are encoded (G37)."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pydantic
import pytest

from sessionstream import MessageAdded, NoteAdded, SessionManager, ToolCalled, ToolReturned, event
from sessionstream.errors import InvalidArgument, InvalidData
from tests.redaction.conftest import MARK, SECRET, Search

Last = Callable[[str], Awaitable[Any]]


class Login(msgspec.Struct, frozen=True):
    """Part of an event."""

    user: str
    password: str


@event("redacted.struct")
class Struct(msgspec.Struct, frozen=True):
    """A type whose fields have types."""

    login: Login
    logins: list[Login] = []
    count: int = 0


@event("redacted.named")
class Named(msgspec.Struct, frozen=True, rename="camel"):
    """A type with a field that is a secret by its name in JSON."""

    api_key: str
    note: str = ""


@event("redacted.model")
class Model(pydantic.BaseModel):
    """A type of pydantic's."""

    text: str
    headers: dict[str, str] = {}


@event("redacted.aliased")
class Aliased(pydantic.BaseModel):
    """One that is not read back as it is written."""

    text: str = pydantic.Field(alias="said")


@event("redacted.typed")
class Typed(msgspec.Struct, frozen=True):
    """A secret that has no place for a text."""

    pin: int | None = None
    password: int = 0


DEEP = {"a": [{"b": {"Password": SECRET, "kept": "x"}}]}
DEEP_MARKED = {"a": [{"b": {"Password": MARK, "kept": "x"}}]}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (MessageAdded(role="user", extra=DEEP), MessageAdded(role="user", extra=DEEP_MARKED)),
        (MessageAdded(role="user", content=[DEEP]), MessageAdded(role="user", content=[DEEP_MARKED])),
        (ToolCalled(name="t", arguments=DEEP), ToolCalled(name="t", arguments=DEEP_MARKED)),
        (ToolReturned(name="t", result=DEEP), ToolReturned(name="t", result=DEEP_MARKED)),
        (ToolReturned(name="t", result=DEEP, duration_ms=1), ToolReturned(name="t", result=DEEP_MARKED, duration_ms=1)),
        (NoteAdded(text="x", detail=DEEP), NoteAdded(text="x", detail=DEEP_MARKED)),
        (
            Struct(Login("u", SECRET), [Login("v", SECRET)], 3),
            Struct(Login("u", MARK), [Login("v", MARK)], 3),
        ),
        (Named(SECRET, "x"), Named("[redacted: api_key]", "x")),
        (
            Model(text="x", headers={"Authorization": SECRET, "Accept": "a/b"}),
            Model(text="x", headers={"Authorization": "[redacted: authorization]", "Accept": "a/b"}),
        ),
    ],
)
async def test_a_secret_of_an_event_is_replaced_by_a_mark(
    manager: SessionManager, session_id: str, last_of: Last, keys_with: Search, given: Any, stored: Any
) -> None:
    """The event is as given otherwise, what the caller has stays as it is, and nothing in Redis has the secret."""
    before = copy.deepcopy(given)
    await manager.append(session_id, given)
    assert await last_of(session_id) == stored
    assert given == before
    await manager.append(session_id, [NoteAdded(text="x"), given], expected_version=2)
    assert await last_of(session_id) == stored
    assert await keys_with(SECRET) == []


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (f'{{"password":"{SECRET}","n":1.0}}', f'{{"password":"{MARK}","n":1.0}}'),
        (f' \n{{"a": [{{"pass\\u0077ord": "{SECRET}"}}]}}', f'{{"a":[{{"password":"{MARK}"}}]}}'),
        (f'[{{"password" : "{SECRET}"}}]', f'[{{"password":"{MARK}"}}]'),
        (f'{{"in": "{{\\"password\\": \\"{SECRET}\\"}}"}}', f'{{"in":"{{\\"password\\":\\"{MARK}\\"}}"}}'),
        (f'{{"password": "{SECRET}", "cut": "of', f'{{"password": "{MARK}", "cut": "of'),
        (f'{{"password": "{SECRET}', f'{{"password": "{MARK}"'),
        (f'{{"password": ["{SECRET}", {{"n": "{SECRET}"}}], "c', f'{{"password": ["{MARK}", {{"n": "{MARK}"}}], "c'),
        (f'{{"pass\\u0077ord": "{SECRET}", "cut": "of', f'{{"pass\\u0077ord": "{MARK}", "cut": "of'),
        (f'{{"in": "{{\\"password\\": \\"{SECRET}\\"}}", "c', f'{{"in": "{{\\"password\\":\\"{MARK}\\"}}", "c'),
        (f'{{"in": "{{\\"password\\": \\"{SECRET}', f'{{"in": "{{\\"password\\": \\"{MARK}\\""'),
        (f'{{"password": "{SECRET}", "password": null}}', f'{{"password": "{MARK}", "password": null}}'),
        (f'{{"a": {{"password": "{SECRET}"}}, "a": 1}}', f'{{"a": {{"password": "{MARK}"}}, "a": 1}}'),
    ],
)
async def test_the_json_in_a_tools_arguments_is_looked_into(
    manager: SessionManager, session_id: str, keys_with: Search, text: str, stored: str
) -> None:
    """As models give them: texts that hold JSON, also with JSON in it, also what was cut short."""
    call = {"id": "c", "type": "function", "function": {"name": "login", "arguments": text}}
    await manager.add_messages(session_id, {"role": "assistant", "content": None, "tool_calls": [call]})
    [message] = await manager.messages(session_id)
    assert message["tool_calls"][0]["function"] == {"name": "login", "arguments": stored}
    await manager.add_messages(session_id, {"role": "tool", "content": text, "tool_call_id": "c"})
    assert (await manager.messages(session_id))[1]["content"] == stored
    await manager.append(session_id, ToolCalled(name="login", arguments=text))
    assert await keys_with(SECRET) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"max_tokens": 5, "usage": {"completion_tokens": 1}}',
        '{ "password" : null, "token": true, "secret": "" }',
        '{"password": "[redacted: password]"}',
        '{"properties": {"password": {"type": "string", "description": "of the user"}}}',
        "[INFO] the password is checked",
        '{"a": 12345678901234567890123}',
        "no JSON",
        "{",
        "[" * 3_000,
    ],
)
async def test_a_text_without_a_secret_stays_as_it_is(manager: SessionManager, session_id: str, text: str) -> None:
    """To the last blank."""
    given = [{"role": "tool", "content": text}, {"role": "tool", "content": [{"text": text}]}]
    await manager.add_messages(session_id, given)
    assert await manager.messages(session_id) == given


async def test_what_tells_nothing_stays(manager: SessionManager, session_id: str, last_of: Last) -> None:
    """Counts of tokens, flags, nulls, empty values, schemas of tools, and what was redacted before."""
    detail = {
        "max_tokens": 5,
        "token_count": 7,
        "usage": {"completion_tokens": 3, "prompt_tokens": 4},
        "password": None,
        "token": False,
        "secret": "",
        "credentials": [],
        "api_key": "[redacted: api_key]",
        "parameters": {"properties": {"token": {"type": "string", "description": "of a session"}}},
    }
    await manager.append(session_id, NoteAdded(text="x", detail=detail))
    assert (await last_of(session_id)).detail == detail


async def test_all_in_a_secret_is_a_secret(manager: SessionManager, session_id: str, last_of: Last) -> None:
    """Numbers too; the form stays, so that types fit."""
    detail = {"credentials": {"user": "u", "codes": [1, 2.5, "x"], "set": True}, "password": 1234}
    await manager.append(session_id, NoteAdded(text="x", detail=detail))
    mark = "[redacted: credentials]"
    assert (await last_of(session_id)).detail == {
        "credentials": {"user": mark, "codes": [mark, mark, mark], "set": True},
        "password": MARK,
    }


async def test_a_type_without_a_place_for_the_mark_is_refused(manager: SessionManager, session_id: str) -> None:
    """With the path, without the value, and nothing is written."""
    with pytest.raises(InvalidData, match=r"redacted\.typed\.password.*'password'") as refused:
        await manager.append(session_id, [NoteAdded(text="x"), Typed(password=1234)])
    assert refused.value.path == "redacted.typed.password"
    assert "1234" not in str(refused.value)
    assert [event.version async for event in manager.history(session_id)] == [1]


async def test_what_is_refused_is_not_shown(manager: SessionManager, session_id: str) -> None:
    """An error may come into a log, or to somebody else."""
    with pytest.raises(InvalidArgument, match="said: Field required") as refused:
        await manager.append(session_id, Aliased(said=SECRET))
    assert SECRET not in str(refused.value)


async def test_the_limit_holds_for_what_is_stored(
    open_manager: Callable[..., SessionManager], manager: SessionManager, session_id: str, last_of: Last
) -> None:
    """A long secret that is taken out takes no room."""
    small = open_manager(max_event_bytes=100)
    await small.append(session_id, NoteAdded(text="x", detail={"password": "p" * 1_000}))
    assert (await last_of(session_id)).detail == {"password": MARK}


async def test_a_key_with_another_secret_gives_the_first_result(manager: SessionManager, session_id: str) -> None:
    """What is compared for an idempotency key is what is stored."""
    first = await manager.append(session_id, ToolCalled(name="t", arguments={"token": "1"}), idempotency_key="k")
    again = await manager.append(session_id, ToolCalled(name="t", arguments={"token": "2"}), idempotency_key="k")
    assert (again.duplicate, again.offset) == (True, first.offset)


async def test_what_is_stored_verifies(open_manager: Callable[..., SessionManager], session_id: str) -> None:
    """Seals are made of what is stored."""
    sealing = open_manager(seal_key="k" * 32)
    await sealing.append(session_id, NoteAdded(text="x", detail=DEEP))
    await sealing.audit.seal(session_id)
    assert (await sealing.audit.verify(session_id)).ok
