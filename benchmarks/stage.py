"""Where a benchmark takes place: a real server of its own, a store on it, and the usual client beside it."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from redis.asyncio import Redis

from benchmarks import payloads
from sessionstream import SessionManager
from tests.servers import Server

__all__ = ["TASKS", "Options", "Stage", "command_stats", "make_sessions", "options_of", "place_of", "staged"]

TASKS = 256

# A rewrite of the append-only file would meet one contestant and not another.
SETTINGS: dict[str, Any] = {"auto_aof_rewrite_percentage": 0}


@dataclass(frozen=True)
class Options:
    """How a script is run.

    Attributes:
        rounds: how many rounds count.
        quick: small numbers: to see that it runs, not to measure.
        tcp: over TCP on the loopback interface, instead of a unix socket.
        plot: where to write a plot, if the script makes one.
    """

    rounds: int
    quick: bool = False
    tcp: bool = False
    plot: str | None = None

    def few(self, many: int, few: int) -> int:
        """Return the first number, or the second one where it is to be quick."""
        return few if self.quick else many


@dataclass(frozen=True)
class Stage:
    """A server, a store on it, and the usual client.

    Attributes:
        server: the server's process.
        url: its URL.
        manager: of a fresh namespace.
        client: redis-py's asyncio client as one makes it: a pool of up to 256 connections, hiredis, bytes.
    """

    server: Server
    url: str
    manager: SessionManager
    client: Redis


def options_of(
    arguments: list[str], name: str, document: str | None, *, rounds: int, plot: str | None = None
) -> Options:
    """Return the options of a script's command line.

    Args:
        arguments: the words behind the script's name.
        name: the script's.
        document: its docstring, of which the first line is shown as help.
        rounds: how many rounds it has unless told otherwise.
        plot: where its plot is written unless told otherwise, if it makes one.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=(document or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, help=f"how many rounds count ({rounds}; quick: 2)")
    parser.add_argument("--quick", action="store_true", help="small numbers: to see that it runs, not to measure")
    parser.add_argument("--tcp", action="store_true", help="over TCP on the loopback interface, not a unix socket")
    if plot is not None:
        parser.add_argument("--plot", default=plot, help=f"where to write the plot ({plot})")
    given = vars(parser.parse_args(arguments))
    return Options(**{**given, "rounds": given["rounds"] or (2 if given["quick"] else rounds)})


@asynccontextmanager
async def staged(options: Options, *, partitions: int = 16, **settings: Any) -> AsyncIterator[Stage]:
    """Start a server with its append-only file on, and open a store and the usual client on it.

    Args:
        options: of the script.
        partitions: of the store's namespace.
        settings: of the server, such as ``appendfsync``.
    """
    with Server(**(SETTINGS | settings)) as server:
        url = server.url if options.tcp else server.unix_url
        client = Redis.from_url(url, max_connections=TASKS)
        async with SessionManager(url=url, namespace="bench", partitions=partitions) as manager:
            yield Stage(server, url, manager, client)
        await client.aclose()


async def make_sessions(manager: SessionManager, count: int) -> list[str]:
    """Create sessions, each of a user of its own, with metadata as an agent's runtime keeps it; return their ids."""
    metadata = {"language": "en-GB", "tier": "premium", "timezone": "Europe/London"}
    made = await asyncio.gather(*(manager.create_session(f"user{one}", "agent", metadata) for one in range(count)))
    return [session.session_id for session in made]


async def place_of(client: Redis) -> dict[str, Any]:
    """Return what the measuring took place on."""
    found = await client.info("server")
    return {
        "server": f"{found.get('server_name', 'redis')} {found.get('valkey_version', found['redis_version'])}",
        "Python": platform.python_version(),
        "redis-py": version("redis"),
        "hiredis": version("hiredis"),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "payloads": payloads.source(),
    }


async def command_stats(client: Redis, command: str) -> tuple[int, int]:
    """Return how often the server has run a command, and the microseconds that took it in all."""
    found = (await client.info("commandstats")).get(f"cmdstat_{command}", {})
    return found.get("calls", 0), found.get("usec", 0)
