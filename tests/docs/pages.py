"""The documents as tests read them: sections, tables, blocks of code."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["ROOT", "anchors", "blocks", "page", "rows", "section"]

ROOT = Path(__file__).resolve().parents[2]


def page(name: str) -> str:
    """Return the text of a document, such as ``docs/api.md``."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """Return what stands under a heading, up to the next one of its level or of a higher one."""
    plain = _without_code(text)
    for start, level, words, end in _headings(plain):
        if words == title:
            ends = [begin for begin, other, _, _ in _headings(plain) if begin > start and other <= level]
            return text[end : ends[0] if ends else None]
    raise AssertionError(f"there is no section {title!r}")


def blocks(text: str, language: str) -> list[str]:
    """Return the blocks of code of one language, ``""`` for those that name none, as written."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [code for name, code in found if name == language]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables in a text, without heads and rules."""
    lines = [line for line in _without_code(text).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]
    rules = [number for number, row in enumerate(cells) if set("".join(row)) <= set("|-: ")]
    return [row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules]


def anchors(text: str) -> dict[str, str]:
    """Return the words of every heading by the anchor that GitHub gives it."""
    titles = [words for _, _, words, _ in _headings(_without_code(text))]
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-"): words for words in titles}


def _headings(text: str) -> list[tuple[int, int, str, int]]:
    found = re.finditer(r"^(#+) (.+)$", text, re.MULTILINE)
    return [(one.start(), len(one[1]), one[2].strip(), one.end()) for one in found]


def _without_code(text: str) -> str:
    """Return the text with the lines of its code blanked, so that positions stay."""
    return re.sub(r"^```.*?^```$", lambda block: re.sub(r"[^\n]", " ", block[0]), text, flags=re.MULTILINE | re.DOTALL)
