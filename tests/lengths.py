"""How many examples tests that draw their own cases try: few and always the same ones, or many and others each time.

`SESSIONSTREAM_TEST_LONG=1` asks for many; each failure then tells the seed that brings it back.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

__all__ = ["LONG", "examples"]

LONG = os.environ.get("SESSIONSTREAM_TEST_LONG", "") not in ("", "0")
_TIMES = 40


def examples(count: int, **options: Any) -> settings:
    """Return the settings of a test that tries so many examples, or forty times as many where there is time."""
    return settings(
        max_examples=count * _TIMES if LONG else count, derandomize=not LONG, database=None, print_blob=LONG, **options
    )
