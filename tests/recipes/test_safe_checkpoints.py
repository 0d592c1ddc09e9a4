"""`save_checkpoint_safe`: without the named fields, encrypted with the caller's key, and back again."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import pytest
from cryptography.fernet import Fernet, MultiFernet
from redis.asyncio import Redis

from sessionstream import Checkpoint, Session, SessionManager
from sessionstream.errors import InvalidArgument, InvalidData, InvalidType
from sessionstream.recipes import load_checkpoint_safe, save_checkpoint_safe

DATA: dict[str, Any] = {
    "api_key": "sk-secret",
    "history": [{"role": "user", "content": "Hi", "password": "pw-secret"}],
    "settings": {"api_key": "sk-secret", "language": "zh-CN", "deep": [[{"password": "pw-secret"}]]},
}
SAFE = {"history": [{"role": "user", "content": "Hi"}], "settings": {"language": "zh-CN", "deep": [[{}]]}}


@pytest.fixture(autouse=True)
async def session(manager: SessionManager) -> Session:
    """The session whose checkpoints are saved."""
    return await manager.create_session("user_1", "agent_1", session_id="sess_1")


async def _stored(manager: SessionManager, checkpoint_id: str) -> Any:
    checkpoint = await manager.get_checkpoint("sess_1", checkpoint_id)
    assert checkpoint is not None
    return checkpoint.data


async def _loaded(manager: SessionManager, checkpoint_id: str | None = None, **options: Any) -> Any:
    checkpoint = await load_checkpoint_safe(manager, "sess_1", checkpoint_id, **options)
    assert isinstance(checkpoint, Checkpoint)
    return checkpoint.data


async def test_the_named_fields_are_removed_at_every_depth(manager: SessionManager) -> None:
    """Also from dicts in lists; without a key what is left can be read."""
    assert await _stored(manager, await save_checkpoint_safe(manager, "sess_1", DATA)) == SAFE


async def test_the_caller_s_data_stays_as_it_is(manager: SessionManager) -> None:
    """A copy was made."""
    before = json.dumps(DATA)
    await save_checkpoint_safe(manager, "sess_1", DATA, key=Fernet.generate_key())
    assert json.dumps(DATA) == before


async def test_which_fields_are_removed_is_the_caller_s_word(manager: SessionManager) -> None:
    """The usual ones then stay, unless they are named too; what the store redacts it redacts."""
    saved = await save_checkpoint_safe(manager, "sess_1", {"token": 1, "password": 2, "a": 3}, remove=["token"])
    assert await _stored(manager, saved) == {"password": "[redacted: password]", "a": 3}


async def test_with_a_key_only_the_encrypted_text_is_stored(manager: SessionManager, client: Redis) -> None:
    """Nothing that the server holds, or its log of events, has a word of the data."""
    saved = await save_checkpoint_safe(manager, "sess_1", {"word": "Rumpelstiltskin"}, key=Fernet.generate_key())
    stored = await _stored(manager, saved)
    assert stored.keys() == {"encrypted_data"}
    assert isinstance(stored["encrypted_data"], str)
    assert not await _holds(client, b"Rumpel")
    await save_checkpoint_safe(manager, "sess_1", {"word": "Rumpelstiltskin"})
    assert await _holds(client, b"Rumpel")


async def _holds(client: Redis, word: bytes) -> bool:
    return any([word in (await client.dump(key) or b"") async for key in client.scan_iter()])


_FERNET = Fernet.generate_key()


@pytest.mark.parametrize(
    "key",
    [_FERNET, _FERNET.decode(), Fernet(_FERNET), MultiFernet([Fernet(Fernet.generate_key()), Fernet(_FERNET)])],
    ids=["bytes", "str", "Fernet", "MultiFernet"],
)
async def test_what_was_encrypted_is_read_back_with_the_same_key(manager: SessionManager, key: Any) -> None:
    """A Fernet key, or what encrypts by itself."""
    saved = await save_checkpoint_safe(manager, "sess_1", DATA, key=key)
    assert await _loaded(manager, saved, key=key) == SAFE
    assert await _loaded(manager, key=key) == SAFE


async def test_a_fernet_of_the_same_key_reads_it_too(manager: SessionManager) -> None:
    """The stored text is a Fernet token of the JSON, and nothing of this library's own."""
    stored = await _stored(manager, await save_checkpoint_safe(manager, "sess_1", DATA, key=_FERNET))
    assert json.loads(Fernet(_FERNET).decrypt(stored["encrypted_data"])) == SAFE


async def test_a_function_can_encrypt(manager: SessionManager) -> None:
    """It takes the JSON text, as in the first document; the one that decrypts takes what was stored."""

    def encrypt(text: str) -> bytes:
        return base64.b64encode(text.encode())

    saved = await save_checkpoint_safe(manager, "sess_1", DATA, key=encrypt)
    assert json.loads(base64.b64decode((await _stored(manager, saved))["encrypted_data"])) == SAFE
    assert await _loaded(manager, saved, key=base64.b64decode) == SAFE


async def test_an_async_function_can_encrypt(manager: SessionManager) -> None:
    """Where the key lies elsewhere."""

    async def turn(text: str) -> str:
        return text[::-1]

    saved = await save_checkpoint_safe(manager, "sess_1", DATA, key=turn)
    assert await _loaded(manager, saved, key=turn) == SAFE


async def test_the_rest_of_a_checkpoint_is_as_it_was(manager: SessionManager) -> None:
    """Its id, its offset and its time."""
    saved = await save_checkpoint_safe(manager, "sess_1", DATA, key=_FERNET)
    plain, loaded = (
        await manager.get_checkpoint("sess_1", saved),
        await load_checkpoint_safe(manager, "sess_1", saved, key=_FERNET),
    )
    assert plain is not None
    assert loaded is not None
    assert {**loaded, "data": None} == {**plain, "data": None}


async def test_a_checkpoint_that_is_not_encrypted_is_read_as_it_is(manager: SessionManager) -> None:
    """With a key and without."""
    saved = await manager.save_checkpoint("sess_1", {"a": 1})
    assert await _loaded(manager, saved, key=_FERNET) == {"a": 1}
    assert await _loaded(manager, saved) == {"a": 1}


async def test_without_a_checkpoint_there_is_none(manager: SessionManager) -> None:
    """The latest, or one of that id."""
    assert await load_checkpoint_safe(manager, "sess_1", key=_FERNET) is None
    assert await load_checkpoint_safe(manager, "sess_1", "ckpt_1", key=_FERNET) is None


@pytest.mark.parametrize(
    ("key", "problem"),
    [(None, "give its key"), (Fernet.generate_key(), "another one"), ("short", "key"), (lambda text: "{", "JSON")],
    ids=["none", "another", "malformed", "wrong function"],
)
async def test_without_the_right_key_it_is_not_read(manager: SessionManager, key: Any, problem: str) -> None:
    """What is wrong is said."""
    await save_checkpoint_safe(manager, "sess_1", DATA, key=_FERNET)
    with pytest.raises(InvalidArgument, match=problem):
        await load_checkpoint_safe(manager, "sess_1", key=key)


@pytest.mark.parametrize("key", [b"short", 7, lambda text: 7, lambda text: b"\xff"], ids=["short", "int", "7", "bytes"])
async def test_a_key_that_does_not_encrypt_is_refused(manager: SessionManager, key: Any) -> None:
    """Nothing is saved."""
    with pytest.raises(InvalidArgument):
        await save_checkpoint_safe(manager, "sess_1", DATA, key=key)
    assert await manager.list_checkpoints("sess_1") == []


async def test_what_json_would_change_is_refused_before_it_is_encrypted(manager: SessionManager) -> None:
    """Its path is named, however deep."""
    for key in (None, _FERNET):
        with pytest.raises(InvalidData, match=r"data.a\[0\]"):
            await save_checkpoint_safe(manager, "sess_1", {"a": [{1, 2}]}, key=key)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidData):
        await save_checkpoint_safe(manager, "sess_1", endless, key=_FERNET)


async def test_one_string_is_not_a_list_of_names(manager: SessionManager) -> None:
    """Its letters are no fields."""
    with pytest.raises(InvalidType, match="remove"):
        await save_checkpoint_safe(manager, "sess_1", {}, remove="password")


async def test_without_cryptography_the_error_names_the_extra(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is saved, least of all in the clear; functions and no encryption go on working."""
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    with pytest.raises(InvalidArgument, match=r"sessionstream\[crypto\]"):
        await save_checkpoint_safe(manager, "sess_1", DATA, key=_FERNET)
    assert await manager.list_checkpoints("sess_1") == []
    await save_checkpoint_safe(manager, "sess_1", DATA, key=lambda text: text)
    await save_checkpoint_safe(manager, "sess_1", DATA)
