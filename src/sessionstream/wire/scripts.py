"""Lua scripts as they are sent: by the hash of their text, loaded where the server lacks them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib import resources

from sessionstream.wire.packing import Word

__all__ = ["Script", "load_script"]

_INCLUDE = re.compile(r"^-- include (?:(\w+)/)?(\w+)$", re.MULTILINE)


class Script:
    """The text of one Lua script, and the hash by which EVALSHA names it.

    Args:
        name: what it is called in errors.
        text: its source.
        reads: whether it does nothing but read: then who may not write may run it.

    Attributes:
        command: the command that runs it.
    """

    __slots__ = ("command", "name", "sha", "text")

    def __init__(self, name: str, text: str, *, reads: bool = False) -> None:
        self.command = "EVALSHA_RO" if reads else "EVALSHA"
        self.name = name
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def loading(self, call: Sequence[Word]) -> tuple[Word, ...]:
        """Return the command that lets a server know it: of one that reads its call, by its text.

        Args:
            call: as it runs it.
        """
        return ("EVAL_RO", self.text, *call[2:]) if self.command == "EVALSHA_RO" else ("SCRIPT", "LOAD", self.text)


def load_script(package: str, name: str, *, reads: bool = False) -> Script:
    """Return a script of a package's Lua files.

    A line ``-- include other`` stands for the text of ``other.lua``, and ``-- include room/other`` for that of another
    room, which lies beside the package.

    Args:
        package: the package whose folder holds the files.
        name: the file that does the work, without ``.lua``.
        reads: see `Script`.
    """
    beside = package.rpartition(".")[0]

    def text_of(room: str, part: str) -> str:
        text = (resources.files(room) / f"{part}.lua").read_text(encoding="utf-8")
        return _INCLUDE.sub(lambda line: text_of(f"{beside}.{line[1]}" if line[1] else room, line[2]), text)

    return Script(name, text_of(package, name), reads=reads)
