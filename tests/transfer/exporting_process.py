"""An export as a process of its own, which says when it has noted its position, and waits there to be killed."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from pathlib import Path

from sessionstream import SessionManager
from sessionstream.transfer import outward
from sessionstream.transfer.cursor import Cursor


async def main(url: str, namespace: str, shape: str, output: str, cursor: str, last: str) -> None:
    """Export, noting the position after every 64 KiB, up to the one of that number: there it waits to be cancelled."""
    outward._SAVE_BYTES = 64 * 1024
    save, numbers, task = Cursor.save, itertools.count(1), asyncio.current_task()
    assert task is not None

    def say(self: Cursor, path: Path) -> None:
        save(self, path)
        print(self.items, flush=True)
        if next(numbers) == int(last):
            # Whoever sends the signal may be slower than the export is.
            while not task.cancelling():
                time.sleep(0.001)

    Cursor.save = say  # type: ignore[method-assign]
    async with SessionManager.open(url, namespace=namespace) as manager:
        wanted = outward.Wanted(shape)
        await outward.export_to_file(manager.store, Path(output), wanted, cursor=Path(cursor))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
