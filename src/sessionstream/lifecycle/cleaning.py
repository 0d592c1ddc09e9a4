"""What the sweeper does: ends what has lapsed, retires what is due, trims the feeds, mends users' lists."""

from __future__ import annotations

import binascii
import contextlib
import itertools

from sessionstream.errors import SessionStreamError
from sessionstream.events.recorded import version_of
from sessionstream.lifecycle.ending import end_forgotten, sweep
from sessionstream.lifecycle.enlisting import enlist_at
from sessionstream.lifecycle.reading import ENDS
from sessionstream.lifecycle.retirement import NOT_ARCHIVED, retire_due, trim_feed
from sessionstream.log.feed import pointers_of
from sessionstream.log.store import Store

__all__ = ["clean_sometimes", "clean_up"]

_PAGE = 500


async def clean_up(store: Store) -> int:
    """End every session whose time is over, and do what is due besides.

    Returns:
        How many sessions this call ended.

    Raises:
        ArchiveFailed: or another of `NOT_ARCHIVED`: a session could not be archived and stays; all else was done.
    """
    await store.check_writable()
    count, failure = await sweep(store), None
    for partition in range(store.keys.partitions):
        try:
            await retire_due(store, partition)
        except NOT_ARCHIVED as error:
            failure = failure or error
        await _mend_lists(store, partition)
        await trim_feed(store, partition)
    if failure is not None:
        raise failure
    return count


async def clean_sometimes(store: Store, session_id: str) -> None:
    """After one of 16 creates, end and remove up to 32 sessions of its partition that are due for it.

    That is more than come in meanwhile, so nothing leaks where nobody sweeps.
    """
    if binascii.crc32(session_id.encode()) % 16 == 0:
        partition = store.keys.partition(session_id)
        # The session is there: an error now would say that it is not. Another occasion will come.
        with contextlib.suppress(SessionStreamError):
            await end_forgotten(store, partition, most=32)
            # To archive takes the disk some time, which nobody who creates a session waits for.
            if store.archive_first is None:
                await retire_due(store, partition, most=32)
            await trim_feed(store, partition)


async def _mend_lists(store: Store, partition: int) -> None:
    """Note again, from the feed, what was created: a failover of the user's node may have lost the entry."""
    log, feed = store.keys.log(partition), store.keys.feed(partition)
    position = await store.server.call("HGET", log, ":mended") or b"0-0"
    while True:
        page = await store.server.call("XRANGE", feed, b"(" + position, "+", "COUNT", _PAGE)
        for pointer in itertools.chain.from_iterable(map(pointers_of, page)):
            if version_of(pointer.offset) == pointer.events:
                await _mend(store, pointer.session_id)
        if not page:
            return
        position = page[-1][0]
        await store.server.call("HSET", log, ":mended", position)


async def _mend(store: Store, session_id: str) -> None:
    head, _ = await store.head(session_id)
    if head and head[b"state"] not in ENDS:
        await enlist_at(store, head[b"user_id"].decode(), session_id, int(head[b"created_at"]))
