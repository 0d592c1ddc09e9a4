"""The house rules, checked on the tree: sizes, docstrings, the direction of imports, names, packaging, foreign paths.

    python .ci/house.py [ROOT]

Every violation is printed as ``file:line: message``, and any makes the exit status 1. CONTRIBUTING.md tells the rules.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

MEDIAN_FILE, LONGEST_FILE, LONGEST_LUA = 180, 400, 80
LONGEST_FUNCTION, USUAL_FUNCTION, UNUSUAL_SHARE = 60, 30, 0.1

# A unit is a module or room directly in the package. It imports from its own layer and from those above it in this
# table; the capabilities are all units that are not named here.
LAYERS = (
    {"errors", "settings", "session", "events", "redaction"},
    {"projection", "fold"},
    {"projections"},
    {"wire"},
    {"log"},
    {"(capabilities)"},
    {"manager"},
    {"recipes", "cli", "testing", "__init__", "__main__"},
)
CAPABILITY, DOOR = 5, 6
ONLY = {
    "errors": set[str](),
    "settings": {"errors", "redaction"},
    "redaction": {"errors"},
    "wire": {"errors", "settings"},
}  # these know less than their layer

VAGUE = {"util", "utils", "helper", "helpers", "common", "misc"}

FOREIGN = re.compile(
    r"/(?:[w]ork|[r]oot|[h]ome/\w+|[U]sers/\w+)/"
    r"|\b(?:[p]ypi\.org|[p]ythonhosted\.org|[d]eb\.debian\.org|[n]pmjs\.(?:org|com)|[c]rates\.io|[p]roxy\.golang\.org)"
)


@dataclass(frozen=True, order=True)
class Violation:
    """One place that breaks a rule."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name, and where it stands."""

    module: str
    name: str
    line: int
    typing_only: bool


class Source:
    """One Python file of the tree."""

    def __init__(self, root: Path, path: str) -> None:
        self.path = path
        self.text = (root / path).read_text(encoding="utf-8")
        self.length = len(self.text.splitlines())

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, self.path)

    @cached_property
    def module(self) -> str | None:
        """The name that it has when installed, or None if it is not part of the package."""
        parts = list(PurePosixPath(self.path).with_suffix("").parts)
        if parts[:2] == ["src", "sessionstream"]:
            parts = parts[1:]
        elif parts[0] == "projections":
            parts = ["sessionstream", *parts]
        else:
            return None
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def is_room(self) -> bool:
        """Whether it makes its folder a package."""
        return self.path.endswith("/__init__.py")

    @property
    def imports(self) -> Iterator[Import]:
        """Everything that it imports, relative names resolved."""
        yield from self._imports(self.tree, typing_only=False)

    def _imports(self, node: ast.AST, *, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, "", child.lineno, typing_only)
            elif isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    yield Import(self._origin(child), alias.name, child.lineno, typing_only)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from self._imports(ast.Module(child.body, []), typing_only=True)
                yield from self._imports(ast.Module(child.orelse, []), typing_only=typing_only)
            else:
                yield from self._imports(child, typing_only=typing_only)

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = (self.module or "").split(".")
        package = package[: len(package) - node.level + self.is_room]
        return ".".join([*package, *filter(None, [node.module])])


class Tree:
    """The files that the rules speak of."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = sorted(path for path in self._list() if (root / path).is_file())
        self.python = [Source(root, path) for path in self.files if path.endswith(".py")]
        self.package = [source for source in self.python if source.module]
        self.house = [source for source in self.python if source.path.startswith(("src/", "projections/"))]

    def _list(self) -> list[str]:
        if (self.root / ".git").exists():
            command = ["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            return [path for path in listed.split("\0") if path]
        return [path.relative_to(self.root).as_posix() for path in self.root.rglob("*")]

    @cached_property
    def units(self) -> set[str]:
        """The modules and rooms directly in the package."""
        return {_unit(source.module or "") for source in self.package}


def _unit(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def _layer(unit: str) -> int:
    return next((number for number, units in enumerate(LAYERS) if unit in units), CAPABILITY)


def file_sizes(tree: Tree) -> Iterator[Violation]:
    """Half of all files have at most 180 lines, none more than 400; a Lua file has at most 80."""
    for source in tree.house:
        if source.length > LONGEST_FILE:
            yield Violation(source.path, 1, f"{source.length} lines, at most {LONGEST_FILE} are allowed")
    for path in tree.files:
        if path.endswith(".lua"):
            length = len((tree.root / path).read_text(encoding="utf-8").splitlines())
            if length > LONGEST_LUA:
                yield Violation(path, 1, f"{length} lines, a Lua file has at most {LONGEST_LUA}")
    if tree.house:
        middle = statistics.median_high(source.length for source in tree.house)
        if middle > MEDIAN_FILE:
            path = next(source.path for source in tree.house if source.length == middle)
            yield Violation(path, 1, f"the median file, with {middle} lines; at most {MEDIAN_FILE} are allowed")


def function_sizes(tree: Tree) -> Iterator[Violation]:
    """A function has at most 60 lines, and nine in ten have at most 30."""
    functions = [
        (1 + (node.end_lineno or node.lineno) - node.lineno, source.path, node.lineno, node.name)
        for source in tree.house
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for length, path, line, name in functions:
        if length > LONGEST_FUNCTION:
            yield Violation(path, line, f"{name} has {length} lines, at most {LONGEST_FUNCTION} are allowed")
    long = [function for function in functions if function[0] > USUAL_FUNCTION]
    if len(long) > UNUSUAL_SHARE * len(functions):
        share = f"{len(long)} of {len(functions)} functions have more than {USUAL_FUNCTION}; one in ten may"
        for length, path, line, name in long:
            yield Violation(path, line, f"{name} has {length} lines: {share}")


def docstrings(tree: Tree) -> Iterator[Violation]:
    """Every module has a docstring, and so has every public class, function and method."""
    for source in tree.house:
        if not ast.get_docstring(source.tree):
            yield Violation(source.path, 1, "the module has no docstring")
        yield from _bare_names(source.path, source.tree.body, "")


def _bare_names(path: str, body: list[ast.stmt], prefix: str) -> Iterator[Violation]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            branches = [*node.body, *node.orelse]
            yield from _bare_names(path, branches, prefix)
        elif not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        elif not ast.get_docstring(node) and not _documented_elsewhere(node):
            yield Violation(path, node.lineno, f"{prefix}{node.name} is public and has no docstring")
        if isinstance(node, ast.ClassDef):
            yield from _bare_names(path, node.body, f"{prefix}{node.name}.")


def _documented_elsewhere(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    decorators = [ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list]
    return any(decorator in {"overload", "override", "setter", "deleter"} for decorator in decorators)


def import_directions(tree: Tree) -> Iterator[Violation]:
    """Imports point from the door to the ground, never back; units of one layer do not import in a circle."""
    edges: dict[str, set[str]] = {}
    for source, found, unit, target in _inner_imports(tree):
        if not _may_import(unit, target, typing_only=found.typing_only):
            yield Violation(source.path, found.line, f"{unit} may not import {target}")
        elif not found.typing_only:
            edges.setdefault(unit, set()).add(target)
    for source, found, unit, target in _inner_imports(tree):
        if target in edges.get(unit, ()) and not found.typing_only and _reaches(edges, target, unit):
            yield Violation(source.path, found.line, f"{unit} imports {target}, which imports {unit}: a circle")


def _inner_imports(tree: Tree) -> Iterator[tuple[Source, Import, str, str]]:
    for source in tree.package:
        unit = _unit(source.module or "")
        for found in source.imports:
            root, _, rest = found.module.partition(".")
            if root != "sessionstream":
                continue
            target = rest.split(".")[0] or (found.name if found.name in tree.units else "__init__")
            if target != unit:
                yield source, found, unit, target


def _may_import(unit: str, target: str, *, typing_only: bool) -> bool:
    if unit in ONLY:
        return target in ONLY[unit]
    if typing_only and _layer(unit) == CAPABILITY and _layer(target) == DOOR:
        return True
    return _layer(target) <= _layer(unit)


def _reaches(edges: dict[str, set[str]], start: str, goal: str) -> bool:
    seen, ahead = set[str](), [start]
    while ahead:
        unit = ahead.pop()
        if unit == goal:
            return True
        if unit not in seen:
            seen.add(unit)
            ahead += edges.get(unit, ())
    return False


def second_copies(tree: Tree) -> Iterator[Violation]:
    """Nobody imports the package's modules by the names that they have in the checkout only."""
    for source in tree.python:
        for found in source.imports:
            full = f"{found.module}.{found.name}"
            if re.match(r"(projections|src\.sessionstream)\b", full):
                yield Violation(source.path, found.line, f"import it as sessionstream, not as {found.module}")


def vague_names(tree: Tree) -> Iterator[Violation]:
    """A module is named after what it does."""
    for source in tree.python:
        for part in PurePosixPath(source.path).with_suffix("").parts:
            if part.strip("_") in VAGUE:
                yield Violation(source.path, 1, f"{part!r} says nothing: name it after what it does")


def rooms(tree: Tree) -> Iterator[Violation]:
    """The package list of pyproject.toml equals the rooms of the tree, and every folder with source is a room."""
    text = (tree.root / "pyproject.toml").read_text(encoding="utf-8")
    listed = tomllib.loads(text).get("tool", {}).get("setuptools", {}).get("packages", [])
    line = next((number for number, row in enumerate(text.splitlines(), 1) if row.startswith("packages")), 1)
    found = {source.module or "": source.path for source in tree.package if source.is_room}
    for room in sorted(set(listed) - set(found)):
        yield Violation("pyproject.toml", line, f"packages lists {room}, which is not in the tree")
    for room in sorted(set(found) - set(listed)):
        yield Violation("pyproject.toml", line, f"packages does not list {room}")
    folders = {PurePosixPath(path).parent for path in found.values()}
    for path in tree.files:
        inside = path.startswith(("src/sessionstream/", "projections/")) and path.endswith((".py", ".lua"))
        if inside and PurePosixPath(path).parent not in folders:
            yield Violation(path, 1, "its folder has no __init__.py, so the wheel would lack it")


def foreign_places(tree: Tree) -> Iterator[Violation]:
    """No file names a machine's own path or the host of a package registry."""
    for path in tree.files:
        content = (tree.root / path).read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if found := FOREIGN.search(line):
                yield Violation(path, number, f"{found[0]} is a place of one machine or registry")


RULES = (
    file_sizes,
    function_sizes,
    docstrings,
    import_directions,
    second_copies,
    vague_names,
    rooms,
    foreign_places,
)


def check(root: Path) -> list[Violation]:
    """Everything in the tree under `root` that breaks a rule."""
    tree = Tree(root)
    return sorted({violation for rule in RULES for violation in rule(tree)})


def main() -> int:
    """Print what breaks a rule; 1 if anything does."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    try:
        violations = check(root)
    except SyntaxError as error:
        violations = [Violation(error.filename or "?", error.lineno or 1, f"not Python: {error.msg}")]
    for violation in violations:
        print(violation)
    print(f"house rules: {len(violations)} violations" if violations else "house rules: kept")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
