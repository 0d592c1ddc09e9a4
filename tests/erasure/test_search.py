"""G40: after an erasure nothing that the user has said is in Redis, or in a file, anywhere."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path

from redis.asyncio import Redis

from sessionstream import MessageAdded, Projection, SessionManager
from sessionstream.projection import Add, Increment, Operation, Put, counters, index, ranking, view
from sessionstream.transfer.exporting import export_events
from tests.erasure.conftest import KEY, PLAIN, SESSION, USER, talk
from tests.erasure.searching import found_in_files, found_in_redis, rewrite_file
from tests.servers import Server
from tests.sessions.waiting import until

WORDS = Projection("words")


@WORDS.on(MessageAdded)
def said(session_id: str, event: MessageAdded) -> Iterable[Operation]:
    """Keep what was said wherever a projection can keep something."""
    yield Put(view("last"), {"content": event.content, event.content: "1"})
    yield Add(ranking("said"), 1, event.content)
    yield Add(index("by_word", event.content), 1)
    yield Increment(counters("of_words"), event.content, 1)


async def _fail(manager: SessionManager) -> None:
    """Let one group park what the user said with its error, and another one just fail at it."""
    for group, attempts in (("parks", 1), ("fails", 3)):
        async with manager.consumers.join(group, attempts=attempts, backoff=30.0) as consumer:
            async for item in consumer:
                async with item:
                    if isinstance(item.event.data, MessageAdded):
                        raise ValueError(item.event.data.content)
                if isinstance(item.event.data, MessageAdded):
                    break
            if group == "parks":
                await until(lambda: manager.consumers.parked("parks"))
            else:
                key = manager.store.keys.group(group, manager.store.keys.partition(SESSION))
                await until(lambda key=key: manager.store.server.call("HGET", key, "failing"))  # type: ignore[misc]


async def _apply(manager: SessionManager) -> None:
    """Let a group keep in views of its own what the user said, and a projection that is run from the feed."""
    async with manager.consumers.join("applies") as consumer:
        async for item in consumer:
            async with item:
                if isinstance(item.event.data, MessageAdded):
                    item.apply(Put(view("heard"), {"content": item.event.data.content}))
                    break
    again = Projection("again")
    again.on(MessageAdded)(lambda session_id, event: [Put(view("last"), {"content": event.content})])
    async with manager.consumers.project(again) as projector:
        await projector.in_use()


async def _say_it_everywhere(manager: SessionManager, folder: Path) -> None:
    await manager.create_session(USER, "agent_1", {"said": PLAIN}, session_id=SESSION)
    await talk(manager, 4)
    await manager.append(SESSION, [MessageAdded(role="user", content=PLAIN)] * 1_100, idempotency_key=PLAIN)
    await manager.save_checkpoint(SESSION, {"history": [PLAIN]}, label=PLAIN)
    await manager.publish(SESSION, {"token": PLAIN})
    await manager.update_session_metadata(SESSION, {PLAIN: True})
    await manager.rebuild(SESSION)  # which keeps a base snapshot
    await _fail(manager)
    await _apply(manager)
    await manager.retention.archive(SESSION, folder)
    fork = await manager.audit.fork(SESSION, at=20, user_id="bob")
    await manager.append(fork.session_id, MessageAdded(role="user", content="bob's"))
    await manager.create_session(USER, "agent_1", {"said": PLAIN}, session_id="sess_ended")
    await manager.delete_session("sess_ended")


async def test_nothing_that_was_said_is_left(make_server: Callable[..., Server], tmp_path: Path) -> None:
    """Not in a key of any type, in names, in the append-only file once it is rewritten, in archives, or in exports."""
    server = make_server()
    folder = tmp_path / "archive"
    settings = {"url": server.unix_url, "seal_key": KEY, "projections": [WORDS], "archive": folder}
    async with SessionManager(**settings) as manager, Redis.from_url(server.url) as client:
        await _say_it_everywhere(manager, folder)
        before = await found_in_redis(client, PLAIN)
        kinds = {name.split("}:")[1].split(":")[0] for name in before}
        assert kinds == {
            *("events", "head", "idempotency", "bodies", "bases", "deltas"),
            *("view", "ranking", "index", "counters", "parked", "group"),
        }
        assert found_in_files(folder, PLAIN)
        assert found_in_files(await rewrite_file(server, client), PLAIN)

        done = await manager.erase_user(USER)
        assert done.sessions == 3
        assert done.files == 1
        left = await found_in_redis(client, PLAIN, USER)
        assert left == []
        assert found_in_files(folder, PLAIN, USER) == []
        assert found_in_files(await rewrite_file(server, client), PLAIN, USER) == []
        lines = b"".join([line async for line in export_events(manager.store, [SESSION, "sess_ended"])])
        (tmp_path / "export.gz").write_bytes(gzip.compress(lines))
        assert found_in_files(tmp_path, PLAIN, USER) == []
