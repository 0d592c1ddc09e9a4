"""G31: looking back into a hundred thousand events takes little memory, with base snapshots and without."""

from __future__ import annotations

import asyncio
import sys

from sessionstream import SessionManager
from tests.servers import Server
from tests.time_travel.conftest import bases_of, talk

EVENTS, MOST_MEGABYTES = 100_000, 100

_LOOK_BACK = """
import asyncio, resource, sys
from pathlib import Path
from sessionstream import SessionManager

def most_bytes():
    # Linux counts what the process was before this program began among its maximum; its file does not.
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])

async def main():
    async with SessionManager(url=sys.argv[1], namespace=sys.argv[2]) as manager:
        known = await manager.audit.as_of("s", 90_000)
        assert known.version == 90_000
        found = await manager.audit.diff("s", 5, 99_990)
        assert found.messages_added > 99_000, found.types
        assert (await manager.audit.fork("s", at=90_000)).metadata == known.metadata

asyncio.run(main())
print(most_bytes() / 1e6)
"""


async def test_a_hundred_thousand_events_take_less_than_a_hundred_megabytes(
    manager: SessionManager, server: Server, namespace: str
) -> None:
    """The whole process, whose most is looked at in the end; of the events no more than some pages are held."""
    await manager.create_session("user_1", "assistant", {"topic": "weather"}, session_id="s")
    for turn in range(10):
        await manager.update_session_metadata("s", {"turn": turn})
        await talk(manager, "s", EVENTS // 10)
    assert len(await bases_of(manager, "s")) > 50
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _LOOK_BACK, server.unix_url, namespace), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert float(out) < MOST_MEGABYTES
        await manager.store.server.call("DEL", manager.store.keys.bases("s"))
