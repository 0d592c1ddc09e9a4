"""What auditors ask: what was known at a moment, and what led to what."""

from __future__ import annotations

from sessionstream.audit.as_of import AsOf
from sessionstream.audit.causation import Step, Trace, Whole
from sessionstream.audit.door import Audit

__all__ = ["AsOf", "Audit", "Step", "Trace", "Whole"]
