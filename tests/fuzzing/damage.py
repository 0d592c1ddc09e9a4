"""Damage that is done to what a store keeps, by whoever may write to its server."""

from __future__ import annotations

from typing import Any, NamedTuple

import hypothesis.strategies as st
from redis.asyncio import Redis

from tests.fuzzing.junk import BYTES, JSON

__all__ = ["DAMAGES", "WORDS", "Damage", "do"]

_TYPES = [
    "session.created",
    "session.metadata_updated",
    "session.refreshed",
    "session.state_changed",
    "session.expired",
    "session.deleted",
    "session.held",
    "session.released",
    "session.trimmed",
    "session.retired",
    "checkpoint.saved",
    "checkpoint.deleted",
    "message.added",
    "message.retracted",
    "note.added",
    "usage.recorded",
    "nobody.knows",
]
_FIELDS = ["user_id", "agent_id", "metadata", "ttl_ms", "sliding", "set", "unset", "state", "created_ms", "ended_ms"]
_FIELDS += ["checkpoint_id", "covers", "size", "sha256", "label", "hold_id", "reason", "standing", "upto", "archive"]
_FIELDS += ["role", "content", "offset", "text", "forked_from", "tool_calls"]


class Damage(NamedTuple):
    """What is done to one key.

    Attributes:
        key: which, counted in their order.
        place: which field, member or entry of it.
        how: ``value``, ``name``, ``remove``, ``add``, ``gone`` or ``type``.
        words: what is put there.
    """

    key: int
    place: int
    how: str
    words: list[bytes]


def _entry(kind: str, version: str, data: bytes) -> list[bytes]:
    return [kind.encode() + version.encode(), b"A" * 22 + data]


@st.composite
def _events(draw: st.DrawFn) -> list[bytes]:
    """The words of an entry that is nearly an event."""
    import json

    fields = draw(st.dictionaries(st.sampled_from(_FIELDS), JSON, max_size=6))
    data = json.dumps(fields).encode("utf-8", "surrogatepass")
    words = _entry(draw(st.sampled_from(_TYPES)), draw(st.sampled_from(["", "@2", "@x", "@0", "@1"])), data)
    meta = draw(st.one_of(st.none(), BYTES, JSON.map(lambda one: json.dumps(one).encode("utf-8", "surrogatepass"))))
    return words if meta is None else [*words, b"meta", meta]


WORDS = st.one_of(_events(), st.lists(BYTES, min_size=2, max_size=2), st.lists(BYTES, min_size=4, max_size=4))
"""Fields and values in turn: of an entry that is nearly an event, or of none."""

DAMAGES = st.builds(
    Damage,
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from(["value", "value", "name", "remove", "add", "gone", "type"]),
    WORDS,
)


async def do(client: Redis, damage: Damage) -> str:
    """Do the damage, and return to which key."""
    keys = sorted(await client.keys("*"))
    key = keys[damage.key % len(keys)]
    kind = await client.type(key)
    if damage.how == "gone":
        await client.delete(key)
    elif damage.how == "type":
        await client.delete(key)
        await client.set(key, damage.words[0])
    elif kind == b"hash":
        await _in_hash(client, key, damage)
    elif kind == b"zset":
        await _in_set(client, key, damage)
    elif kind == b"list":
        await _in_list(client, key, damage)
    else:
        await _in_stream(client, key, damage)
    return str(key)


async def _in_hash(client: Redis, key: bytes, damage: Damage) -> None:
    fields = sorted(await client.hkeys(key))
    field = fields[damage.place % len(fields)]
    match damage.how:
        case "value":
            await client.hset(key, field, damage.words[-1])
        case "remove":
            await client.hdel(key, field)
        case "name":
            value = await client.hget(key, field)
            await client.hdel(key, field)
            await client.hset(key, damage.words[0], value)
        case _:
            await client.hset(key, damage.words[0], damage.words[1])


async def _in_list(client: Redis, key: bytes, damage: Damage) -> None:
    place = damage.place % await client.llen(key)
    if damage.how == "remove":
        await client.lrem(key, 1, await client.lindex(key, place))
    elif damage.how == "add":
        await client.rpush(key, damage.words[-1])
    else:
        await client.lset(key, place, damage.words[-1])


async def _in_set(client: Redis, key: bytes, damage: Damage) -> None:
    members = await client.zrange(key, 0, -1, withscores=True)
    member, score = members[damage.place % len(members)]
    scores = [float("-inf"), -1.0, 0.0, 0.5, 1e300, float("inf")]
    match damage.how:
        case "value":
            await client.zadd(key, {member: scores[len(damage.words[-1]) % len(scores)]})
        case "remove":
            await client.zrem(key, member)
        case "name":
            await client.zrem(key, member)
            await client.zadd(key, {damage.words[0]: score})
        case _:
            await client.zadd(key, {damage.words[0]: scores[len(damage.words[1]) % len(scores)]})


async def _in_stream(client: Redis, key: bytes, damage: Damage) -> None:
    entries: list[tuple[bytes, Any]] = await client.execute_command("XRANGE", key, "-", "+")
    place = damage.place % len(entries)
    offset, words = entries[place]
    ms, _, version = offset.partition(b"-")
    match damage.how:
        case "value":
            entries[place] = (offset, damage.words)
        case "remove":
            del entries[place]
        case "name":
            last = place == len(entries) - 1
            entries[place] = (b"%d-%d" % (int(ms) + 5, int(version) + 3) if last else offset, words)
        case _:
            ms, _, version = entries[-1][0].partition(b"-")
            entries.append((b"%b-%d" % (ms, int(version) + 1), damage.words))
    await client.delete(key)
    for at, fields in entries:
        flat = [item for pair in fields.items() for item in pair] if isinstance(fields, dict) else fields
        await client.execute_command("XADD", key, at, *flat)
