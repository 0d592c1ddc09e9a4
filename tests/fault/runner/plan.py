"""Which faults come, and in which order: the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

__all__ = ["plan"]


def plan(names: Sequence[str], seed: int) -> Iterator[str]:
    """Yield the names of faults for ever: all of them in some order, then all of them in another.

    Args:
        names: what can happen.
        seed: of the order.
    """
    dice = random.Random(seed)
    while True:
        order = list(names)
        dice.shuffle(order)
        yield from order
