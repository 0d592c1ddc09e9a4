"""Taking out what the rules name: from JSON values, and from the JSON that texts hold."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from sessionstream.errors import InvalidType
from sessionstream.redaction.naming import Names, is_clean
from sessionstream.redaction.rules import Redaction, usual_rules
from sessionstream.redaction.scanning import BEGINS_JSON, describes, scan, text_of

__all__ = ["AS_GIVEN", "Redacted", "Redactor", "redactor_of"]

_MARK = re.compile(r"(\[redacted: [^\[\]]*\])")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

Path = tuple[str, ...]


class Redacted(NamedTuple):
    """One value that was taken out.

    Attributes:
        path: where it lay.
        rule: the rule that named it, as the mark says it.
        was_text: whether it was a text, as its mark is.
    """

    path: str
    rule: str
    was_text: bool


class Redactor:
    """Applies rules; what it is given stays as it is.

    Args:
        rules: the rules; None takes nothing out.

    Attributes:
        names: which names can be passed over.
    """

    def __init__(self, rules: Redaction | None) -> None:
        self._rules = rules
        self._paths = [(tuple(path.split(".")), path) for path in rules.paths] if rules else []
        self._patterns: dict[str, re.Pattern[str]] = dict(rules.patterns) if rules else {}  # type: ignore[arg-type]
        self._function = rules.function if rules else None
        thorough = bool(self._paths or self._patterns or self._function)
        self.names = Names(rules.names, rules.keep, thorough=thorough) if rules else Names()

    def value(self, value: Any, root: str) -> Any:
        """Return a value of JSON without what the rules name; the very same one, if that is nothing.

        Args:
            value: as JSON gives it.
            root: how its path begins, such as ``metadata``.

        Raises:
            InvalidType: the function of the rules gave no text.
        """
        return self.traced(value, root)[0]

    def traced(self, value: Any, root: str) -> tuple[Any, list[Redacted]]:
        """Return what `value` does, and what was taken out."""
        found: list[Redacted] = []
        if self._rules is None or self._passes(value):
            return value, found
        return self._walk(value, tuple(root.split(".")), found), found

    def encoded(self, data: bytes, root: str) -> bytes:
        """Return JSON without what rules other than names take out: its names are the library's own.

        Args:
            data: the JSON, or nothing.
            root: how the paths of its values begin.
        """
        if not data or not self.names.thorough:
            return data
        value = _decode(data)
        walked = self.value(value, root)
        return data if walked is value else _encode(walked)

    def _passes(self, value: Any) -> bool:
        if self.names.thorough:
            return False
        if type(value) is dict or type(value) is list:
            return is_clean(value, self.names)
        return type(value) is not str or self.names.pass_text(value)

    def _walk(self, value: Any, path: Path, found: list[Redacted]) -> Any:
        if isinstance(value, dict):
            items = {key: self._item(key, item, (*path, key), found) for key, item in value.items()}
            return items if any(items[key] is not item for key, item in value.items()) else value
        if isinstance(value, list):
            walked = [self._item("", item, (*path, str(place)), found) for place, item in enumerate(value)]
            return walked if any(new is not old for new, old in zip(walked, value, strict=True)) else value
        return self._text(value, path, found) if isinstance(value, str) else value

    def _item(self, key: str, item: Any, path: Path, found: list[Redacted]) -> Any:
        rule = self._path_rule(path) if self._paths else None
        if rule is None and key not in self.names.harmless:
            rule = self.names.rule_for(key)
        if rule is not None and not describes(item):
            return _hidden(item, rule, path, found)
        return self._walk(item, path, found)

    def _path_rule(self, path: Path) -> str | None:
        for parts, rule in self._paths:
            if len(parts) == len(path) and all(part in ("*", here) for part, here in zip(parts, path, strict=True)):
                return rule
        return None

    def _text(self, text: str, path: Path, found: list[Redacted]) -> str:
        if text[:1] in BEGINS_JSON:
            text = self._json_in(text, path, found)
        for name, pattern in self._patterns.items():
            new = _without(text, pattern, _mark(name))
            if new != text:
                found.append(Redacted(".".join(path), name, was_text=True))
                text = new
        if self._function is None:
            return text
        given = self._function(".".join(path), text)
        if not isinstance(given, str):
            raise InvalidType(f"redact: the function gave a {type(given).__name__} for {'.'.join(path)}, not a text")
        if given != text:
            found.append(Redacted(".".join(path), "function", was_text=True))
        return given

    def _json_in(self, text: str, path: Path, found: list[Redacted]) -> str:
        """Return a text without what the JSON that it holds should not have, or may not decode."""
        try:
            value = _decode(text)
            inside: list[Redacted] = []
            walked = self._walk(value, path, inside)
            if walked is not value:
                written: str = _encode(walked).decode()
                found += inside
                return written
            decoded = True
        except (ValueError, OverflowError, RecursionError):
            decoded = False
        return self._scanned(text, path, found, decoded) if self.names.may_be_in(text) else text

    def _scanned(self, text: str, path: Path, found: list[Redacted], decoded: bool) -> str:
        """Return a text of JSON without what decoding it does not show; once it is decoded, texts in it were seen."""
        parts: list[str] = []
        behind = 0
        for one in scan(text, self.names.rule_for):
            said = text_of(one.token) if one.token[0] == '"' else one.token
            if one.rule is None:
                new = self._json_in(said, path, found) if not decoded and said[:1] in BEGINS_JSON else said
            else:
                new = said if not said or _MARK.fullmatch(said) else _mark(one.rule)
            if new == said:
                continue
            if one.rule is not None:
                found.append(Redacted(".".join((*path, one.key)), one.rule, was_text=True))
            parts += text[behind : one.start], _encode(new).decode()
            behind = one.start + len(one.token)
        return "".join((*parts, text[behind:])) if parts else text


def _hidden(value: Any, rule: str, path: Path, found: list[Redacted]) -> Any:
    """Return a value with a mark for each text and number in it; what is empty, true or false tells nothing."""
    if isinstance(value, dict):
        hidden = {key: _hidden(item, rule, (*path, key), found) for key, item in value.items()}
        return hidden if hidden != value else value
    if isinstance(value, list):
        items = [_hidden(item, rule, (*path, str(place)), found) for place, item in enumerate(value)]
        return items if items != value else value
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, str) and _MARK.fullmatch(value):
        return value
    found.append(Redacted(".".join(path), rule, isinstance(value, str)))
    return _mark(rule)


def _without(text: str, pattern: re.Pattern[str], mark: str) -> str:
    """Return a text with a mark for what a pattern matches, but for what marks say."""
    parts = _MARK.split(text)
    parts[::2] = [pattern.sub(lambda match: mark if match[0] else "", part) for part in parts[::2]]
    return "".join(parts)


def _mark(rule: str) -> str:
    return f"[redacted: {rule}]"


AS_GIVEN = Redactor(None)
"""Takes nothing out."""


def redactor_of(setting: Redaction | bool | None, *, of_deltas: bool = False) -> Redactor:
    """Return what applies the rules of the setting ``redact``.

    Args:
        setting: the rules; True is the usual ones, False and None are none.
        of_deltas: whether it is for deltas, of which the usual rules are a little others.
    """
    if isinstance(setting, Redaction):
        return Redactor(setting)
    return Redactor(usual_rules(of_deltas=of_deltas) if setting else None)
