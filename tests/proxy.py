"""A proxy between a client and a real server, which does to the bytes what networks do.

It runs an event loop in a thread of its own, so a test can steer it from any loop or from none, and it goes on while
the test's own loop is busy. Faults are armed for the next request that contains a mark; everything else passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Fault", "Proxy"]

Result = TypeVar("Result")

_CHUNK = 256 * 1024


class Fault(enum.Enum):
    """What can happen to one request; after each of the first four the client sees its connection closed."""

    LOSE_REQUEST = "the request never arrives"
    LOSE_REPLY = "the request is executed, and its reply is lost"
    HALF_REPLY = "the request is executed, and its reply is cut in the middle"
    LATE_REQUEST = "the request arrives, but only when `Proxy.deliver` is called"
    NO_REPLY = "the request is executed, and nothing comes back, on a connection that stays open"


class Proxy:
    """Listens on a unix socket and on a port of the loopback interface, and passes all on to one server.

    Args:
        server: the unix socket of the server.
        credentials: what the server's URL has in front of its address, such as ``:password@``.
        keep_requests: whether `requests` keeps what clients send.

    Attributes:
        port: on 127.0.0.1.
        request_delay: seconds for which each piece of a request is kept back.
        reply_delay: seconds for which each piece of a reply is kept back.
        reply_filter: what is passed on instead of each piece of a reply.
        connections: how many connections were made so far.
        requests: what clients have sent so far, as it came in.
    """

    def __init__(self, server: Path, credentials: str = "", *, keep_requests: bool = True) -> None:
        self._upstream = str(server)
        self._credentials = credentials
        self._keeps_requests = keep_requests
        self._folder = Path(tempfile.mkdtemp(prefix="sst-proxy-"))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._links: set[_Link] = set()
        self._servers: list[asyncio.Server] = []
        self._open = asyncio.Event()
        self._armed: list[tuple[Fault, bytes]] = []
        self._late: list[tuple[_Link, bytes]] = []
        self.request_delay = self.reply_delay = 0.0
        self.hold_requests = self.hold_replies = False
        self.reply_filter: Callable[[bytes], bytes] | None = None
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Its address over the unix socket."""
        return f"unix://{self._credentials}{self._folder / 's'}"

    @property
    def tcp_url(self) -> str:
        """Its address over TCP."""
        return f"redis://{self._credentials}127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections are open on the clients' side."""
        return sum(not link.severed for link in list(self._links))

    @property
    def armed(self) -> int:
        """How many faults have not happened yet."""
        return len(self._armed)

    def arm(self, fault: Fault, mark: bytes = b"EVALSHA") -> None:
        """Let this happen to the next request that contains the mark."""
        self._armed.append((fault, mark))

    def deliver(self) -> None:
        """Let every late request arrive, on the connection that carried it, if the server has not closed that."""
        self._run(self._deliver())

    def cut(self) -> None:
        """Close all connections; new ones are accepted."""
        self._run(self._cut())

    def half_open(self) -> None:
        """Close the servers' side of all connections; the clients' side stays open, and nothing comes back on it."""
        self._run(self._half_open())

    def refuse(self) -> None:
        """Close all connections, and close new ones as soon as they are made."""
        self._call(self._open.clear)
        self.cut()

    def accept(self) -> None:
        """Accept new connections again."""
        self._call(self._open.set)

    def hold(self, *, requests: bool = False, replies: bool = False) -> None:
        """Keep bytes back, in one direction or in both, until `release`."""
        self.hold_requests, self.hold_replies = requests, replies

    def release(self) -> None:
        """Pass on what was kept back, and everything from now on."""
        self.hold_requests = self.hold_replies = False
        self._call(lambda: [link.wake.set() for link in self._links])

    def fault_for(self, data: bytes) -> Fault | None:
        """Take the fault that is armed for this request, if there is one."""
        for number, (fault, mark) in enumerate(self._armed):
            if mark in data:
                del self._armed[number]
                return fault
        return None

    def note_request(self, data: bytes) -> None:
        """Keep what a client sent, where that is wanted."""
        if self._keeps_requests:
            self.requests.append(data)

    def keep_for_later(self, link: _Link, data: bytes) -> None:
        """Note a request that `deliver` sends."""
        self._late.append((link, data))

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _call(self, function: Callable[[], Any]) -> None:
        async def call() -> None:
            function()

        self._run(call())

    async def _listen(self) -> None:
        self._open.set()
        tcp = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = tcp.sockets[0].getsockname()[1]
        self._servers = [tcp, await asyncio.start_unix_server(self._accepted, self._folder / "s")]

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open.is_set():
            writer.close()
            return
        self.connections += 1
        # asyncio's own callback would complain of a cancelled handler when the proxy stops.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            link = _Link(self, reader, writer, *await asyncio.open_unix_connection(self._upstream))
            self._links.add(link)
            try:
                await link.pump()
            finally:
                self._links.discard(link)
            return
        writer.close()

    async def _deliver(self) -> None:
        late, self._late = self._late, []
        for link, data in late:
            await link.deliver(data)

    async def _cut(self) -> None:
        for link in list(self._links):
            link.close()

    async def _half_open(self) -> None:
        for link in list(self._links):
            link.half_open()

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        await self._cut()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Link:
    """One client's connection, and the one to the server that belongs to it."""

    def __init__(
        self,
        proxy: Proxy,
        from_client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._from_client = from_client
        self._to_client = to_client
        self._from_server = from_server
        self._to_server = to_server
        self._reply_fault: Fault | None = None
        self._keeps_upstream = self._half = False
        self._ended = asyncio.Event()
        self.wake = asyncio.Event()
        self.severed = False

    async def pump(self) -> None:
        """Pass bytes on until both sides are done."""
        with contextlib.suppress(OSError):
            await asyncio.gather(self._requests(), self._replies())
        self.close()
        self._ended.set()

    def sever(self) -> None:
        """Close the client's side alone."""
        self.severed = True
        self._to_client.close()

    def close(self) -> None:
        """Close both sides."""
        self.sever()
        self._to_server.close()

    def half_open(self) -> None:
        """Close the server's side alone, and swallow what the client goes on sending."""
        self._half = True
        self._to_server.close()

    async def deliver(self, data: bytes) -> None:
        """Send a late request, and wait until the server has dealt with it and closed."""
        with contextlib.suppress(OSError):
            self._to_server.write(data)
            self._to_server.write_eof()
        await self._ended.wait()

    async def _requests(self) -> None:
        while data := await self._from_client.read(_CHUNK):
            self._proxy.note_request(data)
            await self._pause(self._proxy.request_delay, lambda: self._proxy.hold_requests)
            if self._half:
                continue
            fault = self._proxy.fault_for(data)
            if fault is Fault.LOSE_REQUEST:
                self.close()
                return
            if fault is Fault.LATE_REQUEST:
                self._keeps_upstream = True
                self._proxy.keep_for_later(self, data)
                self.sever()
                return
            self._reply_fault = fault or self._reply_fault
            self._to_server.write(data)
            await self._to_server.drain()
        self.severed = True
        self._to_server.close()

    async def _replies(self) -> None:
        while data := await self._from_server.read(_CHUNK):
            await self._pause(self._proxy.reply_delay, lambda: self._proxy.hold_replies)
            if self._reply_fault is Fault.NO_REPLY or self._keeps_upstream:
                continue
            if self._reply_fault is Fault.HALF_REPLY:
                self._to_client.write(data[: len(data) // 2])
                await self._to_client.drain()
            if self._reply_fault is not None:
                self.close()
                return
            self._to_client.write(self._proxy.reply_filter(data) if self._proxy.reply_filter else data)
            await self._to_client.drain()
        if not self._half:
            self.sever()

    async def _pause(self, seconds: float, held: Callable[[], bool]) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        while held():
            self.wake.clear()
            await self.wake.wait()
