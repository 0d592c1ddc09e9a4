"""G39: the key store of a folder is durable, for several processes at once, and destroys for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sessionstream.encryption import FolderKeyStore, WrappedKey
from sessionstream.errors import KeyUnavailable

USER = "user_1"
_WRITER = """
import sys
from pathlib import Path
from sessionstream.encryption import FolderKeyStore, WrappedKey
store, name = FolderKeyStore(Path(sys.argv[1])), sys.argv[2]
number = 0
while True:
    number += 1
    key = WrappedKey(f"{name}{number:031x}", f"user {name}", "master", b"wrapped", number)
    assert store.put(key, known=number - 1)
    print(key.key_id, flush=True)
"""


def _key(number: int, user_id: str = USER, wrapped: bytes = b"wrapped") -> WrappedKey:
    return WrappedKey(f"{number:032x}", user_id, "master", wrapped, number)


def test_keys_come_in_their_order(tmp_path: Path) -> None:
    """The oldest first, of one user alone; each is found by its id."""
    store = FolderKeyStore(tmp_path)
    assert store.put(_key(2), known=0)
    assert store.put(_key(1), known=1)
    assert store.put(_key(3, "user_2"), known=0)
    assert [key.key_id[-1] for key in store.get(USER)] == ["2", "1"]
    assert store.find(_key(3).key_id) == _key(3, "user_2")
    assert store.find(_key(4).key_id) is None
    assert list(store.users()) == [USER, "user_2"]


def test_of_two_first_keys_one_is_kept(tmp_path: Path) -> None:
    """Who comes second is told, and takes the first one's."""
    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(lambda number: FolderKeyStore(tmp_path).put(_key(number), known=0), range(1, 17)))
    assert sum(kept) == 1
    assert len(FolderKeyStore(tmp_path).get(USER)) == 1


def test_several_processes_write_at_once_and_are_killed(tmp_path: Path) -> None:
    """What each was told is there, whenever it was killed; the others go on."""
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), name], stdout=subprocess.PIPE, text=True)
        for name in "abc"
    ]
    told: list[list[str]] = []
    for writer in writers:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(3)]
        writer.send_signal(signal.SIGKILL)
        told.append([*lines, *writer.stdout.read().splitlines(keepends=True)])
        writer.stdout.close()
        writer.wait()
    store = FolderKeyStore(tmp_path)
    for name, lines in zip("abc", told, strict=True):
        kept = [key.key_id for key in store.get(f"user {name}")]
        whole = [line.strip() for line in lines if line.endswith("\n")]
        assert kept[: len(whole)] == whole
        assert len(kept) <= len(whole) + 1


def test_a_destroyed_key_is_overwritten(tmp_path: Path) -> None:
    """No byte of it stays in the folder; that it was there is known, and by no name."""
    store = FolderKeyStore(tmp_path)
    store.put(_key(1, "user_0", b"left-" * 20), known=0)
    store.put(_key(2, USER, b"gone-" * 20), known=0)
    store.put(_key(3, USER, b"gone-" * 20), known=1)
    assert store.destroy(USER) == 2
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"gone-" not in files
    assert USER.encode() not in files
    assert b"left-" in files
    assert store.is_destroyed(_key(2).key_id)
    assert not store.is_destroyed(_key(1).key_id)
    assert store.has_destroyed(USER)
    assert not store.has_destroyed("user_0")


def test_destroying_may_be_repeated_and_new_keys_are_others(tmp_path: Path) -> None:
    """A user who comes back is given a new first key; the old ones stay destroyed."""
    store = FolderKeyStore(tmp_path)
    store.put(_key(1), known=0)
    assert (store.destroy(USER), store.destroy(USER)) == (1, 0)
    assert store.put(_key(2), known=0)
    assert [key.key_id for key in store.get(USER)] == [_key(2).key_id]
    assert store.is_destroyed(_key(1).key_id)
    assert not store.is_destroyed(_key(2).key_id)


def test_a_key_is_wrapped_anew_in_its_place(tmp_path: Path) -> None:
    """Not one that was destroyed meanwhile."""
    store = FolderKeyStore(tmp_path)
    store.put(_key(1), known=0)
    assert store.rewrap(WrappedKey(_key(1).key_id, USER, "another", b"anew", 1))
    assert store.get(USER)[0].master == "another"
    store.destroy(USER)
    assert not store.rewrap(_key(1))
    assert store.get(USER) == []


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    """Folder and file are made for the owner alone."""
    folder = tmp_path / "deep" / "keys"
    FolderKeyStore(folder).put(_key(1), known=0)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "keys.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"no key store at all " * 100, b"\0" * 5000], ids=["text", "zeros"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """With an error of the tree, and it is left as it is."""
    (tmp_path / "keys.sqlite").write_bytes(content)
    with pytest.raises(KeyUnavailable):
        FolderKeyStore(tmp_path).get(USER)
    assert (tmp_path / "keys.sqlite").read_bytes() == content


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    import sqlite3

    FolderKeyStore(tmp_path).put(_key(1), known=0)
    with sqlite3.connect(tmp_path / "keys.sqlite") as file:
        file.execute("PRAGMA user_version = 2")
    file.close()
    with pytest.raises(KeyUnavailable, match="format 2"):
        FolderKeyStore(tmp_path).put(_key(2), known=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With an error of the tree."""
    tmp_path.chmod(0o500)
    with pytest.raises(KeyUnavailable):
        FolderKeyStore(tmp_path / "keys").get(USER)
