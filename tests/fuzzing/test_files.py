"""Files that prove something: evidence, anchors and archives, cut and altered anywhere."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from sessionstream import SessionManager
from sessionstream.errors import ArchiveDamaged, ArchiveFailed, InvalidArgument, SessionStreamError
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.offline import verify_evidence
from sessionstream.transfer import Wanted, export_to_file
from sessionstream.transfer.cursor import Cursor, digest
from sessionstream.transfer.outlets import part_of
from tests.fuzzing.junk import BYTES, JSON
from tests.fuzzing.readers import KEY, fill
from tests.lengths import examples
from tests.servers import Server


class Written(NamedTuple):
    """A store, and the files that were written of it."""

    manager: SessionManager
    folder: Path

    @property
    def keyring(self) -> Keyring:
        """The keys of the files."""
        return Keyring.of(self.manager.settings)


class Alteration(NamedTuple):
    """What is done to a file: from a place on, so many bytes are others."""

    place: int
    length: int
    put: bytes

    def of(self, data: bytes) -> bytes:
        """Return the altered bytes."""
        at = self.place % (len(data) + 1)
        return data[:at] + self.put + data[at + self.length :]


ALTERATIONS = st.builds(Alteration, st.integers(0, 100_000), st.sampled_from([0, 1, 3, 40, 10**6]), BYTES)


@pytest.fixture
async def written(server: Server, namespace: str, tmp_path: Path) -> AsyncIterator[Written]:
    """Evidence, an anchor, an archive of a trimmed session, and one of a session that was removed."""
    async with SessionManager(url=server.unix_url, namespace=namespace, partitions=1, seal_key=KEY) as manager:
        await fill(manager, tmp_path / "archive")
        await manager.audit.evidence("s", tmp_path / "evidence")
        async for _ in manager.audit.seal_all(anchor=tmp_path / "anchor"):
            pass
        await manager.retention.archive("e", tmp_path / "archive")
        yield Written(manager, tmp_path)


@given(ALTERATIONS)
@examples(60)
async def test_evidence_is_verified_or_refused(written: Written, alteration: Alteration) -> None:
    """G41, G33: without a server, whatever the file holds; an altered one is never found to be whole."""
    data = (written.folder / "evidence").read_bytes()
    altered = alteration.of(data)
    path = written.folder / "altered"
    path.write_bytes(altered)
    try:
        found = verify_evidence(path, written.keyring, anchor=written.folder / "anchor")
    except InvalidArgument:
        return
    # Blanks between the words of a line say nothing.
    assert found.verification.ok is (b"".join(altered.split()) == b"".join(data.split()))


@given(ALTERATIONS)
@examples(30)
async def test_an_anchor_is_read_or_refused(written: Written, alteration: Alteration) -> None:
    """G41, G32: an altered one is refused, whoever reads it."""
    data = (written.folder / "anchor").read_bytes()
    path = written.folder / "altered"
    path.write_bytes(alteration.of(data))
    try:
        await written.manager.audit.verify("s", anchor=path)
        verify_evidence(written.folder / "evidence", written.keyring, anchor=path)
    except InvalidArgument:
        return
    assert path.read_bytes() == data


@given(ALTERATIONS, st.integers(0, 9), st.booleans())
@examples(30)
async def test_an_archive_is_read_or_refused(
    written: Written, alteration: Alteration, number: int, inside: bool
) -> None:
    """G41, G35: an altered file is never given for what was written; with ``inside`` what is packed is altered."""
    folder = written.folder / "altered archive"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(written.folder / "archive", folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[number % len(files)]
    data = path.read_bytes()
    path.write_bytes(gzip.compress(alteration.of(gzip.decompress(data))) if inside else alteration.of(data))
    manager = written.manager
    for session_id in ("t", "e"):
        before = [event.offset async for event in manager.retention.replay(session_id, written.folder / "archive")]
        try:
            found = [event.offset async for event in manager.retention.replay(session_id, folder)]
        except (ArchiveDamaged, ArchiveFailed):
            continue
        assert found == before
    for use in (manager.rebuild("t", archive=folder), manager.audit.verify("t", archived=_replaying(manager, folder))):
        try:
            async with asyncio.timeout(20):
                await use
        except SessionStreamError:
            continue


def _replaying(manager: SessionManager, folder: Path) -> object:
    return lambda session_id: manager.retention.replay(session_id, folder)


CURSORS = st.dictionaries(st.sampled_from(Cursor.__struct_fields__), JSON, max_size=2)


@given(CURSORS, ALTERATIONS | st.none())
@examples(30)
async def test_the_cursor_of_an_export_leads_on_or_is_refused(
    written: Written, put: dict[str, Any], alteration: Alteration | None
) -> None:
    """G41, G30: one that was altered is no reason to go on anywhere."""
    output, path, wanted = written.folder / "out.jsonl", written.folder / "cursor", Wanted("events")
    for one in written.folder.glob("*out.jsonl*"):
        one.unlink()
    part_of(output, resumable=True).write_bytes(b"{}\n")
    cursor = Cursor(written.manager.store.keys.namespace, digest(wanted.identity), session_id="s", size=3)
    data = json.dumps(msgspec.to_builtins(cursor) | put).encode()
    path.write_bytes(data if alteration is None else alteration.of(data))
    try:
        await export_to_file(written.manager.store, output, wanted, cursor=path)
    except SessionStreamError:
        return
