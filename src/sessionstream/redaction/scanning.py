"""Finding secrets in the text of JSON without decoding all of it: where it was cut short, or has a key twice.

Decoding gives nothing of the one, and of the other the last value alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

__all__ = ["BEGINS_JSON", "Found", "describes", "scan", "text_of"]

BEGINS_JSON = frozenset('{[" \t\r\n')
"""With one of these begins a text that may hold JSON, such as a tool call's arguments."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}\[\],]|-?\d[\d.eE+-]*', re.DOTALL)
# In a text of JSON what begins it may be escaped.
_MAY_BEGIN_JSON = BEGINS_JSON | {"\\"}
_IS_KEY = re.compile(r"\s*:")
# What a JSON schema says of a field holds no value of that field.
_SCHEMA_TYPES = frozenset({"string", "number", "integer", "object", "array"})
_SCHEMA_WORDS = frozenset(
    {"description", "format", "maxLength", "minLength", "nullable", "pattern", "readOnly", "title", "type", "writeOnly"}
)
_LONGEST_ESCAPE = len(r"\u0000") + 2
# An error of the decoder counts the lines in front of it.
_LONGEST_DESCRIPTION = 10_000
_decoder = json.JSONDecoder()


class Found(NamedTuple):
    """A text or a number that is a secret, or a text that may hold JSON.

    Attributes:
        start: where it begins.
        token: as it stands there; a text with its quotes.
        rule: that names it as a secret; None of a text that may hold JSON.
        key: under which it lies, that of the secret; empty where none was seen.
    """

    start: int
    token: str
    rule: str | None
    key: str


def scan(text: str, rule_for: Callable[[str], str | None]) -> Iterator[Found]:
    """Yield what is a secret in a text of JSON, and the texts in it that may hold JSON, in their order.

    Args:
        text: the JSON, or what there is of it.
        rule_for: gives the rule by which a key names a secret, or None.
    """
    key, rule = "", None
    # In how many containers of a secret.
    depth = position = 0
    while (token := _TOKEN.search(text, position)) is not None:
        start, position = token.span()
        first = text[start]
        if first == '"' and _IS_KEY.match(text, position):
            if not depth:
                key = text_of(text[start:position])
                rule = rule_for(key)
            continue
        if first in "{[":
            if rule is not None and (depth or not (end := _end_of_description(text, start))):
                depth += 1
                continue
            position = end if rule is not None else position
        elif first in "}]":
            depth = max(0, depth - 1)
        elif first != "," and (rule is not None or (first == '"' and text[start + 1 : start + 2] in _MAY_BEGIN_JSON)):
            yield Found(start, token[0], rule, key)
        if not depth:
            key, rule = "", None


def text_of(token: str) -> str:
    """Return what a text of JSON says, given with its quotes, the last of which may be missing."""
    for cut in range(_LONGEST_ESCAPE):
        # The first try is that nothing is missing.
        tried = token if not cut else token[: len(token) + 1 - cut] + '"'
        try:
            said: str = json.loads(tried, strict=False)
        except ValueError:
            continue
        # Half of a pair of surrogates is no text.
        return said.encode(errors="replace").decode()
    return token.strip('"')


def describes(value: Any) -> bool:
    """Whether a value is a JSON schema, as tools have for their arguments, and nothing else."""
    if not isinstance(value, dict) or not value.keys() <= _SCHEMA_WORDS:
        return False
    told = value.get("type")
    return isinstance(told, str) and told in _SCHEMA_TYPES


def _end_of_description(text: str, start: int) -> int:
    """Return where a JSON schema ends that begins at a place; 0 if none does."""
    try:
        value, length = _decoder.raw_decode(text[start : start + _LONGEST_DESCRIPTION])
    except (ValueError, RecursionError):
        return 0
    return start + length if describes(value) else 0
