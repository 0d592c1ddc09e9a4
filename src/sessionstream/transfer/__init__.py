"""Sessions in and out: recorded conversations, events as they are stored, CloudEvents, Parquet."""

from __future__ import annotations

from sessionstream.transfer.exporting import export_cloudevents, export_events, export_messages
from sessionstream.transfer.importing import Imported, import_messages
from sessionstream.transfer.importing_events import Restored, import_events
from sessionstream.transfer.outward import Exported, Wanted, export_to_file

__all__ = [
    "Exported",
    "Imported",
    "Restored",
    "Wanted",
    "export_cloudevents",
    "export_events",
    "export_messages",
    "export_to_file",
    "import_events",
    "import_messages",
]
