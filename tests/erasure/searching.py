"""Looking for a text in all that a server and its files hold, packed or not."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from tests.servers import Server

__all__ = ["found_in_files", "found_in_redis", "rewrite_file"]


async def found_in_redis(client: Redis, *texts: str) -> list[str]:
    """Return the names of the keys that hold one of the texts, in their names or in their values.

    A value is looked at by its type, and as DUMP gives it, which the server has to be told not to pack.
    """
    await client.config_set("rdbcompression", "no")
    found = []
    async for key in client.scan_iter(count=1000):
        parts = [key, await client.dump(key) or b"", *_flat(await _value(client, key))]
        if any(_holds(part, texts) for part in parts):
            found.append(key.decode(errors="replace"))
    return sorted(found)


async def _value(client: Redis, key: bytes) -> Any:
    match (await client.type(key)).decode():
        case "hash":
            return await client.hgetall(key)
        case "zset":
            return await client.zrange(key, 0, -1)
        case "list":
            return await client.lrange(key, 0, -1)
        case "stream":
            return await client.xrange(key)
        case "none":
            return ()
    raise AssertionError(f"a key of another type: {key!r}")


def _flat(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _flat(pair)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)


def _holds(data: bytes, texts: tuple[str, ...]) -> bool:
    # The digest in front of a base snapshot has 32 bytes.
    packed = b""
    for start in (0, 32):
        with contextlib.suppress(zlib.error):
            packed += zlib.decompress(data[start:])
    return any(text.encode() in data or text.encode() in packed for text in texts)


def found_in_files(folder: Path, *texts: str) -> list[str]:
    """Return the names of the files in a folder, and below, that hold one of the texts; gzipped ones are unpacked."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            with contextlib.suppress(OSError, EOFError):
                data += gzip.decompress(data)
            if _holds(data, texts) or any(text in path.name for text in texts):
                found.append(path.name)
    return found


async def rewrite_file(server: Server, client: Redis) -> Path:
    """Have the server write its append-only file anew, and return the folder where it is."""
    await client.bgrewriteaof()
    while True:
        told = await client.info("persistence")
        if not told["aof_rewrite_in_progress"] and not told["aof_rewrite_scheduled"]:
            break
    assert told["aof_last_bgrewrite_status"] == "ok"
    return server.folder / "appendonlydir"
