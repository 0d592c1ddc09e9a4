"""What the checker names."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Violation"]


class Violation(NamedTuple):
    """One thing that is not as it was promised.

    Attributes:
        kind: of which kind.
        detail: what exactly.
    """

    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"
