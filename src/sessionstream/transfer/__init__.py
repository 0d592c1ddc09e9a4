"""Sessions in and out: recorded conversations as JSON lines, and events exactly as they are stored."""

from __future__ import annotations

from sessionstream.transfer.exporting import export_events, export_messages
from sessionstream.transfer.importing import Imported, import_messages
from sessionstream.transfer.importing_events import Restored, import_events

__all__ = ["Imported", "Restored", "export_events", "export_messages", "import_events", "import_messages"]
