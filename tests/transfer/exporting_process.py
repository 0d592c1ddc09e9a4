"""An export as a process of its own, which says when it has noted its position, and can be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sessionstream import SessionManager
from sessionstream.transfer import outward
from sessionstream.transfer.cursor import Cursor


async def main(url: str, namespace: str, shape: str, output: str, cursor: str) -> None:
    """Export everything, noting the position after every 64 KiB."""
    outward._SAVE_BYTES = 64 * 1024
    save = Cursor.save

    def say(self: Cursor, path: Path) -> None:
        save(self, path)
        print(self.items, flush=True)

    Cursor.save = say  # type: ignore[method-assign]
    async with SessionManager.open(url, namespace=namespace) as manager:
        wanted = outward.Wanted(shape)
        await outward.export_to_file(manager.store, Path(output), wanted, cursor=Path(cursor))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
