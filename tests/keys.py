"""Every key of a namespace has an owner: a session that is kept, its partition, or a user."""

from __future__ import annotations

import re

import pytest
from redis.asyncio import Redis

__all__ = ["assert_no_ownerless_keys", "owner_of"]

_KEY = re.compile(rb"(?P<partition>.*?:\{\d+\}:)(?P<rest>.*)\Z", re.DOTALL)
_OF_A_PARTITION = re.compile(
    rb"(?:log|feed|registry|groups)\Z|(?:index|counters):[@a-z]|(?:user|group|parked|restoring):.", re.DOTALL
)
_OF_A_SESSION = re.compile(
    rb"(?:(?:head|events|idempotency|bodies|bases|seals|deltas):"
    rb"|(?:view|ranking):(?:@[\w.@-]+|[a-z][a-z0-9_]*):[a-z][a-z0-9_]*:)(?P<id>.+)\Z",
    re.DOTALL,
)


def owner_of(key: bytes) -> tuple[bytes, bytes] | None:
    """Return the registry's key and the session to which a key belongs, or None if it is a partition's or a user's.

    Raises:
        ValueError: the key belongs to nothing that is known.
    """
    parts = _KEY.match(key)
    if parts is None:
        raise ValueError("it lies in no partition")
    if (session := _OF_A_SESSION.match(parts["rest"])) is not None:
        return parts["partition"] + b"registry", session["id"]
    if _OF_A_PARTITION.match(parts["rest"]):
        return None
    raise ValueError("it is of no known kind")


async def assert_no_ownerless_keys(client: Redis, namespace: str) -> None:
    """Fail the test unless each key of the namespace belongs to a kept session, to its partition or to a user."""
    problems: list[str] = []
    # A namespace holds none of the characters that a pattern gives a meaning to.
    async for key in client.scan_iter(match=f"{namespace}:*", count=1000):
        try:
            owner = owner_of(key)
        except ValueError as error:
            problems.append(f"{_name(key)}: {error}")
            continue
        if owner is not None and await client.zscore(*owner) is None:
            problems.append(f"{_name(key)}: its session is not kept")
    if problems:
        pytest.fail(f"{len(problems)} keys of the namespace have no owner:\n" + "\n".join(sorted(problems)[:20]))


def _name(key: bytes) -> str:
    return key.decode(errors="backslashreplace")
