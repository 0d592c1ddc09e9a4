"""What a store does beside its calls: one at a time about one thing, nobody's error, over when it is closed."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sessionstream import SessionStreamError
from sessionstream.chores import Chores


async def test_a_chore_about_the_same_thing_is_not_begun_twice() -> None:
    """The second is left out while the first is under way, and may come again after it."""
    chores = Chores()
    done: list[int] = []
    gate = asyncio.Event()

    async def work(number: int) -> None:
        await gate.wait()
        done.append(number)

    chores.start("one", work(1))
    chores.start("one", work(2))
    chores.start("other", work(3))
    gate.set()
    await chores.aclose()
    assert sorted(done) == [1, 3]
    chores.start("one", work(4))
    await chores.aclose()
    assert 4 in done


async def test_an_error_of_the_library_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """It has no caller who could be told."""

    chores = Chores()

    async def fail() -> None:
        raise SessionStreamError("no luck")

    with caplog.at_level(logging.WARNING, "sessionstream"):
        chores.start("failing", fail())
        await chores.aclose()
    assert chores.failed == 1
    assert "failing: no luck" in caplog.text


async def test_more_than_a_bounded_number_are_left_out() -> None:
    """They are counted, so that whoever wonders can see it."""
    chores, gate = Chores(), asyncio.Event()
    for number in range(300):
        chores.start(number, gate.wait())
    assert chores.left_out == 300 - 256
    gate.set()
    await chores.aclose()
