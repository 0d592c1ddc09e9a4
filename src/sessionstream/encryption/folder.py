"""The key store of the settings: a SQLite file in a folder, for any number of processes at once, and synced.

Destroyed keys are overwritten in the file. What a file system, a disk, or a backup keeps beside it is theirs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from sessionstream.encryption.keys import WrappedKey
from sessionstream.errors import KeyUnavailable

__all__ = ["FolderKeyStore"]

_FORMAT = 1
_PATIENCE = 15.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    place INTEGER PRIMARY KEY AUTOINCREMENT, key_id TEXT UNIQUE NOT NULL, user_id TEXT NOT NULL, master TEXT NOT NULL,
    wrapped BLOB NOT NULL, created_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS of_user ON keys (user_id, place);
CREATE TABLE IF NOT EXISTS destroyed (key_id TEXT PRIMARY KEY, user_digest TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS of_digest ON destroyed (user_digest);
"""
_COLUMNS = "key_id, user_id, master, wrapped, created_ms"


class FolderKeyStore:
    """Keeps wrapped keys in the file ``keys.sqlite`` of a folder, which is made when the first key is put.

    Args:
        folder: whose contents nobody else needs to read; it is made for its owner alone.

    Raises:
        KeyUnavailable: by any call: the file cannot be read or written, or is none of this version.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "keys.sqlite"

    def get(self, user_id: str) -> Sequence[WrappedKey]:
        """Return the keys of a user, the oldest first."""
        with self._open() as file:
            rows = file.execute(f"SELECT {_COLUMNS} FROM keys WHERE user_id = ? ORDER BY place", (user_id,)).fetchall()
        return [WrappedKey(*row) for row in rows]

    def find(self, key_id: str) -> WrappedKey | None:
        """Return one key, or None."""
        with self._open() as file:
            row = file.execute(f"SELECT {_COLUMNS} FROM keys WHERE key_id = ?", (key_id,)).fetchone()
        return None if row is None else WrappedKey(*row)

    def put(self, key: WrappedKey, *, known: int) -> bool:
        """Add a key behind the others of its user, if these are so many."""
        with self._changing() as file:
            (count,) = file.execute("SELECT count(*) FROM keys WHERE user_id = ?", (key.user_id,)).fetchone()
            if count != known:
                return False
            row = (key.key_id, key.user_id, key.master, key.wrapped, key.created_ms)
            file.execute(f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", row)
            return True

    def rewrap(self, key: WrappedKey) -> bool:
        """Put the same key, wrapped anew, in the place of the one that has its id."""
        with self._changing() as file:
            row = (key.master, key.wrapped, key.key_id, key.user_id)
            done = file.execute("UPDATE keys SET master = ?, wrapped = ? WHERE key_id = ? AND user_id = ?", row)
            return done.rowcount == 1

    def destroy(self, user_id: str) -> int:
        """Destroy all keys of a user for good, and return how many there were."""
        with self._changing() as file:
            found = file.execute("SELECT key_id FROM keys WHERE user_id = ?", (user_id,)).fetchall()
            digest = _digest(user_id)
            file.executemany("INSERT OR IGNORE INTO destroyed VALUES (?, ?)", [(row[0], digest) for row in found])
            file.execute("DELETE FROM keys WHERE user_id = ?", (user_id,))
            return len(found)

    def is_destroyed(self, key_id: str) -> bool:
        """Whether a key was destroyed."""
        with self._open() as file:
            return file.execute("SELECT 1 FROM destroyed WHERE key_id = ?", (key_id,)).fetchone() is not None

    def has_destroyed(self, user_id: str) -> bool:
        """Whether a user had keys that were destroyed."""
        with self._open() as file:
            found = file.execute("SELECT 1 FROM destroyed WHERE user_digest = ? LIMIT 1", (_digest(user_id),))
            return found.fetchone() is not None

    def users(self) -> Iterator[str]:
        """Yield every user that has a key."""
        last = ""
        while True:
            with self._open() as file:
                rows = file.execute(
                    "SELECT DISTINCT user_id FROM keys WHERE user_id > ? ORDER BY user_id LIMIT 1000", (last,)
                ).fetchall()
            if not rows:
                return
            yield from (row[0] for row in rows)
            last = rows[-1][0]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            try:
                yield file
            except BaseException:
                file.execute("ROLLBACK")
                raise
            file.execute("COMMIT")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one call: a connection survives neither a fork nor a change of threads."""
        try:
            self._make()
            with contextlib.closing(sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None)) as file:
                # With EXTRA the folder is synced too: no crash brings the journal of a change back that is done.
                file.execute("PRAGMA synchronous = EXTRA")
                file.execute("PRAGMA secure_delete = ON")
                self._prepare(file)
                yield file
        except (sqlite3.Error, OSError) as error:
            raise KeyUnavailable(f"the key store {self._path}: {error}") from error

    def _make(self) -> None:
        if not self._path.exists():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))

    def _prepare(self, file: sqlite3.Connection) -> None:
        (found,) = file.execute("PRAGMA user_version").fetchone()
        if found == 0:
            file.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                file.execute(statement)
            file.execute(f"PRAGMA user_version = {_FORMAT}")
            file.execute("COMMIT")
        elif found != _FORMAT:
            raise KeyUnavailable(f"the key store {self._path} has format {found}, this version reads {_FORMAT}")


def _digest(user_id: str) -> str:
    return hashlib.sha256(b"sessionstream user " + user_id.encode()).hexdigest()
