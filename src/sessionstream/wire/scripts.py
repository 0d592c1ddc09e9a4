"""Lua scripts as they are sent: by the hash of their text, loaded where the server lacks them."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

__all__ = ["Script", "load_script"]

_INCLUDE = re.compile(r"^-- include (?:(\w+)/)?(\w+)$", re.MULTILINE)


class Script:
    """The text of one Lua script, and the hash by which EVALSHA names it.

    Args:
        name: what it is called in errors.
        text: its source.
    """

    __slots__ = ("name", "sha", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def load_script(package: str, name: str) -> Script:
    """Return a script of a package's Lua files.

    A line ``-- include other`` stands for the text of ``other.lua``, and ``-- include room/other`` for that of another
    room, which lies beside the package.

    Args:
        package: the package whose folder holds the files.
        name: the file that does the work, without ``.lua``.
    """
    beside = package.rpartition(".")[0]

    def text_of(room: str, part: str) -> str:
        text = (resources.files(room) / f"{part}.lua").read_text(encoding="utf-8")
        return _INCLUDE.sub(lambda line: text_of(f"{beside}.{line[1]}" if line[1] else room, line[2]), text)

    return Script(name, text_of(package, name))
