"""Importing what is there already, in part or in whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from sessionstream import SessionManager
from sessionstream.errors import Unavailable
from sessionstream.log.store import Store
from sessionstream.transfer import Imported, import_messages
from tests.servers import Server
from tests.transfer.recorded import everything, line, said, sessions_of

LINES = [line("a"), line("a"), line("b", "c", session_id="s"), line("d", n=1)]


async def test_the_same_lines_again_add_nothing(store: Store) -> None:
    """Not one event, whether the lines have ids or not."""
    await import_messages(store, LINES)
    before = await everything(store)
    done = await import_messages(store, LINES)
    assert (done.created, done.extended, done.unchanged, done.messages) == (0, 0, 4, 0)
    assert await everything(store) == before


async def test_the_order_of_lines_does_not_matter(store: Store) -> None:
    """An id is made of the line, not of its place: lines may be added in front."""
    await import_messages(store, LINES)
    done = await import_messages(store, [line("new"), *reversed(LINES)])
    assert (done.created, done.unchanged) == (1, 4)


async def test_other_users_have_sessions_of_their_own(store: Store) -> None:
    """A line without an id is another session for another user."""
    await import_messages(store, [line("a")], user_id="u1")
    done = await import_messages(store, [line("a")], user_id="u2")
    assert done.created == 1


async def test_an_interrupted_import_is_completed_by_another(store: Store, manager: SessionManager) -> None:
    """Cancelled after any number of lines, and run again: every session once, with every message once."""
    lines = [line(*map(str, range(number % 7)), session_id=f"s{number}") for number in range(120)]
    enough = asyncio.Event()

    def tell(done: Imported) -> None:
        if done.lines >= 40:
            enough.set()

    first = asyncio.create_task(import_messages(store, lines, concurrency=4, progress=tell))
    await enough.wait()
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    assert 0 < len(await sessions_of(store)) < 120
    done = await import_messages(store, lines)
    assert done.created + done.unchanged + done.extended == 120
    for number in range(120):
        assert await manager.messages(f"s{number}") == said(*map(str, range(number % 7)))


async def test_a_server_that_goes_away_ends_the_import(make_server: Callable[..., Server]) -> None:
    """What no line is to blame for is raised, and what was written stays; with the server back another completes it."""
    server = make_server()
    lines = [line("a", session_id=f"s{number}") for number in range(60)]

    def stop(done: Imported) -> None:
        if done.lines == 20:
            server.stop()

    async with SessionManager.open(server.unix_url, namespace="n", deadline=0.5) as manager:
        with pytest.raises((Unavailable, ConnectionError)):
            await import_messages(manager.store, lines, concurrency=2, progress=stop)
        server.start()
        done = await import_messages(manager.store, lines)
        assert done.unchanged >= 20
        assert [len(one["messages"]) for one in await sessions_of(manager.store)] == [1] * 60


async def test_two_imports_at_once_make_one_session_of_a_line(store: Store) -> None:
    """Whoever is later finds what the other one wrote."""
    lines = [line("a", "b", session_id=f"s{number}") for number in range(40)]
    one, other = await asyncio.gather(import_messages(store, lines), import_messages(store, lines))
    assert one.created + other.created == 40
    assert (one.failures, other.failures) == ([], [])
    assert [len(session["messages"]) for session in await sessions_of(store)] == [2] * 40


async def test_a_line_with_more_messages_adds_the_others(store: Store, manager: SessionManager) -> None:
    """A later recording of the same session goes on where the earlier one ended."""
    await import_messages(store, [line("a", "b", session_id="s")])
    done = await import_messages(store, [line("a", "b", "c", "d", session_id="s")])
    assert (done.created, done.extended, done.messages) == (0, 1, 2)
    assert await manager.messages("s") == said("a", "b", "c", "d")


async def test_growing_lines_in_one_file_are_one_session(store: Store, manager: SessionManager) -> None:
    """Lines of one session are written one after the other, in their order."""
    lines = [line(*map(str, range(count)), session_id="s") for count in range(1, 12)]
    done = await import_messages(store, lines, concurrency=8)
    assert (done.created, done.extended, done.failures) == (1, 10, [])
    assert await manager.messages("s") == said(*map(str, range(11)))


async def test_a_session_that_went_on_is_left_as_it_is(store: Store, manager: SessionManager) -> None:
    """It has all that the line has, and more."""
    await import_messages(store, [line("a", "b", session_id="s")])
    await manager.add_messages("s", {"role": "user", "content": "live"})
    done = await import_messages(store, [line("a", "b", session_id="s")])
    assert (done.unchanged, done.messages) == (1, 0)


async def test_a_message_that_was_taken_back_does_not_return(store: Store, manager: SessionManager) -> None:
    """The session has had it; who retracted it meant to."""
    await import_messages(store, [line("a", "b", session_id="s")])
    await manager.pop_messages("s")
    done = await import_messages(store, [line("a", "b", session_id="s")])
    assert done.unchanged == 1
    assert await manager.messages("s") == said("a")


async def test_a_regenerated_message_is_followed_by_what_was_recorded_after_it(
    store: Store, manager: SessionManager
) -> None:
    """What counts is the conversation as it stands."""
    await import_messages(store, [line("a", "b", session_id="s")])
    await manager.pop_messages("s")
    await manager.add_messages("s", {"role": "assistant", "content": "better"})
    done = await import_messages(store, [line("a", "better", "c", session_id="s")])
    assert (done.extended, done.messages) == (1, 1)
    assert await manager.messages("s") == said("a", "better", "c")


async def test_a_session_with_other_messages_is_not_touched(store: Store, manager: SessionManager) -> None:
    """The line is named instead."""
    await import_messages(store, [line("a", "b", session_id="s")])
    done = await import_messages(store, [line("a", "x", "c", session_id="s")])
    assert [failure.line for failure in done.failures] == [1]
    assert "other messages" in str(done.failures[0])
    assert await manager.messages("s") == said("a", "b")


async def test_messages_that_differ_as_json_differ(store: Store) -> None:
    """One, one point nought and true are three values, though Python calls them equal."""
    await import_messages(store, [b'{"session_id": "s", "messages": [{"role": "user", "content": 1}]}'])
    for other in (b"1.0", b"true"):
        line_ = b'{"session_id": "s", "messages": [{"role": "user", "content": ' + other + b"}]}"
        assert len((await import_messages(store, [line_])).failures) == 1


async def test_the_session_of_another_user_is_not_touched(store: Store, manager: SessionManager) -> None:
    """An id alone gives nobody a way in."""
    await import_messages(store, [line("a", session_id="s")], user_id="u1")
    done = await import_messages(store, [line("a", "b", session_id="s")], user_id="u2")
    assert "'u2'" in str(done.failures[0])
    assert await manager.messages("s") == said("a")


async def test_an_ended_session_that_has_everything_is_unchanged(store: Store, manager: SessionManager) -> None:
    """A deletion is not undone by the next import, and is no failure of it."""
    await import_messages(store, [line("a", session_id="s")])
    await manager.delete_session("s")
    done = await import_messages(store, [line("a", session_id="s")])
    assert (done.unchanged, done.failures) == (1, [])
    assert not await manager.session_exists("s")


async def test_an_ended_session_takes_no_more_messages(store: Store, manager: SessionManager) -> None:
    """The line that has more is named."""
    await import_messages(store, [line("a", session_id="s")])
    await manager.delete_session("s")
    done = await import_messages(store, [line("a", "b", session_id="s")])
    assert "deleted" in str(done.failures[0])


async def test_metadata_is_taken_once(store: Store, manager: SessionManager) -> None:
    """What was changed since the import stays changed, and a line that says otherwise is counted."""
    await import_messages(store, [line("a", session_id="s", stage="new")])
    await manager.update_session_metadata("s", {"stage": "done"})
    done = await import_messages(store, [line("a", session_id="s", stage="new")])
    session = await manager.get_session("s")
    assert session is not None
    assert session.metadata["stage"] == "done"
    assert (done.unchanged, done.kept_metadata) == (1, 1)
