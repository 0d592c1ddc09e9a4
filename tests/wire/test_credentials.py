"""Users and passwords: named in the URL, or given by a provider that changes them while everything runs.

G20.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.credentials import CredentialProvider

from sessionstream import Appended, NoteAdded, SessionManager
from sessionstream.errors import AuthenticationFailed
from tests.servers import Server

Open = Callable[..., SessionManager]


class Passwords(CredentialProvider):
    """Gives whatever password is the right one now."""

    def __init__(self, password: str) -> None:
        self.password = password

    def get_credentials(self) -> tuple[str, str]:
        """Return user and password."""
        return "app", self.password

    async def get_credentials_async(self) -> tuple[str, str]:
        """Return the same."""
        return self.get_credentials()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server of these tests' own, whose users they change."""
    with Server() as server:
        yield server


@pytest.fixture
async def admin(guarded: Server) -> AsyncIterator[Redis]:
    """Who may change users; there is one, ``app``, with the password ``first``."""
    async with Redis(unix_socket_path=str(guarded.socket)) as client:
        await client.execute_command("ACL", "SETUSER", "app", "reset", "on", ">first", "~*", "&*", "+@all")
        yield client
        await client.flushall()


@pytest.fixture
async def open_manager() -> AsyncIterator[Open]:
    """Open a manager of a URL or a client, which is closed after the test."""
    opened: list[SessionManager] = []

    def make(place: Any, **settings: Any) -> SessionManager:
        where = {"url": place} if isinstance(place, str) else {"conn": place}
        opened.append(SessionManager(**where, namespace="users", **settings))
        return opened[-1]

    yield make
    for manager in opened:
        await manager.aclose()


async def rotate(admin: Redis, password: str) -> None:
    """Give the user another password, revoke the old one, and end all connections that were made with it."""
    await admin.execute_command("ACL", "SETUSER", "app", "resetpass", f">{password}")
    await admin.execute_command("CLIENT", "KILL", "USER", "app")


def url_of(guarded: Server, password: str) -> str:
    """Return the server's URL for the user."""
    return guarded.url.replace("redis://", f"redis://app:{password}@")


async def test_a_user_is_named_in_the_url(guarded: Server, admin: Redis, open_manager: Open) -> None:
    """With a password, whatever characters it has."""
    await rotate(admin, "p@ss/w:rd")
    manager = open_manager(url_of(guarded, "p%40ss%2Fw%3Ard"))
    await manager.create_session("user", "agent")
    assert "app" in {client["user"] for client in await admin.client_list()}


async def test_a_wrong_password_is_refused_at_once(guarded: Server, admin: Redis, open_manager: Open) -> None:
    """It is not repeated in the error."""
    with pytest.raises(AuthenticationFailed, match="password") as caught:
        await asyncio.wait_for(open_manager(url_of(guarded, "mistaken")).create_session("user", "agent"), 5)
    assert "mistaken" not in str(caught.value)


async def test_a_user_without_rights_is_refused(guarded: Server, admin: Redis, open_manager: Open) -> None:
    """With the server's words for what is missing; nothing is written."""
    await admin.execute_command("ACL", "SETUSER", "app", "-@write", "-evalsha")
    with pytest.raises(AuthenticationFailed, match="ACL"):
        await open_manager(url_of(guarded, "first")).create_session("user", "agent")
    assert await admin.dbsize() == 0


async def test_a_password_that_is_rotated_meanwhile_loses_and_doubles_nothing(
    guarded: Server, admin: Redis, open_manager: Open
) -> None:
    """The provider is asked at each connection; what was under way is repeated on the next one, once."""
    provider = Passwords("first")
    manager = open_manager(Redis(host="127.0.0.1", port=guarded.port, credential_provider=provider))
    ids = [(await manager.create_session("user", "agent")).session_id for _ in range(8)]
    appended: list[Appended] = []
    rotating = True

    async def write(session_id: str) -> None:
        while rotating:
            appended.append(await manager.append(session_id, NoteAdded(text="x")))

    writers = [asyncio.create_task(write(session_id)) for session_id in ids]
    for number in range(5):
        before = len(appended)
        provider.password = f"password-{number}"
        await rotate(admin, provider.password)
        while len(appended) < before + 100:
            await asyncio.sleep(0.005)
    rotating = False
    await asyncio.gather(*writers)
    offsets = {(one.session_id, one.offset) for one in appended}
    found = {
        (session_id, event.offset) for session_id in ids async for event in manager.history(session_id, from_version=2)
    }
    assert len(appended) == len(offsets)
    assert found == offsets


async def test_a_provider_that_lags_behind_is_waited_for(guarded: Server, admin: Redis, open_manager: Open) -> None:
    """A password that was good and is no more may be another one in a moment."""
    provider = Passwords("first")
    manager = open_manager(Redis(host="127.0.0.1", port=guarded.port, credential_provider=provider))
    session_id = (await manager.create_session("user", "agent")).session_id
    await rotate(admin, "second")
    appending = asyncio.create_task(manager.append(session_id, NoteAdded(text="x")))
    done, _ = await asyncio.wait([appending], timeout=0.2)
    assert not done
    provider.password = "second"
    assert (await appending).version == 2


async def test_a_provider_that_was_never_right_is_not_waited_for(
    guarded: Server, admin: Redis, open_manager: Open
) -> None:
    """That is a mistake, and is told at once."""
    client = Redis(host="127.0.0.1", port=guarded.port, credential_provider=Passwords("mistaken"))
    with pytest.raises(AuthenticationFailed):
        await asyncio.wait_for(open_manager(client).create_session("user", "agent"), 5)
