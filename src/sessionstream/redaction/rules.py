"""The rules of redaction, as a user of the library gives them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sessionstream.errors import InvalidArgument, InvalidType

__all__ = ["NAMES", "NOT_SECRET", "Function", "Redaction", "usual_rules"]

NAMES = (
    "access_key",
    "access_keys",
    "api_key",
    "api_keys",
    "authorization",
    "bearer",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "jwt",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "private_key",
    "private_keys",
    "pwd",
    "secret",
    "secret_key",
    "secret_keys",
    "secrets",
    "token",
)
"""The names whose values are taken out unless others are given."""

NOT_SECRET = (
    "bos_token",
    "continuation_token",
    "eos_token",
    "first_token",
    "input_token",
    "last_token",
    "mask_token",
    "next_token",
    "output_token",
    "pad_token",
    "page_token",
    "pagination_token",
    "per_token",
    "stop_token",
    "sync_token",
    "unk_token",
)
"""The names that end like one of these and tell of no secret: where a list goes on, what a model is measured by."""

_TOKENS = ("access_token", "auth_token", "csrf_token", "id_token", "refresh_token", "security_token", "session_token")

Function = Callable[[str, str], str]


@dataclass(frozen=True)
class Redaction:
    """What is taken out of events, metadata, checkpoints and deltas before they are encoded.

    A name is compared word by word, in any case: ``x-api-key``, ``OPENAI_API_KEY`` and ``apiKey`` end with the words of
    ``api_key`` and are taken out, ``max_tokens`` and ``token_count`` do not end with ``token`` and are not. Words may
    run on where they end with ``password``, ``passwd``, ``passphrase``, ``apikey`` or ``secret``, as in ``PGPASSWORD``.

    Args:
        names: names of fields and keys, at any depth; they replace the usual ones, which are in `NAMES`.
        keep: names that end like one of those and are kept nevertheless.
        paths: places, such as ``metadata.customer.phone``, ``checkpoint.state.*.ssn`` or ``tool.called.arguments.pin``;
            ``*`` is any one name or number of a list's item. They begin with the event type's name, ``metadata``,
            ``checkpoint``, ``delta`` or ``meta``.
        patterns: regular expressions, or a mapping from what the mark is to call them; what they match inside any text
            is taken out.
        function: takes the path of a text and the text, and returns the text to store.

    Raises:
        InvalidType: an argument is of another type.
        InvalidArgument: a name has no letter, a path is empty, or a pattern is no regular expression.
    """

    names: Iterable[str] = NAMES
    keep: Iterable[str] = NOT_SECRET
    paths: Iterable[str] = ()
    patterns: Iterable[str | re.Pattern[str]] | Mapping[str, str | re.Pattern[str]] = ()
    function: Function | None = None

    def __post_init__(self) -> None:
        for name in ("names", "keep", "paths"):
            object.__setattr__(self, name, _texts(getattr(self, name), name))
        for path in self.paths:
            if not all(path.split(".")):
                raise InvalidArgument(f"redact: paths: {path!r} has an empty part")
        object.__setattr__(self, "patterns", _compiled(self.patterns))
        if self.function is not None and not callable(self.function):
            raise InvalidType(f"redact: function: a {type(self.function).__name__} cannot be called")


def usual_rules(*, of_deltas: bool = False) -> Redaction:
    """Return the rules that are in force unless others are given.

    Args:
        of_deltas: those of what is published while a model speaks: its ``token`` is a piece of what it says.
    """
    return Redaction(names=(*(name for name in NAMES if name != "token"), *_TOKENS)) if of_deltas else Redaction()


def _texts(given: object, name: str) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidType(f"redact: {name} is a list of texts, not {given!r}")
    texts = tuple(given)
    for text in texts:
        if not isinstance(text, str):
            raise InvalidType(f"redact: {name}: {text!r} is not a text")
        if name != "paths" and not any(character.isalnum() for character in text):
            raise InvalidArgument(f"redact: {name}: {text!r} has neither a letter nor a digit")
    return texts


def _compiled(given: object) -> dict[str, re.Pattern[str]]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidType(f"redact: patterns is a list or a mapping, not {given!r}")
    pairs = given.items() if isinstance(given, Mapping) else [(f"pattern {n}", one) for n, one in enumerate(given, 1)]
    compiled: dict[str, re.Pattern[str]] = {}
    for name, pattern in pairs:
        if not isinstance(name, str) or not isinstance(pattern, str | re.Pattern):
            raise InvalidType(f"redact: patterns: {pattern!r} is no regular expression for texts")
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise InvalidArgument(f"redact: patterns: {pattern!r}: {error}") from None
        if isinstance(expression.pattern, bytes):
            raise InvalidType(f"redact: patterns: {pattern!r} is a regular expression for bytes")
        compiled[name] = expression
    return compiled
