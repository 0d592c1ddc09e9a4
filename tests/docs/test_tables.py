"""The tables of the documents are what the code has: none lacks a row, none has one too many, none says otherwise."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

from sessionstream import Settings, errors, recipes
from sessionstream.audit import Audit
from sessionstream.consumers import Consumers
from sessionstream.encryption.door import KeyRotation
from sessionstream.events import lifecycle, runtime
from sessionstream.events.base import Event, type_of
from sessionstream.manager import SessionManager
from sessionstream.retention import Retention
from tests.docs.pages import blocks, page, rows, section


def signature(name: str, method: Any) -> str:
    """Return how a method is called, as the README writes it."""
    parameters = list(inspect.signature(method).parameters.values())
    words, starred = [], False
    for one in parameters:
        if one.name in ("self", "cls"):
            continue
        if one.kind is one.KEYWORD_ONLY and not starred:
            words.append("*")
            starred = True
        stars = "*" if one.kind is one.VAR_POSITIONAL else "**" if one.kind is one.VAR_KEYWORD else ""
        default = "" if one.default is one.empty else "=…" if one.default is ... else f"={one.default!r}"
        words.append(f"{stars}{one.name}{default}")
    return f"`{name}({', '.join(words)})`"


def public_methods(cls: type) -> dict[str, Any]:
    """Return the methods of a class that callers may call."""
    return {name: method for name, method in inspect.getmembers(cls, callable) if not name.startswith("_")}


def test_the_readme_lists_every_public_method_as_it_is_called() -> None:
    """A row for each method of the manager and of the parts that hang on it, with its arguments and defaults."""
    listed = [row[0] for row in rows(section(page("README.md"), "The API")) if row[0].startswith("`")]
    methods = public_methods(SessionManager)
    parts = {"audit": Audit, "consumers": Consumers, "encryption": KeyRotation, "retention": Retention}
    for name, part in parts.items():
        methods |= {f"{name}.{method}": one for method, one in public_methods(part).items()}
    assert sorted(listed) == sorted(signature(name, method) for name, method in methods.items())


def test_the_reference_lists_every_event_type_with_its_fields() -> None:
    """Class, stored name and fields of each built-in type."""
    listed = [row[:3] for row in rows(section(page("docs/api.md"), "Events")) if row[0].startswith("`")]
    types = [getattr(module, name) for module in (runtime, lifecycle) for name in module.__all__]
    assert sorted(listed) == sorted(
        [f"`{cls.__name__}`", f"`{name_of(cls)}`", ", ".join(f"`{name}`" for name in cls.__struct_fields__)]
        for cls in types
    )


def name_of(cls: type[Event]) -> str:
    """Return the name under which the events of a built-in type are stored."""
    needed = {"str": "", "int": 0}
    given: dict[str, Any] = {
        field.name: needed[str(getattr(field.type, "__name__", field.type))]
        for field in msgspec.structs.fields(cls)
        if field.required
    }
    return type_of(cls(**given)).name


def test_the_reference_lists_every_setting() -> None:
    """Name, environment variable and default of each."""
    listed = [row[:3] for row in rows(section(page("docs/api.md"), "Settings"))]
    assert listed == [
        [f"`{name}`", f"`SESSIONSTREAM_{name.upper()}`", f"`{field.default!r}`"]
        for name, field in Settings.model_fields.items()
    ]


def test_the_reference_lists_every_recipe() -> None:
    """All that the room of the recipes gives to the outside."""
    listed = [row[0] for row in rows(section(page("docs/api.md"), "Recipes"))]
    assert sorted(listed) == sorted(f"`{name}`" for name in recipes.__all__)


def drawn(tree: str) -> dict[str, tuple[str, list[str]]]:
    """Return each error of a drawn tree, with its parent and the built-in exceptions that it is drawn to be."""
    found: dict[str, tuple[str, list[str]]] = {}
    above: list[str] = []
    for line in tree.splitlines():
        name = re.search(r"[A-Z]\w+", line)
        if not name or line.strip("│├└─ ")[: len(name[0])] != name[0]:
            continue
        depth = len(line[: name.start()].replace("    ", "│   ")) // 4
        built_in = re.match(r" \(([\w, ]+)\)", line[name.end() :])
        above[depth:] = [name[0]]
        found[name[0]] = (above[depth - 1] if depth else "", built_in[1].split(", ") if built_in else [])
    return found


def declared() -> dict[str, tuple[str, list[str]]]:
    """Return each error of the package, with its parent and the built-in exceptions that it also is."""
    found = {}
    for name in errors.__all__:
        bases = getattr(errors, name).__bases__
        ours = [base.__name__ for base in bases if base.__module__.startswith(errors.__name__)]
        found[name] = (ours[0] if ours else "", [base.__name__ for base in bases if base.__module__ == "builtins"])
    found["SessionStreamError"] = ("", [])
    return found


def test_the_reference_draws_the_tree_of_errors() -> None:
    """Every error under its parent, with the built-in exceptions that it also is."""
    [tree] = blocks(section(page("docs/api.md"), "Errors"), "")
    assert drawn(tree) == declared()


def test_the_module_of_the_errors_draws_the_same_tree() -> None:
    """The docstring that one reads in the source."""
    assert errors.__doc__ is not None
    assert drawn("\n".join(line[4:] for line in errors.__doc__.splitlines())) == declared()
