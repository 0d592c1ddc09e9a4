"""G39: whatever is done, a store that encrypts gives what one in plain text gives."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sessionstream import MessageAdded, NoteAdded, Projection, SessionManager
from sessionstream.projection import OFFSET, Increment, Operation, Put, Replace, Unset, view
from tests.encryption.conftest import MASTER, SESSION, USER

TALLY = view("tally")
tally = Projection("tally")


@tally.on(NoteAdded)
def noted(session_id: str, event: NoteAdded) -> Iterable[Operation]:
    """Texts, numbers, texts that are numbers and are counted on, and some that go again."""
    yield Put(TALLY, {"last": event.text, "bytes": event.text.encode(), "at": OFFSET + f" {event.text}", "one": 1})
    yield Increment(TALLY, "last", 2)
    yield Increment(TALLY, "count", 1)
    yield Replace(TALLY, "by:", {event.text[:2] or "-": event.text})
    if len(event.text) > 3:
        yield Unset(TALLY, ["bytes"])


odd = st.sampled_from(["7", "-12", "9007199254740993", "\x02e1:abc"])
texts = st.text(alphabet="ab7\u00e9\x02 :", max_size=5) | odd
names = st.sampled_from("abc")
values = texts | st.integers(-5, 5) | st.none() | st.lists(texts, max_size=2)
steps = st.one_of(
    st.tuples(st.just("note"), texts),
    st.tuples(st.just("say"), texts),
    st.tuples(st.just("set"), st.dictionaries(names, values, min_size=1, max_size=2)),
    st.tuples(st.just("unset"), names),
    st.tuples(st.just("save"), names, values, st.none() | texts),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("hold"), names, st.text(alphabet="xyz", min_size=1, max_size=4)),
    st.tuples(st.just("state"), st.sampled_from(["active", "idle"])),
    st.tuples(st.just("pop")),
    st.tuples(st.just("rebuild")),
    st.tuples(st.just("rotate")),
)


async def _step(manager: SessionManager, name: str, *given: Any) -> Any:
    """Do one step and return what it gave, or the class of what it raised."""
    try:
        match name:
            case "note":
                return (await manager.append(SESSION, NoteAdded(text=given[0]))).version
            case "say":
                return (await manager.append(SESSION, MessageAdded(role="user", content=given[0]))).version
            case "set":
                return await manager.update_session_metadata(SESSION, given[0])
            case "unset":
                return await manager.update_session_metadata(SESSION, unset=[given[0]])
            case "save":
                return await manager.save_checkpoint(SESSION, given[1], checkpoint_id=given[0], label=given[2])
            case "delete":
                return await manager.delete_checkpoint(SESSION, given[0])
            case "hold":
                return await manager.retention.hold(SESSION, given[1], hold_id=given[0])
            case "state":
                return await manager.set_session_state(SESSION, given[0])
            case "pop":
                return await manager.pop_messages(SESSION)
            case "rebuild":
                return bool(await manager.rebuild())
            case "rotate" if manager.store.encryption is not None:
                await manager.encryption.rotate(USER)
    except Exception as error:
        return type(error)
    return None


async def _told(manager: SessionManager) -> list[Any]:
    """Return all that the session tells, but for when that was."""
    session = await manager.get_session(SESSION)
    assert session is not None
    version = session.version
    events = [event async for event in manager.history(SESSION)]
    changes = (await manager.audit.diff(SESSION, 1, version)).changes
    key = manager.store.keys.place("tally", TALLY, SESSION)
    raw = await manager.store.server.call("HGETALL", key)
    opener = manager.store.opener
    pairs = zip(raw[::2], raw[1::2], strict=True)
    fields = {name: opener.field(SESSION, "tally", TALLY, name, value) for name, value in pairs}
    return [
        (session.metadata, session.state, version),
        [(event.type, _timeless(event)) for event in events],
        await manager.messages(SESSION),
        [(one.checkpoint_id, one.label, one.data) for one in await manager.list_checkpoints(SESSION, with_data=True)],
        [(one.hold_id, one.reason) for one in await manager.retention.holds(SESSION)],
        [(await manager.audit.as_of(SESSION, version=at)).metadata for at in range(1, version + 1)],
        [(one.path, one.kind, one.before, one.after) for one in changes if one.path[0] == "metadata"],
        {name: value.partition(b" ")[2] if name == b"at" else value for name, value in fields.items()},
        [(await manager.audit.verify(SESSION)).findings],
    ]


def _timeless(event: Any) -> Any:
    data = event.data
    match event.type:
        case "checkpoint.saved":
            return data.checkpoint_id, data.label
        case "message.retracted":
            return data.offset.partition("-")[2]
    return data


@settings(max_examples=12, derandomize=True, phases=[Phase.generate])
@given(done=st.lists(steps, min_size=1, max_size=14), metadata=st.dictionaries(names, values, max_size=2))
async def test_a_store_that_encrypts_gives_what_one_in_plain_text_gives(
    done: list[Any],
    metadata: dict[str, Any],
    reach: dict[str, Any],
    make_namespace: Callable[..., str],
    tmp_path: Path,
) -> None:
    """Every step is answered alike, and everything reads alike behind them, also for a process that comes anew."""
    common: dict[str, Any] = {**reach, "projections": [tally], "partitions": 1, "seal_key": MASTER}
    keys = {"encryption_key": MASTER, "key_store": tmp_path / uuid.uuid4().hex}
    namespace = make_namespace()
    async with (
        SessionManager(namespace=make_namespace(), **common) as plain,
        SessionManager(namespace=namespace, **common, **keys) as encrypting,
        SessionManager(namespace=namespace, **common, **keys) as another,
    ):
        for manager in (plain, encrypting):
            await manager.create_session(USER, "agent_1", metadata, session_id=SESSION)
        for step in done:
            assert await _step(encrypting, *step) == await _step(plain, *step)
        expected = await _told(plain)
        assert await _told(encrypting) == expected
        assert await _told(another) == expected
