"""What holds in the end: everything that can be read, made anew, exported and brought back."""

from __future__ import annotations

from typing import Any

from sessionstream import SessionManager
from sessionstream.transfer import export_events, import_events
from tests.keys import assert_no_ownerless_keys
from tests.model.faults import Disturbed
from tests.model.machine import KEY, as_told, same
from tests.model.plain import SessionModel

__all__ = ["Whole"]


class Whole(Disturbed):
    """The machine with all of its steps, and what is held against the model when they are done."""

    def __init__(self) -> None:
        super().__init__()
        self.do(self.started())

    async def finished(self) -> None:
        """Hold everything that can be read against the model."""
        await super().finished()
        for session in self.model.sessions.values():
            await self._assert_history(session)
            await self._assert_moments(session)
        await self._assert_counts()
        before = await self._views()
        trimmed = any(session.trimmed for session in self.model.sessions.values())
        await self.writers[0].rebuild(archive=self.folder if trimmed else None)
        after = await self._views()
        differing = {
            key: (before.get(key), after.get(key)) for key in before | after if before.get(key) != after.get(key)
        }
        assert differing == {}, differing
        await self._assert_brought_back()
        await assert_no_ownerless_keys(self.client, self.namespace)

    async def _assert_history(self, session: SessionModel) -> None:
        session_id = session.session_id
        after = session.offset_at(session.trimmed) if session.trimmed else None
        found = [event async for event in self.watcher.history(session_id, after=after)]
        wanted = session.events[session.trimmed :]
        assert [event.offset for event in found] == [one.offset for one in wanted]
        assert all(same(event.data, one.event, self.known) for event, one in zip(found, wanted, strict=True))
        archived = (lambda one: self.watcher.retention.replay(one, self.folder)) if session.trimmed else None
        verified = await self.watcher.audit.verify(session_id, archived=archived)
        assert verified.ok, verified

    async def _assert_moments(self, session: SessionModel) -> None:
        for version in range(session.trimmed + 1, session.version + 1):
            known = await self.watcher.audit.as_of(session.session_id, version)
            self._assert_known(session, version, known)

    async def _views(self) -> dict[bytes, dict[bytes, Any]]:
        """Return every view of the namespace, as the server has it; an absent one is an empty one."""
        found: dict[bytes, dict[bytes, Any]] = {}
        async for key in self.client.scan_iter(match=f"{self.namespace}:*", count=1000):
            kind = key.partition(b"}:")[2].partition(b":")[0]
            if kind in (b"head", b"view", b"ranking", b"index", b"counters"):
                is_hash = await self.client.type(key) == b"hash"
                rows = self.client.hgetall(key) if is_hash else self.client.zrange(key, 0, -1, withscores=True)
                view = {name: value for name, value in dict(await rows).items() if name and value != b"0"}
                found |= {key: view} if view else {}
        return found

    async def _assert_brought_back(self) -> None:
        """G30: an export brings the sessions back as they are, but for those whose first events are gone."""
        whole = [session for session in self.model.sessions.values() if not session.trimmed]
        ids = [session.session_id for session in whole]
        lines = [line async for line in export_events(self.watcher.store, ids)]
        async with self.open(namespace=self.namespace + ".again", seal_key=KEY) as again:
            restored = await import_events(again.store, lines)
            assert (restored.created, restored.failures) == (len(ids), [])
            for session in whole:
                assert await _read(again, session.session_id) == await _read(self.watcher, session.session_id)
            assert [line async for line in export_events(again.store, ids)] == lines
        await assert_no_ownerless_keys(self.client, self.namespace + ".again")


async def _read(manager: SessionManager, session_id: str) -> Any:
    session = await manager.get_session(session_id)
    checkpoints = await manager.list_checkpoints(session_id, with_data=True)
    return (
        None if session is None else as_told(session),
        await manager.get_session_state(session_id),
        [(one.checkpoint_id, one.saved_at, one.offset, one.label, one.data) for one in checkpoints],
        await manager.retention.holds(session_id),
    )
