"""The file that closes the archive of an ended session: the data of its checkpoints, and which event was the last."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from sessionstream.errors import ArchiveDamaged
from sessionstream.events.raw import bytes_of, text_of
from sessionstream.log.gates import fields_of
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import SAVED
from sessionstream.retention.files import FileWriter, read_pages
from sessionstream.retention.lines import BodyLine, Head, Whose, encode
from sessionstream.retention.places import BODIES
from sessionstream.retention.threads import each_in_thread, to_its_end

__all__ = ["close_life"]

_decode = msgspec.json.Decoder(BodyLine).decode


async def close_life(store: Store, whose: Whose, life: Path, offset: str, *, compress: bool) -> Path:
    """Write that file, read it back, and compare it with what the store holds.

    Args:
        store: where the session is kept.
        whose: whose archive it is.
        life: its folder.
        offset: of the session's last event.
        compress: whether the file is gzipped.

    Raises:
        ArchiveFailed: it could not be written.
        ArchiveDamaged: what was read back is something else.
    """
    session_id = whose.session_id
    known = await store.server.call("HGETALL", store.keys.place("checkpoints", SAVED, session_id))
    rows = fields_of(known)
    rows.pop(b"", None)
    head = Head(whose.namespace, session_id, whose.created_ms, archive="checkpoints")
    digests: list[str] = []
    with FileWriter(life, head, compress=compress) as writer:
        await to_its_end(writer.begin)
        for identifier in sorted(rows):
            body = await store.server.call("HGET", store.keys.bodies(session_id), identifier)
            digests.append("" if body is None else hashlib.sha256(body).hexdigest())
            line = encode(BodyLine(identifier.decode(), None if body is None else text_of(body))) + b"\n"
            await to_its_end(writer.write, line, 1)
        name = f"{BODIES}.jsonl{'.gz' if compress else ''}"
        path = await to_its_end(writer.finish, name, offset)
    if await _digests_in(path, whose) != digests:
        raise ArchiveDamaged(str(path), "it does not hold what the store does")
    return path


async def _digests_in(path: Path, whose: Whose) -> list[str]:
    found: list[str] = []
    async for page in each_in_thread(read_pages(path, whose, "checkpoints")):
        for line in page.lines:
            body: Any = _decode(line).body
            found.append("" if body is None else hashlib.sha256(bytes_of(body)).hexdigest())
    return found
