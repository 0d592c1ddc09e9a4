"""Rules of one's own: places, names, patterns, a function; all of them, and none (G37)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sessionstream import NoteAdded, Redaction, SessionManager, ToolCalled, acting
from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.settings import settings_from

Open = Callable[..., SessionManager]
Last = Callable[[str], Awaitable[Any]]


@pytest.mark.parametrize("off", [False, None])
async def test_redaction_can_be_turned_off(open_manager: Open, session_id: str, last_of: Last, off: Any) -> None:
    """Then what is given is stored."""
    free = open_manager(redact=off)
    await free.append(session_id, NoteAdded(text="x", detail={"password": "p"}))
    assert (await last_of(session_id)).detail == {"password": "p"}


@pytest.mark.parametrize(("word", "value"), [("false", False), ("true", True), ("0", False), ("off", False)])
def test_the_environment_turns_it_off(monkeypatch: pytest.MonkeyPatch, word: str, value: bool) -> None:
    """As for every other setting."""
    monkeypatch.setenv("SESSIONSTREAM_REDACT", word)
    assert settings_from().redact is value
    assert settings_from(redact=True).redact is True


async def test_a_place_is_named_by_its_path(open_manager: Open, session_id: str, last_of: Last) -> None:
    """From the event type's name, the metadata or the checkpoint on; a star is any one step, in lists too."""
    rules = Redaction(
        names=(),
        paths=["tool.called.arguments.cards.*.number", "metadata.phone", "checkpoint.*.ssn", "note.added.text"],
    )
    manager = open_manager(redact=rules)
    arguments = {"cards": [{"number": 4111, "name": "x"}], "number": 1}
    await manager.append(session_id, ToolCalled(name="pay", arguments=arguments))
    mark = "[redacted: tool.called.arguments.cards.*.number]"
    assert (await last_of(session_id)).arguments == {"cards": [{"number": mark, "name": "x"}], "number": 1}
    await manager.append(session_id, ToolCalled(name="pay", arguments='{"cards":[{"number":4111}]}'))
    assert (await last_of(session_id)).arguments == f'{{"cards":[{{"number":"{mark}"}}]}}'
    await manager.update_session_metadata(session_id, {"phone": "1", "a": {"phone": "2"}})
    await manager.save_checkpoint(session_id, {"a": {"ssn": "3", "b": {"ssn": "4"}}})
    await manager.append(session_id, NoteAdded(text="5"))
    assert (await last_of(session_id)).text == "[redacted: note.added.text]"
    resumed = await manager.audit.as_of(session_id, 4)
    assert resumed.metadata == {"phone": "[redacted: metadata.phone]", "a": {"phone": "2"}}
    checkpoint = await manager.get_latest_checkpoint(session_id)
    assert checkpoint is not None
    assert checkpoint.data == {"a": {"ssn": "[redacted: checkpoint.*.ssn]", "b": {"ssn": "4"}}}


async def test_a_pattern_is_taken_out_of_every_text(open_manager: Open, session_id: str, last_of: Last) -> None:
    """Of typed fields, of who did it, of labels and reasons; with the name that it was given."""
    manager = open_manager(redact=Redaction(patterns={"mail": r"[\w.]+@[\w.]+", "card": re.compile(r"\b\d{16}\b")}))
    with acting(actor="ann@example.com"):
        await manager.append(session_id, NoteAdded(text="ask ann@example.com for 4111111111111111"))
    assert (await last_of(session_id)).text == "ask [redacted: mail] for [redacted: card]"
    assert [event.actor async for event in manager.history(session_id)][-1] == "[redacted: mail]"
    await manager.save_checkpoint(session_id, {"token": "t", "m": "b@c.d"}, label="for b@c.d")
    checkpoint = await manager.get_latest_checkpoint(session_id)
    assert checkpoint is not None
    assert checkpoint.label == "for [redacted: mail]"
    assert checkpoint.data == {"token": "[redacted: token]", "m": "[redacted: mail]"}
    await manager.retention.hold(session_id, "asked by b@c.d")
    [hold] = await manager.retention.holds(session_id)
    assert hold.reason == "asked by [redacted: mail]"


async def test_patterns_without_names_are_numbered(open_manager: Open, session_id: str, last_of: Last) -> None:
    """So that the mark tells which it was; no pattern reaches into a mark, and one that matches nothing adds none."""
    manager = open_manager(redact=Redaction(patterns=["b+", "a*", "e"]))
    await manager.append(session_id, NoteAdded(text="xbbx"))
    assert (await last_of(session_id)).text == "x[redacted: pattern 1]x"


async def test_a_function_is_given_every_text_and_its_path(open_manager: Open, session_id: str, last_of: Last) -> None:
    """What it returns is stored."""
    given: list[tuple[str, str]] = []

    def shout(path: str, text: str) -> str:
        given.append((path, text))
        return text.upper() if path.endswith(".loud") else text

    manager = open_manager(redact=Redaction(function=shout))
    await manager.append(session_id, NoteAdded(text="x", detail={"loud": "y", "list": ["z", 1]}))
    assert given == [("note.added.text", "x"), ("note.added.detail.loud", "y"), ("note.added.detail.list.0", "z")]
    assert (await last_of(session_id)).detail == {"loud": "Y", "list": ["z", 1]}


async def test_a_function_that_gives_no_text_refuses_the_event(open_manager: Open, session_id: str) -> None:
    """With the path, and nothing is written; what it raises goes on as it is."""
    manager = open_manager(redact=Redaction(function=lambda path, text: None))  # type: ignore[arg-type,return-value]
    with pytest.raises(InvalidType, match=r"NoneType for note\.added\.text"):
        await manager.append(session_id, NoteAdded(text="x"))
    broken = open_manager(redact=Redaction(function=lambda path, text: str(1 // 0)))
    with pytest.raises(ZeroDivisionError):
        await broken.append(session_id, NoteAdded(text="x"))
    assert [event.version async for event in manager.history(session_id)] == [1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": "password"},
        {"names": [1]},
        {"names": ["__"]},
        {"keep": 5},
        {"paths": ["a..b"]},
        {"paths": [""]},
        {"patterns": "x"},
        {"patterns": ["("]},
        {"patterns": [re.compile(b"x")]},
        {"patterns": {1: "x"}},
        {"function": "x"},
    ],
)
def test_malformed_rules_are_refused_when_they_are_made(wrong: dict[str, Any]) -> None:
    """With the argument's name."""
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        Redaction(**wrong)


def test_another_setting_is_refused() -> None:
    """A list of names alone is no rule."""
    with pytest.raises(InvalidArgument, match="redact"):
        settings_from(redact=["password"])
