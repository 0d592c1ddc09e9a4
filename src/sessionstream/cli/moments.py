"""Times as people write and read them; all of them UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sessionstream.audit.moments import Moment
from sessionstream.errors import InvalidArgument

__all__ = ["age", "clock", "day", "full", "minute", "parse_at", "parse_moment", "span"]

_AGO = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w)\Z")
_OFFSET = re.compile(r"\d{5,}-\d+\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def parse_moment(text: str, option: str, now_ms: int) -> datetime:
    """Return the moment that a user wrote.

    Args:
        text: ISO 8601 with a time zone, or how long ago: ``90s``, ``10m``, ``2h``, ``3d``, ``1w``; ``now``.
        option: where it was written, for the error.
        now_ms: the server's clock, from which "ago" counts.

    Raises:
        InvalidArgument: it is neither, or has no time zone.
    """
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    if text == "now":
        return now
    try:
        if ago := _AGO.match(text):
            return now - timedelta(seconds=float(ago[1]) * _SECONDS[ago[2]])
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InvalidArgument(
            f"{option}: {text!r} is no time: 2025-01-31T09:30:00Z, or how long ago, such as 90s, 10m, 2h, 3d"
        ) from None
    if moment.tzinfo is None:
        raise InvalidArgument(f"{option}: {text!r} has no time zone: add Z for UTC, or one such as +02:00")
    return moment


def parse_at(text: str, option: str, now_ms: int) -> Moment:
    """Return the moment that a user wrote in any form: a version, an offset, or a time as `parse_moment` has it.

    Args:
        text: as it was written.
        option: where, for the error.
        now_ms: the server's clock.

    Raises:
        InvalidArgument: it is none of these.
    """
    if text.isascii() and text.isdigit():
        return int(text)
    return text if _OFFSET.match(text) else parse_moment(text, option, now_ms)


def full(moment: datetime | None) -> str | None:
    """Return ISO 8601 to the millisecond, or None."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def minute(moment: datetime | None) -> str:
    """Return the date and the time to the second; a dash for none."""
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def day(moment: datetime) -> str:
    """Return the date with its weekday."""
    return moment.astimezone(UTC).strftime("%A, %Y-%m-%d")


def clock(moment: datetime) -> str:
    """Return the time of day to the millisecond."""
    return moment.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]


def age(moment: datetime | None, now_ms: int, units: int = 2) -> str:
    """Return how long ago a moment was, or how long it is until then, as `span` has it; a dash for none."""
    if moment is None:
        return "-"
    seconds = now_ms / 1000 - moment.timestamp()
    return f"{span(seconds, units)} ago" if seconds >= 0 else f"in {span(-seconds, units)}"


def span(seconds: float, units: int = 2) -> str:
    """Return a length of time in its largest units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    left, words = round(seconds), list[str]()
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or words:
            words.append(f"{count} {unit}")
        if len(words) == units:
            break
    return " ".join(word for word in words if not word.startswith("0 "))
