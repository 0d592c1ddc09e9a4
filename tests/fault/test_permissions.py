"""Users of a server whose rules allow them less: what they may do works, the rest is refused with nothing written.

G3, G5.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from sessionstream import OutcomeUnknown, SessionManager
from sessionstream.errors import AuthenticationFailed
from tests.fault.conftest import Open
from tests.fault.ledger import Ledger
from tests.proxy import Fault, Proxy
from tests.servers import Server
from tests.sessions.waiting import until


@pytest.fixture
async def admin(real: Server) -> AsyncIterator[Redis]:
    """Somebody who makes users."""
    async with Redis.from_url(real.url) as client:
        yield client


@pytest.fixture
async def owner(real: Server, open_manager: Open) -> SessionManager:
    """A manager of somebody who may do everything."""
    return open_manager(real.unix_url)


@pytest.fixture
async def told(owner: SessionManager) -> Ledger:
    """A session with one note."""
    ledger = Ledger((await owner.create_session("user_1", "assistant")).session_id)
    await ledger.append(owner, "the owner's")
    return ledger


async def _user(admin: Redis, real: Server, name: str, *rules: str) -> str:
    await admin.execute_command("ACL", "SETUSER", name, "on", f">{name}", *rules)
    return f"unix://{name}:{name}@{real.socket}"


async def test_a_reader_reads_and_is_refused_to_write(
    admin: Redis, real: Server, owner: SessionManager, told: Ledger, open_manager: Open
) -> None:
    """Its rules allow commands that read, and nothing else."""
    rules = ["~faults:*", "resetchannels", "-@all", "+@read", "+@connection", "+time", "-script", "-eval", "-evalsha"]
    reader = open_manager(await _user(admin, real, "reader", *rules))
    assert (await reader.get_session(told.session_id)) is not None
    assert [event.version async for event in reader.history(told.session_id)] == [1, 2]
    refused = await told.append(reader, "the reader's")
    assert isinstance(refused, AuthenticationFailed)
    assert isinstance(refused, PermissionError)
    with pytest.raises(AuthenticationFailed):
        await reader.create_session("user_1", "assistant")
    assert await told.balance(owner) == ["the owner's"]
    assert await owner.get_total_session_count() == 1


async def test_a_user_of_other_keys_is_refused(
    admin: Redis, real: Server, owner: SessionManager, told: Ledger, open_manager: Open
) -> None:
    """Reads and writes; its own namespace is its own."""
    stranger = await _user(admin, real, "stranger", "+@all", "~strange:*")
    refused = await told.append(open_manager(stranger), "the stranger's")
    assert isinstance(refused, AuthenticationFailed)
    with pytest.raises(AuthenticationFailed):
        await open_manager(stranger).get_session(told.session_id)
    mine = open_manager(stranger, namespace="strange")
    ledger = Ledger((await mine.create_session("user_1", "assistant")).session_id)
    await ledger.append(mine, "my own")
    assert await ledger.balance(mine) == ["my own"]
    assert await told.balance(owner) == ["the owner's"]


async def test_a_user_that_may_not_ask_about_the_server_is_served(
    admin: Redis, real: Server, owner: SessionManager, told: Ledger, open_manager: Open
) -> None:
    """What the store would like to know at the start is not what it needs."""
    plain = open_manager(await _user(admin, real, "plain", "~faults:*", "+@all", "-info", "-client|id"))
    await told.append(plain, "the plain one's")
    assert await told.balance(owner) == ["the owner's", "the plain one's"]


@pytest.mark.parametrize("forbidden", ["client|kill", "client|id"])
async def test_who_may_not_fence_does_not_repeat(
    admin: Redis, real: Server, owner: SessionManager, told: Ledger, open_manager: Open, forbidden: str
) -> None:
    """A write whose answer was lost is unknown, since a second copy might make two events; reads are repeated."""
    url = await _user(admin, real, "weak", "~faults:*", "+@all", f"-{forbidden}")
    with Proxy(real.socket) as proxy:
        weak = open_manager(url.replace(str(real.socket), proxy.url.removeprefix("unix://")))
        await told.append(weak, "one")
        for fault in (Fault.LOSE_REPLY, Fault.LATE_REQUEST):
            proxy.arm(fault)
            assert isinstance(await told.append(weak, fault.name), OutcomeUnknown)
            proxy.deliver()
        proxy.arm(Fault.LOSE_REPLY, b"HGETALL")
        assert await weak.get_session(told.session_id) is not None
        await told.append(weak, "two")
    assert await told.balance(owner) == ["the owner's", "one", "LOSE_REPLY", "LATE_REQUEST", "two"]


async def test_a_user_that_is_taken_away_is_refused(
    admin: Redis, real: Server, owner: SessionManager, told: Ledger, open_manager: Open
) -> None:
    """Its connection is ended, and the next one is not made."""
    leaver = open_manager(await _user(admin, real, "leaver", "~faults:*", "+@all"))
    await told.append(leaver, "before")
    await admin.execute_command("ACL", "DELUSER", "leaver")
    # The server ends the connection behind its answer; what is sent before that is seen would be unknown.
    await until(lambda: leaver.store.server.open_lane() is None)
    assert isinstance(await told.append(leaver, "after"), AuthenticationFailed)
    assert await told.balance(owner) == ["the owner's", "before"]


async def test_what_is_forbidden_inside_a_script_is_a_matter_of_permission(
    admin: Redis, real: Server, owner: SessionManager, told: Ledger, open_manager: Open
) -> None:
    """The server tells it without the code of other refusals."""
    url = await _user(admin, real, "untimely", "~faults:*", "&faults:*", "+@all", "-time")
    refused = await told.append(open_manager(url), "refused")
    assert isinstance(refused, AuthenticationFailed)
    assert "the ACL of this user" in str(refused)
    assert await told.balance(owner) == ["the owner's"]
