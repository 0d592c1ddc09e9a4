"""A projection into SQLite, exactly once: the position is stored in the transaction that changes the view.

    python docs/examples/sqlite_projection.py tokens.db

A consumer group gives every event at least once, and each session's in order. So it is enough to note, in the same
transaction, up to which offset a session is in the view: what comes again is at that offset or in front of it. That
holds whatever happens: this process may be killed at any moment, its partition may go to another one while it is
paused, parked events may be replayed, the group may be set back to the beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys

from sessionstream import SessionManager, UsageRecorded
from sessionstream.consumers import Item

TABLES = """
CREATE TABLE IF NOT EXISTS tokens (agent TEXT, model TEXT, tokens INTEGER, PRIMARY KEY (agent, model));
CREATE TABLE IF NOT EXISTS positions (session TEXT PRIMARY KEY, ms INTEGER, version INTEGER, agent TEXT);
"""


class TokensByModel:
    """How many tokens each agent has used of each model."""

    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(path)
        self.database.executescript(TABLES)

    def apply(self, item: Item) -> None:
        """Change the view and the position of the session in one transaction; what is in the view changes nothing."""
        ms, version = map(int, item.event.offset.split("-"))
        with self.database:
            row = self.database.execute(
                "SELECT ms, version, agent FROM positions WHERE session = ?", (item.session_id,)
            ).fetchone()
            if row is not None and (ms, version) <= row[:2]:
                return
            agent = item.data.agent_id if item.event.type == "session.created" else row[2] if row else ""
            self.database.execute(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)", (item.session_id, ms, version, agent)
            )
            if isinstance(item.data, UsageRecorded):
                self.database.execute(
                    "INSERT INTO tokens VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens",
                    (agent, item.data.model, item.data.input_tokens + item.data.output_tokens),
                )

    def rows(self) -> list[tuple[str, str, int]]:
        """Return the view."""
        return self.database.execute("SELECT * FROM tokens ORDER BY agent, model").fetchall()


async def keep_up(manager: SessionManager, view: TokensByModel) -> None:
    """Keep the view up to date until cancelled; several processes may do so, each with a file of its own group."""

    async def handle(item: Item) -> None:
        view.apply(item)

    async with manager.consumers.join("tokens-by-model", handle) as consumer:
        await consumer.run()


async def main(path: str) -> None:
    """Let two agents use some tokens, and print what the view holds then."""
    view = TokensByModel(path)
    async with SessionManager.open() as manager:
        keeping_up = asyncio.create_task(keep_up(manager, view))
        for agent in ("support", "billing"):
            session = await manager.create_session("user_123", agent)
            for tokens in (100, 20):
                await manager.append(session.session_id, UsageRecorded(model="small", input_tokens=tokens))
        while not (keeping_up.done() or await caught_up(manager)):
            await asyncio.sleep(0.05)
        keeping_up.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping_up  # raises what has ended it before
    for agent, model, count in view.rows():
        print(f"{agent:10} {model:10} {count:>8}")


async def caught_up(manager: SessionManager) -> bool:
    """Whether everything that was appended is in the view."""
    return "tokens-by-model" in await manager.consumers.groups() and (
        (await manager.consumers.status("tokens-by-model")).lag == 0
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
