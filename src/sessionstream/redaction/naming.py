"""Which names tell of a secret: compared by their words, and remembered, as the same names come again and again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from sessionstream.redaction.scanning import BEGINS_JSON, scan, text_of

__all__ = ["Names", "is_clean"]

_MOST = 10_000
# PGPASSWORD and dbpassword are passwords: no other word ends like one of these.
_RUN_ON = ("apikey", "passphrase", "passwd", "password", "secret")
_LONGEST = 200
# A run of capitals ends before the last one that begins a word: APIKey is API and Key.
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W_A-Za-z]+")

_decode = msgspec.json.Decoder().decode


class Names:
    """Which names are plain texts that tell of no secret; each is judged once, and remembered.

    Args:
        secret: the names of secrets; with none, no name tells of one.
        keep: names that end like those and are none.
        thorough: no name is passed over, as other rules than names have to look at everything.

    Attributes:
        harmless: names that were met and tell of none: to ask this set first is quick.
        rule_for: gives the name of a secret that a name ends with, or None; the longest one counts.
        passed: of types of events that were met, those whose own names tell of none; see `Plainness`.
        thorough: as given.
    """

    __slots__ = ("_kept", "_may_name", "_secret", "harmless", "passed", "rule_for", "thorough")

    def __init__(self, secret: Iterable[str] = (), keep: Iterable[str] = (), *, thorough: bool = False) -> None:
        secret = tuple(secret)
        self._secret = {"".join(_words(name)): name for name in secret}
        self._may_name = _quick_look(secret) if secret else _never
        self._kept = frozenset("".join(_words(name)) for name in keep)
        self.thorough = thorough
        self.harmless: set[str] = set()
        self.passed: set[object] = set()
        self.rule_for = lru_cache(_MOST)(self._rule_for)

    def are_harmless(self, names: Iterable[Any]) -> bool:
        """Whether all of these are plain texts that tell of no secret."""
        for name in names:
            if name not in self.harmless:
                if type(name) is not str or self._rule_for(name) is not None:
                    return False
                if len(self.harmless) >= _MOST:
                    self.harmless.clear()
                self.harmless.add(name)
        return True

    def may_be_in(self, text: str) -> bool:
        """Whether a text may have the name of a secret as a key of JSON: a quick look."""
        # A letter of a name may be written by its number.
        return self._may_name(text) or ("\\" in text and "\\u" in text)

    def pass_text(self, text: str) -> bool:
        """Whether a text can stay as it is: it holds no JSON, or none with the name of a secret."""
        # As `may_be_in`, which most texts would be one more call for.
        if not self._may_name(text) and ("\\" not in text or "\\u" not in text):
            return True
        try:
            clean = is_clean([_decode(text)], self)
        except (ValueError, RecursionError):
            return not any(one.rule or not self._pass_inner(text_of(one.token)) for one in scan(text, self.rule_for))
        # The texts in it were looked into.
        return clean and not any(one.rule for one in scan(text, self.rule_for))

    def _pass_inner(self, text: str) -> bool:
        return text[:1] not in BEGINS_JSON or self.pass_text(text)

    def _rule_for(self, name: str) -> str | None:
        words = _words(name[-_LONGEST:])
        for start in range(len(words)):
            ending = "".join(words[start:])
            if ending in self._kept:
                return None
            if (rule := self._secret.get(ending)) is not None:
                return rule
        run_on = [secret for secret in _RUN_ON if secret in self._secret and words and words[-1].endswith(secret)]
        return self._secret[run_on[0]] if run_on else None


def is_clean(container: Any, names: Names) -> bool:
    """Whether a dict or a list of JSON, and what is in it, has no name that tells of a secret.

    Args:
        container: the dict or list.
        names: which names do.
    """
    if type(container) is dict:
        if not names.harmless.issuperset(container) and not names.are_harmless(container):
            return False
        container = container.values()
    for item in container:
        kind = type(item)
        if kind is str:
            if item[:1] in BEGINS_JSON and not names.pass_text(item):
                return False
        elif (kind is dict or kind is list) and item and not is_clean(item, names):
            return False
    return True


def _quick_look(names: Iterable[str]) -> Callable[[Any], bool]:
    """Return what tells whether a text may have one of these names as a key of JSON, also in a text in that JSON.

    The tool results of real conversations have 430 characters of JSON. To decode them and look takes 3 µs, and Python's
    own expressions take 5; those of pydantic search for many words at once, which takes 0.5 µs.
    """
    from pydantic import StringConstraints, TypeAdapter

    # Beyond ASCII, upper and lower case is slower to compare.
    flags = "i-u" if all(name.isascii() for name in names) else "i"
    endings = "|".join("[ _.-]?".join(map(re.escape, _words(name))) for name in names)
    pattern = rf'(?{flags}:(?:{endings})[0-9]*\\*"\s*:)'
    return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern, strict=True)]).validator.isinstance_python


def _never(text: str) -> bool:
    return False


def _words(name: str) -> list[str]:
    words = [word.lower() for word in _WORDS.findall(name)]
    # password2 is a password.
    while len(words) > 1 and words[-1].isdigit():
        words.pop()
    return words
