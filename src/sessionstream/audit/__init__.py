"""What auditors ask: what was known at a moment, what changed since another one, and to go on from there."""

from __future__ import annotations

from sessionstream.audit.as_of import AsOf
from sessionstream.audit.diff import Cause, Change, Diff
from sessionstream.audit.door import Audit
from sessionstream.audit.moments import Moment

__all__ = ["AsOf", "Audit", "Cause", "Change", "Diff", "Moment"]
