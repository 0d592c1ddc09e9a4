"""Managers that encrypt, with a key store of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionstream import SessionManager

MakeManager = Callable[..., SessionManager]
MASTER = "0123456789abcdef0123456789abcdef"
ANOTHER = "fedcba9876543210fedcba9876543210"
USER, SESSION = "user_1", "sess_1"


@pytest.fixture
def key_store(tmp_path: Path) -> Path:
    """The folder of the key store."""
    return tmp_path / "keys"


@pytest.fixture
def make_manager(open_manager: MakeManager, key_store: Path) -> MakeManager:
    """Make one more manager of the test's namespace: ``make_manager(encryption_key=None, key_store=None)``."""

    def make(**settings: Any) -> SessionManager:
        keys = {} if "encryption" in settings else {"encryption_key": MASTER, "key_store": key_store}
        return open_manager(**keys | settings)

    return make


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """A manager that encrypts."""
    return make_manager()


@pytest.fixture
def keyless(make_manager: MakeManager) -> SessionManager:
    """A manager of the same namespace that was given no keys."""
    return make_manager(encryption_key=None, key_store=None)
