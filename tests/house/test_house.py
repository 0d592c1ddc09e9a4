"""Each house rule fails on a tree that breaks it: one fact a test."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "house.py"
ROOM = '"""A room."""\n'


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house_rules", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


house: Any = _load()


def function(lines: int, name: str = "f") -> str:
    """A documented function of so many lines."""
    return f'def {name}():\n    """Do it."""\n' + "    x = 1\n" * (lines - 2)


@pytest.fixture
def check(tmp_path: Path) -> Any:
    """Write a tree that keeps every rule but for the given files, and say what the rules find."""

    def write(files: dict[str, str], packages: tuple[str, ...] = ("sessionstream",)) -> list[str]:
        listed = ", ".join(f'"{package}"' for package in packages)
        base = {
            "pyproject.toml": f"[tool.setuptools]\npackages = [{listed}]\n",
            "src/sessionstream/__init__.py": ROOM,
            "src/sessionstream/errors.py": '"""Errors."""\n',
        }
        for path, text in {**base, **files}.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        return [str(violation) for violation in house.check(tmp_path)]

    return write


def test_a_tree_that_keeps_the_rules_has_no_violation(check: Any) -> None:
    """Nothing is found where nothing is wrong."""
    assert check({}) == []


def test_a_violation_ends_the_script_with_status_1(check: Any, tmp_path: Path) -> None:
    """Continuous integration sees a broken rule, and the place of it."""
    check({"src/sessionstream/errors.py": "x = 1\n"})
    result = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "src/sessionstream/errors.py:1: the module has no docstring" in result.stdout


def test_a_file_that_is_not_python_is_named(check: Any, tmp_path: Path) -> None:
    """A syntax error is a violation, not a crash of the script."""
    with pytest.raises(SyntaxError):
        check({"src/sessionstream/log.py": '"""Log."""\n)\n'})
    result = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=False)
    assert "src/sessionstream/log.py:2: not Python" in result.stdout


# Sizes


def test_a_file_has_at_most_400_lines(check: Any) -> None:
    """401 are one too many."""
    assert check({"src/sessionstream/log.py": ROOM + "x = 1\n" * 399}) == []
    assert check({"src/sessionstream/log.py": ROOM + "x = 1\n" * 400}) == [
        "src/sessionstream/log.py:1: 401 lines, at most 400 are allowed"
    ]


def test_half_of_all_files_have_at_most_180_lines(check: Any) -> None:
    """The median counts, so a few longer files are allowed."""
    long = ROOM + "x = 1\n" * 180
    assert check({"src/sessionstream/log.py": long}) == []
    three = {f"src/sessionstream/{name}.py": long for name in ("log", "locks", "manager")}
    assert check(three) == ["src/sessionstream/locks.py:1: the median file, with 181 lines; at most 180 are allowed"]


def test_a_lua_file_has_at_most_80_lines(check: Any) -> None:
    """A script does one thing."""
    assert check({"src/sessionstream/append.lua": "\n" * 80}) == []
    assert check({"src/sessionstream/append.lua": "\n" * 81}) == [
        "src/sessionstream/append.lua:1: 81 lines, a Lua file has at most 80"
    ]


def test_a_function_has_at_most_60_lines(check: Any) -> None:
    """61 are one too many, however many short functions stand beside it."""
    short = "".join(function(3, f"f{number}") for number in range(20))
    assert check({"src/sessionstream/log.py": ROOM + function(60) + short}) == []
    assert check({"src/sessionstream/log.py": ROOM + function(61) + short}) == [
        "src/sessionstream/log.py:2: f has 61 lines, at most 60 are allowed"
    ]


def test_nine_in_ten_functions_have_at_most_30_lines(check: Any) -> None:
    """One long function needs nine short ones."""
    short = [function(30, f"f{number}") for number in range(9)]
    assert check({"src/sessionstream/log.py": ROOM + function(31, "long") + "".join(short)}) == []
    assert check({"src/sessionstream/log.py": ROOM + function(31, "long") + "".join(short[:8])}) == [
        "src/sessionstream/log.py:2: long has 31 lines: 1 of 9 functions have more than 30; one in ten may"
    ]


# Docstrings


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("class A:\n    pass\n", ["2: A is public and has no docstring"]),
        ("def f():\n    pass\n", ["2: f is public and has no docstring"]),
        ("async def f():\n    pass\n", ["2: f is public and has no docstring"]),
        ("if x:\n    def f():\n        pass\n", ["3: f is public and has no docstring"]),
        ('class A:\n    """A."""\n    def f(self): ...\n', ["4: A.f is public and has no docstring"]),
        ('class A:\n    """A."""\n    class B:\n        pass\n', ["4: A.B is public and has no docstring"]),
        ("class _A:\n    def f(self): ...\n", []),
        ('class A:\n    """A."""\n    def __init__(self): ...\n    def _f(self): ...\n', []),
        ('class A:\n    """A."""\n    @overload\n    def f(self): ...\n', []),
        ('class A:\n    """A."""\n    @f.setter\n    def f(self, x): ...\n', []),
    ],
)
def test_every_public_name_has_a_docstring(check: Any, body: str, found: list[str]) -> None:
    """Classes, functions and methods; not private names, nor what is told elsewhere."""
    assert check({"src/sessionstream/log.py": ROOM + body}) == [f"src/sessionstream/log.py:{text}" for text in found]


def test_every_module_has_a_docstring(check: Any) -> None:
    """An empty file has none."""
    assert check({"src/sessionstream/log.py": ""}) == ["src/sessionstream/log.py:1: the module has no docstring"]


# Imports


def imports(unit: str, line: str) -> dict[str, str]:
    """A tree where one module holds one line of imports, and what it may name exists."""
    names = (
        "settings",
        "events",
        "session",
        "projection",
        "wire",
        "log",
        "locks",
        "audit",
        "manager",
        "recipes",
        "cli",
    )
    files = {f"src/sessionstream/{name}.py": ROOM for name in names}
    return {**files, f"src/sessionstream/{unit}.py": ROOM + line + "\n"}


@pytest.mark.parametrize(
    ("unit", "target"),
    [
        ("events", "projection"),
        ("projection", "log"),
        ("projection", "wire"),
        ("log", "locks"),
        ("locks", "manager"),
        ("manager", "recipes"),
        ("manager", "cli"),
        ("settings", "events"),
        ("errors", "settings"),
        ("wire", "events"),
        ("wire", "session"),
        ("wire", "log"),
    ],
)
def test_imports_do_not_point_back(check: Any, unit: str, target: str) -> None:
    """A lower layer does not know a higher one; the wire and the settings know less still."""
    expected = [f"src/sessionstream/{unit}.py:2: {unit} may not import {target}"]
    assert check(imports(unit, f"import sessionstream.{target}")) == expected


@pytest.mark.parametrize(
    ("unit", "target"),
    [
        ("projection", "events"),
        ("log", "projection"),
        ("log", "wire"),
        ("locks", "log"),
        ("locks", "audit"),
        ("manager", "locks"),
        ("cli", "manager"),
        ("cli", "recipes"),
        ("recipes", "manager"),
        ("settings", "errors"),
        ("wire", "settings"),
    ],
)
def test_imports_may_point_down(check: Any, unit: str, target: str) -> None:
    """A higher layer knows the lower ones, and its neighbours."""
    assert check(imports(unit, f"from sessionstream.{target} import x")) == []


@pytest.mark.parametrize(
    "line",
    [
        "from sessionstream import manager",
        "from . import manager",
        "from .manager import SessionManager",
        "def f():\n    '''Do it.'''\n    from sessionstream.manager import SessionManager",
        "try:\n    import sessionstream.manager\nexcept ImportError:\n    pass",
    ],
)
def test_an_import_is_seen_in_every_form(check: Any, line: str) -> None:
    """Relative, from the package, inside a function or a try."""
    (found,) = check(imports("locks", line))
    assert found.endswith("locks may not import manager")


def test_relative_imports_are_resolved_from_within_rooms(check: Any) -> None:
    """Two dots in a room's module name the package; one dot names the room."""
    files = {"src/sessionstream/log/__init__.py": ROOM, "src/sessionstream/log/keys.py": ROOM + "from ..cli import x\n"}
    packages = ("sessionstream", "sessionstream.log")
    assert check(files, packages) == ["src/sessionstream/log/keys.py:2: log may not import cli"]
    files["src/sessionstream/log/keys.py"] = ROOM + "from .read import x\nfrom ..errors import y\n"
    assert check(files, packages) == []


def test_the_package_itself_is_the_highest_layer(check: Any) -> None:
    """Nothing inside takes the lazily loaded public names, other than the recipes and the command line."""
    line = "from sessionstream import SessionManager"
    assert check(imports("locks", line)) == ["src/sessionstream/locks.py:2: locks may not import __init__"]
    assert check(imports("cli", line) | {"src/sessionstream/locks.py": ROOM}) == []


def test_projections_are_below_the_log(check: Any) -> None:
    """They fold events and know nothing of streams."""
    packages = ("sessionstream", "sessionstream.projections")
    files = {"projections/__init__.py": ROOM, "projections/state.py": ROOM + "from sessionstream.log import x\n"}
    assert check(files, packages) == ["projections/state.py:2: projections may not import log"]


def test_a_capability_may_name_the_manager_for_its_types(check: Any) -> None:
    """Under TYPE_CHECKING, and not in the branch that runs."""
    guarded = "if TYPE_CHECKING:\n    from sessionstream.manager import SessionManager"
    assert check(imports("locks", guarded)) == []
    (found,) = check(imports("locks", f"{guarded}\nelse:\n    import sessionstream.manager"))
    assert found == "src/sessionstream/locks.py:5: locks may not import manager"


def test_no_other_import_is_excused_by_type_checking(check: Any) -> None:
    """The exemption is for capabilities that name the manager."""
    (found,) = check(imports("log", "if TYPE_CHECKING:\n    from sessionstream.manager import SessionManager"))
    assert found == "src/sessionstream/log.py:3: log may not import manager"


def test_capabilities_do_not_import_each_other_in_a_circle(check: Any) -> None:
    """Both ends of the circle are named."""
    files = imports("locks", "import sessionstream.audit")
    files["src/sessionstream/audit.py"] = ROOM + "import sessionstream.locks\n"
    assert check(files) == [
        "src/sessionstream/audit.py:2: audit imports locks, which imports audit: a circle",
        "src/sessionstream/locks.py:2: locks imports audit, which imports locks: a circle",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "import projections",
        "from projections.state import x",
        "import src.sessionstream.errors",
        "from src import sessionstream",
        "from src.sessionstream import errors",
    ],
)
def test_nobody_imports_a_second_copy_of_the_package(check: Any, line: str) -> None:
    """The checkout's names are not the package's names."""
    (found,) = check({"tests/test_it.py": ROOM + line + "\n"})
    assert found.startswith("tests/test_it.py:2: import it as sessionstream")


# Names and packaging


@pytest.mark.parametrize("name", ["util", "utils", "_helpers", "common", "misc"])
def test_a_module_is_named_after_what_it_does(check: Any, name: str) -> None:
    """A drawer for everything is not a module."""
    expected = f"src/sessionstream/{name}.py:1: '{name}' says nothing: name it after what it does"
    assert check({f"src/sessionstream/{name}.py": ROOM}) == [expected]


def test_every_room_is_listed_as_a_package(check: Any) -> None:
    """Else the wheel would lack it."""
    files = {"src/sessionstream/log/__init__.py": ROOM, "projections/__init__.py": ROOM}
    assert check(files) == [
        "pyproject.toml:2: packages does not list sessionstream.log",
        "pyproject.toml:2: packages does not list sessionstream.projections",
    ]


def test_every_listed_package_is_a_room(check: Any) -> None:
    """Else the build would fail."""
    assert check({}, ("sessionstream", "sessionstream.gone")) == [
        "pyproject.toml:2: packages lists sessionstream.gone, which is not in the tree"
    ]


@pytest.mark.parametrize("path", ["src/sessionstream/log/keys.py", "src/sessionstream/log/append.lua"])
def test_a_folder_of_source_is_a_room(check: Any, path: str) -> None:
    """Without `__init__.py` no package holds the file."""
    text = ROOM if path.endswith(".py") else "return 1\n"
    assert check({path: text}) == [f"{path}:1: its folder has no __init__.py, so the wheel would lack it"]


@pytest.mark.parametrize(
    "place",
    ["/wo" + "rk/main", "/ro" + "ot/x", "/ho" + "me/me/x", "/Us" + "ers/me/x", "https://py" + "pi.org/simple"],
)
def test_no_file_names_a_place_of_one_machine_or_registry(check: Any, place: str) -> None:
    """In any text file of the tree."""
    (found,) = check({"docs/setup.md": f"# Set up\n\nsee {place}\n"})
    assert found.startswith("docs/setup.md:3: ")
    assert found.endswith("is a place of one machine or registry")
