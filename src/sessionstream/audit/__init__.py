"""What auditors ask: what was known at a moment."""

from __future__ import annotations

from sessionstream.audit.as_of import AsOf
from sessionstream.audit.door import Audit

__all__ = ["AsOf", "Audit"]
