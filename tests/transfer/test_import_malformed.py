"""Lines that do not go in: they are named, and the others go in."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from sessionstream import SessionManager
from sessionstream.errors import InvalidImportLine
from sessionstream.log.store import Store
from sessionstream.transfer import import_messages
from sessionstream.transfer.sources import LineSource
from tests.transfer.conftest import MakeManager
from tests.transfer.recorded import line, sessions_of

BAD = {
    "not JSON": b"{nonsense",
    "no object": b"[1, 2]",
    "no messages": b'{"a": 1}',
    "messages that are no list": b'{"messages": {"role": "user"}}',
    "a message that is no object": b'{"messages": ["Hi"]}',
    "a message without a role": b'{"messages": [{"role": "user"}, {"content": "Hi"}]}',
    "no UTF-8": b'{"messages": [{"role": "user", "content": "\xff"}]}',
    "an integer that is too large": b'{"messages": [{"role": "user", "content": 123456789012345678901234}]}',
    "metadata that is too large a number": b'{"messages": [], "n": 123456789012345678901234}',
    "a user that is no text": b'{"messages": [], "user_id": ["u"]}',
    "an empty user": b'{"messages": [], "user_id": ""}',
    "an id that is no text": b'{"messages": [], "session_id": 1.5}',
    "an id that is too long": b'{"messages": [], "session_id": "' + b"x" * 513 + b'"}',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_malformed_line_is_named_and_the_others_go_in(store: Store, bad: bytes) -> None:
    """Its number counts every line of the file, empty ones too."""
    done = await import_messages(store, [line("a"), b"\n", bad, line("b")])
    assert [failure.line for failure in done.failures] == [3]
    assert str(done.failures[0]).startswith("line 3: ")
    assert isinstance(done.failures[0], InvalidImportLine)
    assert (done.lines, done.created) == (3, 2)


async def test_the_message_at_fault_is_named(store: Store) -> None:
    """By its place in the line."""
    done = await import_messages(store, [BAD["a message without a role"]])
    assert "messages[1]" in str(done.failures[0])


async def test_a_line_that_lacks_the_id_key_is_malformed(store: Store) -> None:
    """Where a key was asked for, no id is made up."""
    done = await import_messages(store, [line("a", task="1"), line("b")], id_keys=["task"])
    assert (done.created, [failure.line for failure in done.failures]) == (1, [2])
    assert "'task'" in str(done.failures[0])


async def test_a_message_past_the_limit_is_refused(make_manager: MakeManager) -> None:
    """The limit is that of every event."""
    manager = make_manager(max_event_bytes=200)
    done = await import_messages(manager.store, [line("x" * 300), line("short")])
    assert ([failure.line for failure in done.failures], done.created) == ([1], 1)


async def test_a_refused_line_writes_nothing(store: Store, manager: SessionManager) -> None:
    """Not even the good messages in front of the bad one, and no entry in its user's list."""
    bad = json.dumps({"session_id": "one", "messages": [{"role": "user"}, {"content": "Hi"}]})
    await import_messages(store, [bad], user_id="u")
    for key in (store.keys.user("u"), store.keys.head("one")):
        assert not await store.server.call("EXISTS", key)


async def test_gzip_data_that_ends_early_gives_the_lines_before(store: Store) -> None:
    """The place is named by the number of the line that is missing."""
    lines = [line(str(number) * 2000) for number in range(50)]
    whole = gzip.compress(b"".join(lines), compresslevel=0)
    done = await import_messages(store, LineSource(io.BytesIO(whole[: len(whole) // 2])))
    assert done.created > 10
    assert [failure.line for failure in done.failures] == [done.created + 1]


async def test_a_byte_order_mark_and_other_line_ends_are_no_mistake(store: Store) -> None:
    """As some editors write them."""
    done = await import_messages(
        store, [b"\xef\xbb\xbf" + line("a").replace(b"\n", b"\r\n"), b"   \r\n", line("b").strip()]
    )
    assert (done.created, done.failures) == (2, [])
    assert len(await sessions_of(store)) == 2
