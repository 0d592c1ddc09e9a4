"""Events as a Parquet file, by pyarrow, which is loaded when the first one is written.

A Parquet file cannot be continued once it is closed. So one that can be interrupted is written in parts, in a folder
beside it, and made of these when all are there.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sessionstream.errors import InvalidArgument
from sessionstream.events.recorded import RecordedEvent
from sessionstream.transfer.outlets import part_of, refused_by_the_disk

__all__ = ["COLUMNS", "ParquetFile"]

COLUMNS = {
    "session_id": "string",
    "offset": "string",
    "version": "int64",
    "at": "timestamp",
    "type": "string",
    "schema_version": "int32",
    "event_id": "string",
    "data": "string",
    "actor": "string",
    "correlation_id": "string",
    "causation_id": "string",
}
"""The columns, each with the name of its type; ``at`` is in milliseconds of UTC, ``data`` is JSON."""

_MOST_ROWS = 10_000
_ROWS_AT_ONCE = 500
_MOST_BYTES = 16 * 1024 * 1024


class ParquetFile:
    """Takes events, and appears under its name when it is whole.

    Args:
        path: the file.
        resumed: how many parts of an interrupted one are kept; None begins anew.
        resumable: whether what was written stays there when it is interrupted.

    Raises:
        InvalidArgument: pyarrow is not installed, or the parts are not those that the cursor tells of.

    Attributes:
        pending: bytes, about, that are not saved yet.
    """

    def __init__(self, path: Path, *, resumed: int | None = None, resumable: bool = False) -> None:
        self._arrow, self._parquet = _pyarrow()
        self._path = path
        self._part = part_of(path, resumable=resumable)
        self._resumable = resumable
        self._parts = resumed or 0
        self._schema = self._arrow.schema([(name, self._type(word)) for name, word in COLUMNS.items()])
        self._rows: list[tuple[Any, ...]] = []
        self._tables: list[Any] = []
        self._held = 0
        self._writer: Any = None
        self.pending = 0
        with refused_by_the_disk(path):
            self._begin(resumed)

    def _type(self, word: str) -> Any:
        return self._arrow.timestamp("ms", tz="UTC") if word == "timestamp" else getattr(self._arrow, word)()

    def _begin(self, resumed: int | None) -> None:
        if resumed is None:
            shutil.rmtree(self._part, ignore_errors=True)
            self._part.mkdir()
        for number in range(self._parts):
            if not self._name(number).is_file():
                raise InvalidArgument(f"{self._name(number)} is not there: remove the cursor's file to begin anew")
        for path in set(self._part.glob("*.parquet")) - {self._name(number) for number in range(self._parts)}:
            path.unlink()

    def _name(self, number: int) -> Path:
        return self._part / f"{number:06}.parquet"

    def __enter__(self) -> Self:
        return self

    def write(self, event: RecordedEvent) -> None:
        """Write one event."""
        # A version that no append gave may be beyond 64 bits; its offset tells it.
        version = event.version if event.version < 2**63 else None
        place = (event.session_id, event.offset, version, event.at)
        what = (event.type, event.schema_version, event.id, _text(event.plain))
        self._rows.append((*place, *what, event.actor, event.correlation_id, event.causation_id))
        self._held += len(event.raw) + 200
        self.pending += len(event.raw) + 200
        if len(self._rows) == _ROWS_AT_ONCE:
            self._pack()
        if len(self._tables) * _ROWS_AT_ONCE == _MOST_ROWS or self._held > _MOST_BYTES:
            self._write_group()

    def _pack(self) -> None:
        """Make of rows columns, which take a tenth of the memory."""
        if self._rows:
            columns = [
                self._arrow.array(column, type=field.type)
                for column, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
            ]
            self._tables.append(self._arrow.Table.from_arrays(columns, schema=self._schema))
            self._rows = []

    def _write_group(self) -> None:
        self._pack()
        if not self._tables:
            return
        group = self._arrow.concat_tables(self._tables)
        self._tables, self._held = [], 0
        with refused_by_the_disk(self._path):
            if self._writer is None:
                self._writer = self._parquet.ParquetWriter(self._name(self._parts), self._schema)
            self._writer.write_table(group)

    def save(self) -> int:
        """Close the part that is being written, so that it stays, and return how many there are."""
        self._write_group()
        if self._writer is not None:
            with refused_by_the_disk(self._path):
                self._writer.close()
            self._writer = None
            self._parts += 1
        self.pending = 0
        return self._parts

    def finish(self) -> None:
        """Make the file of its parts."""
        self.save()
        whole = self._part / "whole"
        with refused_by_the_disk(self._path):
            with self._parquet.ParquetWriter(whole, self._schema) as writer:
                for table in self._groups():
                    writer.write_table(table)
            whole.replace(self._path)
            # In one step, since it is its parts that tell a later call whether there is something left to do.
            done = self._part.rename(part_of(self._path, resumable=False))
            shutil.rmtree(done)

    def _groups(self) -> Iterator[Any]:
        """Yield what is in the parts, small groups together."""
        held: list[Any] = []
        for number in range(self._parts):
            with self._parquet.ParquetFile(self._name(number)) as part:
                for group in range(part.num_row_groups):
                    table = part.read_row_group(group)
                    if held and sum(map(len, held)) + len(table) > _MOST_ROWS:
                        yield self._arrow.concat_tables(held)
                        held = []
                    held.append(table)
        if held:
            yield self._arrow.concat_tables(held)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        if not self._resumable:
            shutil.rmtree(self._part, ignore_errors=True)


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode() if raw else None
    except UnicodeDecodeError:
        return None


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise InvalidArgument("parquet needs pyarrow: pip install 'sessionstream[parquet]'") from None
