"""Blocks 24 and 25: whose session it is, and a checkpoint without secrets."""

from __future__ import annotations

import json

import pytest

from tests.seed.stage import Stage


async def test_block_24_gives_a_session_to_its_owner_alone(stage: Stage) -> None:
    """To anybody else it is a `PermissionError`, and an unknown session a `ValueError`."""
    session = await stage.session()
    await stage.run(24)
    validate = stage["validate_session_access"]
    assert await validate("sess_abc123", "user_123") == session
    with pytest.raises(PermissionError, match="User does not own this session"):
        await validate("sess_abc123", "user_9")
    with pytest.raises(ValueError, match="Session not found"):
        await validate("sess_unknown", "user_123")
    assert await stage.types() == ["session.created"]


async def test_block_25_saves_a_checkpoint_without_secrets_and_encrypted(stage: Stage) -> None:
    """Deciphered it holds all but the key and the password; the caller's own data keep them."""
    await stage.session()
    await stage.run(25)
    data = {"api_key": "sk-secret", "password": "hunter2", "turn": 3, "语言": "中文"}
    assert await stage["save_checkpoint_safe"]("sess_abc123", data) is None
    checkpoint = await stage.manager.get_latest_checkpoint("sess_abc123")
    assert checkpoint is not None
    assert list(checkpoint["data"]) == ["encrypted_data"]
    plain = stage.cipher.decrypt(checkpoint["data"]["encrypted_data"].encode())
    assert json.loads(plain) == {"turn": 3, "语言": "中文"}
    assert set(data) == {"api_key", "password", "turn", "语言"}
    assert await stage.types() == ["session.created", "checkpoint.saved"]
