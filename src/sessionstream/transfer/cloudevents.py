"""Events as CloudEvents 1.0 (cloudevents.io), one JSON object a line."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from sessionstream.events.recorded import RecordedEvent

__all__ = ["cloudevent", "cloudevent_line"]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_LARGEST = 2**31 - 1
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def cloudevent(event: RecordedEvent, namespace: str) -> dict[str, Any]:
    """Return an event as a CloudEvent.

    ``data`` is the event's JSON; what is stored and is no JSON is in ``data_base64``. Attributes hold no control
    characters (section 3.1 of the specification), so these are written as ``%0A``.

    Args:
        event: the event.
        namespace: where it is kept, which makes the source.
    """
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        # Unique within the source; a damaged entry may lack its id.
        "id": _attribute(event.id or f"{event.session_id}/{event.offset}"),
        "source": f"urn:sessionstream:{namespace}",
        "type": _attribute(event.type or "unreadable"),
        "subject": _attribute(event.session_id),
        "time": event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "sessionoffset": event.offset,
        # An Integer of a CloudEvent has 32 bits.
        "sessionversion": event.version if event.version <= _LARGEST else str(event.version),
        "schemaversion": event.schema_version,
        "actor": _attribute(event.actor),
        "correlationid": _attribute(event.correlation_id),
        "causationid": _attribute(event.causation_id),
    }
    told = {name: value for name, value in attributes.items() if value is not None}
    return told | _data(event.plain)


def cloudevent_line(event: RecordedEvent, namespace: str) -> bytes:
    """Return the line of an event; see `cloudevent`."""
    return _encode(cloudevent(event, namespace)) + b"\n"


def _attribute(text: str | None) -> str | None:
    if not text:
        return None
    return _CONTROL.sub(lambda sign: "".join(f"%{byte:02X}" for byte in sign[0].encode()), text)


def _data(raw: bytes) -> dict[str, Any]:
    try:
        _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # An absent member says that there is no data at all, as an entry without any has.
        told = {"datacontenttype": "application/octet-stream", "data_base64": base64.b64encode(raw).decode()}
        return told if raw else {}
    return {"datacontenttype": "application/json", "data": msgspec.Raw(raw)}
