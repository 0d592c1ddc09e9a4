"""Whatever the history is, and whichever single thing is done to it: it is found (G32)."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import example, given, settings
from redis.asyncio import Redis

from sessionstream import MessageAdded, NoteAdded, SessionManager, ToolCalled, acting
from tests.integrity.attacks import Attacker, Entry, renumbered
from tests.integrity.conftest import KEY

TEXTS = st.text(max_size=20)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("message"), TEXTS),
        st.tuples(st.just("tool"), TEXTS),
        st.tuples(st.just("acted"), TEXTS),
        st.tuples(st.just("metadata"), TEXTS),
        st.tuples(st.just("checkpoint"), TEXTS),
        st.tuples(st.just("seal"), TEXTS),
    ),
    min_size=2,
    max_size=14,
)
ATTACKS = (
    "edit",
    "meta",
    "remove",
    "remove and renumber",
    "swap",
    "insert and renumber",
    "cut",
    "copy",
    "time",
    "body",
)


async def _step(manager: SessionManager, session_id: str, step: tuple[str, str]) -> None:
    kind, text = step
    match kind:
        case "message":
            await manager.append(session_id, MessageAdded(role="user", content=text))
        case "tool":
            await manager.append(session_id, [ToolCalled(name=text, arguments={"a": text}), NoteAdded(text=text)])
        case "acted":
            with acting(actor=text or "nobody"):
                await manager.append(session_id, NoteAdded(text=text))
        case "metadata":
            await manager.update_session_metadata(session_id, {"text": text})
        case "checkpoint":
            await manager.save_checkpoint(session_id, {"text": text})
        case "seal":
            await manager.audit.seal(session_id)


def _one_byte(fields: dict[bytes, bytes], at: int) -> dict[bytes, bytes]:
    name, value = next(iter(fields.items()))
    at = at % len(value)
    return {**fields, name: value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]}


async def _attack(attacker: Attacker, attack: str, at: int, other: int) -> bool:
    """Do it, and return whether that changed anything."""
    before = await attacker.entries()
    place, second = at % len(before), other % len(before)
    forged = {b"note.added": b"A" * 22 + b'{"text":"forged"}'}

    def change(entries: list[Entry]) -> list[Entry]:
        offset, fields = entries[place]
        match attack:
            case "edit":
                entries[place] = (offset, _one_byte(fields, other))
            case "meta":
                entries[place] = (offset, {**fields, b"meta": b'{"actor":"somebody else"}'})
            case "remove":
                del entries[place]
            case "remove and renumber":
                entries = renumbered(entries[:place] + entries[place + 1 :])
            case "swap":
                entries[place], entries[second] = (offset, entries[second][1]), (entries[second][0], fields)
            case "insert and renumber":
                entries = renumbered([*entries[: place + 1], (offset, forged), *entries[place + 1 :]])
            case "cut":
                entries = entries[:place]
            case "copy":
                entries[place] = (offset, entries[second][1])
            case "time":
                ms, _, version = entries[-1][0].partition(b"-")
                entries[-1] = (b"%d-%b" % (int(ms) + 1 + other % 9, version), entries[-1][1])
        return entries

    if attack == "body":
        bodies = attacker.keys.bodies(attacker.session_id)
        names = sorted(name for name in await attacker.client.hkeys(bodies) if name)
        if names:
            await attacker.client.hset(bodies, names[at % len(names)], b"{}")
        return bool(names)
    await attacker.rewrite(change)
    after = await attacker.entries()
    if after and attack != "cut":
        await attacker.move_gate(after[-1][0].decode())
    return after != before


@given(steps=STEPS, attack=st.sampled_from(ATTACKS), at=st.integers(0, 99), other=st.integers(0, 99))
@settings(max_examples=40)
@example([("message", ""), ("message", "")], "insert and renumber", 2, 0).via("the last event of all is the forged one")
async def test_any_single_alteration_of_any_history_is_found(
    reach: dict[str, Any], client: Redis, namespace: str, steps: list[tuple[str, str]], attack: str, at: int, other: int
) -> None:
    """All of it is sealed; the attacker brings the log in line with what the stream holds then."""
    await client.flushall()
    async with SessionManager(**reach, namespace=namespace, seal_key=KEY) as manager:
        for session_id in ("attacked", "left alone"):
            await manager.create_session("user", "agent", {"a": 1}, session_id=session_id)
            for step in steps:
                await _step(manager, session_id, step)
            await manager.audit.seal(session_id)
        assert (await manager.audit.verify("attacked")).ok
        attacker = Attacker(client, manager.store.keys, "attacked")
        altered = await _attack(attacker, attack, at, other)
        found: Any = await manager.audit.verify("attacked")
        assert found.ok is not altered, (attack, found)
        assert (await manager.audit.verify("left alone")).ok
        await client.flushall()
