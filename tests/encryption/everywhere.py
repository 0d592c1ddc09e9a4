"""A plugin with which every store of the whole suite encrypts: ``pytest -p tests.encryption.everywhere``.

What a test finds by looking into Redis itself is other than in plain text; all that it learns by the library is not.
"""

from __future__ import annotations

import os
import tempfile

import pytest

SECRET = "a master key for tests: of no other use at all"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the settings of all stores be those of an encrypting one; the other settings are cleared before this."""
    folder = tempfile.TemporaryDirectory(prefix="keys")
    pytest.key_store = folder  # type: ignore[attr-defined]
    os.environ["SESSIONSTREAM_ENCRYPTION_KEY"] = SECRET
    os.environ["SESSIONSTREAM_KEY_STORE"] = folder.name
