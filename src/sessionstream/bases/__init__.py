"""Base snapshots: a session's folded views at some of its offsets, so that its past need not be folded from the start.

They are made beside the appends and by a rebuild, never by a reader. One that is damaged, or was made by projections
that lack one of the reader's, or have it in another version, is passed over: then more is folded, and nothing else.
"""

from __future__ import annotations

from sessionstream.bases.beside import BasesBeside
from sessionstream.bases.folded import Folded
from sessionstream.bases.keeping import keep, write
from sessionstream.bases.reading import entries_behind, fold_until, nearest

__all__ = ["BasesBeside", "Folded", "entries_behind", "fold_until", "keep", "nearest", "write"]
