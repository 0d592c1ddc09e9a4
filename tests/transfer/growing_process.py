"""An export, and an import of it, as a process of its own that tells by how many MB it grew meanwhile."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from sessionstream import SessionManager
from sessionstream.transfer import Wanted, export_to_file, import_events
from sessionstream.transfer.sources import LineSource


def megabytes() -> float:
    """Return the most memory that the process has had so far: not what its parent had, as getrusage does."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1e3


async def main(url: str, namespace: str, shape: str, folder: str) -> None:
    """Do it for a small session, then for a large one; events are imported into another namespace."""
    async with (
        SessionManager.open(url, namespace=namespace) as manager,
        SessionManager.open(url, namespace=f"{namespace}-copy") as copy,
    ):

        async def work(session_id: str) -> int:
            path = Path(folder) / f"{session_id}.out"
            wanted = Wanted(shape, [session_id])
            done = await export_to_file(manager.store, path, wanted, cursor=Path(folder) / "cursor")
            if shape == "events":
                with path.open("rb") as file:
                    restored = await import_events(copy.store, LineSource(file))
                assert (restored.events, restored.failures) == (done.items, [])
            return done.items

        await work("small")
        before = megabytes()
        print(await work("large"), megabytes() - before)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
