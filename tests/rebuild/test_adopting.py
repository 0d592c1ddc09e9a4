"""A namespace that is given other projections: only on request, and then to those alone (G8, G18)."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import NamespaceMismatch
from sessionstream.projection import view
from tests.projections.views import assert_folded, stored
from tests.rebuild.conftest import MakeManager, noting

pytestmark = pytest.mark.guarantee


async def _kept(client: Redis, namespace: str) -> dict[bytes, bytes]:
    return {key: await client.dump(key) async for key in client.scan_iter(match=f"{namespace}:*", count=1000)}


@pytest.fixture
async def plain(make_manager: MakeManager) -> SessionManager:
    """A manager without projections of the user's own, whose namespace has some sessions with notes."""
    manager = make_manager()
    for number in range(6):
        session = await manager.create_session("user", "agent", session_id=f"s{number}")
        await manager.append(session.session_id, [NoteAdded(text=f"note {n}") for n in range(number + 1)])
    return manager


async def test_a_new_projection_is_adopted(plain: SessionManager, make_manager: MakeManager) -> None:
    """Its views appear, of all that was ever appended, and from then on every append keeps them."""
    assert not any(":noting:" in key for key in await stored(plain.store))
    manager = make_manager(noting())
    await manager.rebuild(adopt=True)
    views = await assert_folded(manager)
    assert {key.split(":")[2] for key in views if ":noting:" in key} == {"view", "ranking", "index", "counters"}
    notes = [int(content[b"notes"]) for key, content in views.items() if ":counters:noting:" in key]
    assert sum(notes) == 21
    await manager.append("s0", NoteAdded(text="after"))
    await assert_folded(manager)


async def test_a_new_version_of_a_projection_is_adopted(make_manager: MakeManager) -> None:
    """Its views are those of the new functions, for old events too."""
    old, new = make_manager(noting(1)), make_manager(noting(2))
    await old.create_session("user", "agent", session_id="s")
    await old.append("s", NoteAdded(text="x"))
    await new.rebuild(adopt=True)
    key = new.store.keys.place("noting", view("notes"), "s")
    assert (await assert_folded(new))[key][b"version"] == b"2"


async def test_who_has_other_projections_is_refused_after_an_adoption(
    plain: SessionManager, make_manager: MakeManager, client: Redis, namespace: str
) -> None:
    """Also one that has written until then, in every partition; nothing is written."""
    await make_manager(noting()).rebuild(adopt=True)
    before = await _kept(client, namespace)
    for number in range(6):
        with pytest.raises(NamespaceMismatch):
            await plain.append(f"s{number}", NoteAdded(text="late"))
    with pytest.raises(NamespaceMismatch):
        await plain.set_session_state("s1", "idle")
    assert await _kept(client, namespace) == before


async def test_who_has_other_projections_can_read_after_an_adoption(
    plain: SessionManager, make_manager: MakeManager
) -> None:
    """The built-in views are the same."""
    await make_manager(noting()).rebuild(adopt=True)
    assert await plain.get_session("s1") is not None
    assert len([event async for event in plain.history("s1")]) == 3


@pytest.mark.parametrize("session_id", [None, "s1"], ids=["all", "one session"])
async def test_other_projections_rebuild_nothing_unless_they_are_adopted(
    plain: SessionManager, make_manager: MakeManager, client: Redis, namespace: str, session_id: str | None
) -> None:
    """Nothing is written."""
    before = await _kept(client, namespace)
    with pytest.raises(NamespaceMismatch):
        await make_manager(noting()).rebuild(session_id)
    assert await _kept(client, namespace) == before


async def test_another_number_of_partitions_is_never_adopted(
    plain: SessionManager, make_manager: MakeManager, client: Redis, namespace: str
) -> None:
    """Sessions would be looked for where they are not; nothing is written."""
    before = await _kept(client, namespace)
    for projections in ([], [noting()]):
        with pytest.raises(NamespaceMismatch):
            await make_manager(*projections, partitions=4).rebuild(adopt=True)
    assert await _kept(client, namespace) == before
