"""Which blocks the document has, and that each of them has a test."""

from __future__ import annotations

import re
from pathlib import Path


def test_the_document_has_28_code_blocks(blocks: list[str]) -> None:
    """They are counted, so that none is overlooked."""
    assert len(blocks) == 28


def test_every_block_has_a_test(blocks: list[str]) -> None:
    """A test is named after its block: ``test_block_08_…``; that it runs that block, the stage makes sure of."""
    texts = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*_blocks.py")]
    tested = {
        int(number) for text in texts for number in re.findall(r"^async def test_block_(\d\d)_", text, re.MULTILINE)
    }
    assert tested == set(range(1, len(blocks) + 1))
