"""A process that uses a store: it does what it reads on its standard input, one word a line, and answers each."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from sessionstream.errors import EmbeddedUnavailable
from sessionstream.wire.embedded import EmbeddedServer

lease: EmbeddedServer | None = None


def do(word: str) -> str:
    """Do one thing, and return what came of it."""
    global lease
    if word == "acquire":
        lease = asyncio.run(EmbeddedServer.acquire(Path(sys.argv[1])))
        return lease.socket_path
    if word == "fork":
        return str(fork())
    assert lease is not None
    if word == "ensure":
        asyncio.run(lease.ensure())
        return lease.socket_path
    if word == "release":
        lease.release()
        return "released"
    return str(lease.alive())


def fork() -> int:
    """Go on as a child that obeys the same input; the parent waits for it, and then goes on itself."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return child


def main() -> None:
    """Obey until the input ends, or until the word is exit."""
    while (word := sys.stdin.readline().strip()) and word != "exit":
        try:
            answer = do(word)
        except EmbeddedUnavailable as error:
            answer = f"refused {error}".replace("\n", " | ")
        print(answer, flush=True)


if __name__ == "__main__":
    main()
