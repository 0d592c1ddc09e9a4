"""What one line of an import says: whose session it is, its id, its messages, and what else there is about it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from sessionstream.conversation.messages import as_events
from sessionstream.errors import InvalidArgument, InvalidImportLine, SessionStreamError
from sessionstream.events.codec import encode_event
from sessionstream.events.ids import checked_id
from sessionstream.events.runtime import MessageAdded
from sessionstream.events.strict_json import encode_json

__all__ = ["ID_KEY", "LineReader", "RecordedSession", "canonical"]

ID_KEY = "session_id"
"""The key that names a session where the caller names none."""

_BOM = b"\xef\xbb\xbf"
_canonical = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode


class RecordedSession(NamedTuple):
    """A session as a line tells of it, checked.

    Attributes:
        line: the number of the line, from 1.
        session_id: the session's id, the same whenever the line is read.
        user_id: whose it is.
        agent_id: with which agent.
        metadata: every key of the line but ``messages``.
        messages: as events, in their order.
        sizes: of their JSON, in bytes.
    """

    line: int
    session_id: str
    user_id: str
    agent_id: str
    metadata: dict[str, Any]
    messages: Sequence[MessageAdded]
    sizes: Sequence[int]


class LineReader:
    """Reads the lines of one import, in their order.

    Args:
        user_id: whose the sessions are whose lines have no ``user_id``.
        agent_id: with which agent, where a line has no ``agent_id``.
        id_keys: the keys whose values together are a session's id. Without any it is the line's ``session_id``, or is
            made of the whole line and of how many equal ones came before it.
        max_event_bytes: the largest JSON of one message.
    """

    def __init__(self, user_id: str, agent_id: str, id_keys: Sequence[str], max_event_bytes: int) -> None:
        self._user_id = checked_id(user_id, "user_id")
        self._agent_id = checked_id(agent_id, "agent_id")
        self._id_keys = tuple(id_keys)
        self._max_event_bytes = max_event_bytes
        self._equal: Counter[bytes] = Counter()

    def read(self, number: int, text: bytes | str) -> RecordedSession | None:
        """Return what a line says, or None for an empty one.

        Raises:
            InvalidImportLine: it says nothing that could be a session.
        """
        raw = (text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).removeprefix(_BOM).strip()
        if not raw:
            return None
        try:
            return self._session(number, raw)
        except SessionStreamError as error:
            raise InvalidImportLine(number, str(error)) from None

    def _session(self, number: int, raw: bytes) -> RecordedSession:
        content = _object(raw)
        messages = content.get("messages")
        if not isinstance(messages, list):
            raise InvalidArgument("it has no list of messages")
        events = [_message(position, message) for position, message in enumerate(messages)]
        sizes = [len(encode_event(event, self._max_event_bytes).data) for event in events]
        metadata = {key: value for key, value in content.items() if key != "messages"}
        encode_json(metadata, "metadata")
        user_id = _identity(content, "user_id") or self._user_id
        agent_id = _identity(content, "agent_id") or self._agent_id
        session_id = self._session_id(content, user_id, agent_id)
        return RecordedSession(number, session_id, user_id, agent_id, metadata, events, sizes)

    def _session_id(self, content: dict[str, Any], user_id: str, agent_id: str) -> str:
        keys = self._id_keys or ((ID_KEY,) if content.get(ID_KEY) is not None else ())
        parts = [_identity(content, key) for key in keys]
        for key, part in zip(keys, parts, strict=True):
            if part is None:
                raise InvalidArgument(f"it has no {key!r}, which is to be the session's id")
        if len(parts) == 1:
            return checked_id(parts[0], "the session's id")
        if parts:
            escaped = [str(part).replace("%", "%25").replace(":", "%3A") for part in parts]
            return checked_id(":".join(escaped), "the session's id")
        digest = hashlib.sha256(_canonical([user_id, agent_id, content])).digest()
        self._equal[digest[:16]] += 1
        digest = hashlib.sha256(digest + str(self._equal[digest[:16]]).encode()).digest()
        return f"sess_{digest.hex()[:24]}"


def canonical(value: Any) -> bytes:
    """Return the JSON of a value with its keys in order, so that equal values have equal bytes."""
    return _canonical(value)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        content = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"it is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise InvalidArgument("it is no JSON object")
    return content


def _message(position: int, message: Any) -> MessageAdded:
    try:
        (event,) = as_events([message])
    except InvalidArgument as error:
        raise InvalidArgument(f"messages[{position}]: {error}") from None
    return event


def _identity(content: dict[str, Any], key: str) -> str | None:
    """Return what a key says if it names something: text, or an integer's digits; None where it is absent or null."""
    value = content.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidArgument(f"its {key!r} is neither text nor an integer")
    return checked_id(str(value), key)
