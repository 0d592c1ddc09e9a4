"""Lua scripts as they are sent: by the hash of their text, loaded where the server lacks them."""

from __future__ import annotations

import hashlib
from importlib import resources

__all__ = ["Script", "load_script"]


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


def load_script(package: str, name: str, *parts: str) -> Script:
    """Return the script ``name`` of a package's Lua files, with the named parts put before it.

    Args:
        package: the package whose folder holds the files.
        name: the file that does the work, without ``.lua``.
        parts: files of the same package that define what it calls, without ``.lua``, in their order.
    """
    folder = resources.files(package)
    texts = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in (*parts, name)]
    return Script(name, "\n".join(texts))
