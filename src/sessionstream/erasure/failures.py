"""What consumer groups keep of events that failed: errors may say what was in an event, so they are forgotten too."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sessionstream.consumers.parking import Record, field_of, read_parked, text_of
from sessionstream.consumers.registry import positions_of_groups
from sessionstream.log.gates import name_in_log
from sessionstream.log.store import Store
from sessionstream.wire.scripts import load_script

__all__ = ["forget_failures"]

_ASK = load_script("sessionstream.consumers", "ask")
_FORGET = load_script("sessionstream.erasure", "forget")
_MOST_TRIES = 50
_FORGOTTEN = "erased"


async def forget_failures(store: Store) -> int:
    """Forget what events of erased sessions failed with, and return of how many that was known.

    What is parked of them is asked to be replayed: what stands in the events' places then comes, and the erasure.
    """
    count = 0
    for partition in range(store.keys.partitions):
        for group in await positions_of_groups(store, partition):
            count += await _forget_parked(store, group, partition)
            count += await _forget_failing(store, group, partition)
    return count


async def _forget_parked(store: Store, group: str, partition: int) -> int:
    count = 0
    for _ in range(_MOST_TRIES):
        fields = await read_parked(store, group, partition)
        found = [(session_id, field_of(session_id, None), record) for session_id, record in fields.waiting.items()]
        found += [(session_id, field_of(session_id, at), record) for (session_id, at), record in fields.single.items()]
        erased = await _erased(store, {session_id for session_id, _, record in found if _tells(record)})
        left = [(name, record) for session_id, name, record in found if session_id in erased and _tells(record)]
        if not left:
            break
        for name, record in left:
            count += await _ask(store, group, partition, name, record)
    return count


def _tells(record: Record) -> bool:
    return record.message not in ("", _FORGOTTEN) or record.trace != ""


async def _ask(store: Store, group: str, partition: int, name: str, record: Record) -> bool:
    keys = store.keys
    told = msgspec.structs.replace(record, message=_FORGOTTEN, trace="", asked=record.asked or "replay")
    names = [keys.groups(partition), keys.group(group, partition), keys.parked(group, partition)]
    return bool(await store.server.script(_ASK, names, [group, name, text_of(record), text_of(told)]) == 1)


async def _forget_failing(store: Store, group: str, partition: int) -> int:
    key = store.keys.group(group, partition)
    for _ in range(_MOST_TRIES):
        text = await store.server.call("HGET", key, "failing")
        if not text:
            return 0
        failing = msgspec.json.decode(text, type=dict[str, tuple[str, int, str]])
        erased = await _erased(store, failing)
        if not erased:
            return 0
        left = {session_id: told for session_id, told in failing.items() if session_id not in erased}
        words = [text, msgspec.json.encode(left) if left else b""]
        if await store.server.script(_FORGET, [key], words):
            return len(erased)
    return 0


async def _erased(store: Store, session_ids: Iterable[str]) -> set[str]:
    """Return which of some sessions are erased."""
    asked = list(session_ids)
    commands = [("HGET", store.keys.log(store.keys.partition(one)), name_in_log(one)) for one in asked]
    gates = await store.server.calls(commands) if commands else []
    return {one for one, gate in zip(asked, gates, strict=True) if gate is not None and b" erased " in gate}
