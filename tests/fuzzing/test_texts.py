"""Texts that lead somewhere: settings, URLs, cursors, offsets, and what a command is given."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sessionstream import SessionManager
from sessionstream.errors import InvalidArgument, SessionStreamError
from sessionstream.feed.cursor import Cursor
from sessionstream.log.history import parse_offset
from sessionstream.log.keys import Keys
from sessionstream.settings import Settings, settings_from
from tests.cli.conftest import Cli, cli
from tests.fuzzing.junk import JUNK, TEXTS
from tests.lengths import examples
from tests.servers import Server

__all__ = ["cli"]

_SETTINGS = sorted(Settings.model_fields)
_PARTS = st.sampled_from(["redis", "rediss", "unix", "http", "", "//", ":", "@", "?", "#", "%zz", "db=", "db=x", "/0"])
_COMMANDS = (
    "sessions show history as-of diff trace checkpoints resume stats consumers parked seal verify evidence fork "
    "archive hold rebuild cleanup import export doctor"
)
_OPTIONS = "--limit --after --before --offset --version --time --json --user --agent --type --group --backward --anchor"
_VALUES = "s t g c -1 0 1 2 1-1 2020-01-01 now oldest"
_WORDS = st.sampled_from(f"{_COMMANDS} {_OPTIONS} {_VALUES}".split(" "))


@pytest.mark.guarantee
@given(st.dictionaries(st.sampled_from([*_SETTINGS, "", "other"]), JUNK, max_size=3))
@examples(60)
def test_settings_are_taken_or_refused(given_ones: dict[str, Any]) -> None:
    """G41: whatever the arguments are."""
    try:
        settings_from(**given_ones)
    except InvalidArgument:
        return


@given(st.dictionaries(st.sampled_from(_SETTINGS), TEXTS.filter(lambda text: "\0" not in text), max_size=3))
@examples(50)
def test_the_environment_is_taken_or_refused(values: dict[str, str]) -> None:
    """G41: and whatever the environment holds that the system lets it hold."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            try:
                patch.setenv(f"SESSIONSTREAM_{name.upper()}", value)
            except UnicodeEncodeError:
                return
        try:
            settings_from()
        except InvalidArgument:
            return


@given(st.one_of(TEXTS, st.lists(_PARTS, max_size=8).map("".join), st.lists(_PARTS | TEXTS, max_size=3).map("".join)))
@examples(20)
async def test_a_url_leads_somewhere_or_is_refused(tail: str) -> None:
    """G41: when the manager is made, or when it is used first."""
    for url in (
        tail,
        f"redis://127.0.0.1:1{tail}",
        f"unix:///nonexistent{tail}",
        f"redis://{tail}@127.0.0.1:1/0",
        f"redis+sentinel://127.0.0.1:1{tail}",
    ):
        # The embedded server is no server that is not there.
        if not url or "://" not in url:
            url = f"none:{url}"
        try:
            async with SessionManager(url=url, deadline=0.05, reply_timeout=0.05) as manager, asyncio.timeout(20):
                await manager.session_exists("s")
        except SessionStreamError:
            continue


@st.composite
def cursors(draw: st.DrawFn) -> str:
    """A cursor that was altered, or one whose check is right and whose rest is anything."""
    keys = Keys("fuzzed", 3)
    text = str(Cursor.of(keys, ["5-1", "7-2", "0-0"]))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        return text[:at] + draw(st.text(max_size=2)) + text[at + draw(st.integers(0, 3)) :]
    data = Cursor.beginning(keys).digest + draw(st.binary(max_size=60))
    data += binascii.crc_hqx(data, 0).to_bytes(2)
    return "c1" + base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@given(cursors())
@examples(60)
async def test_a_cursor_leads_somewhere_or_is_refused(server: Server, text: str) -> None:
    """G41, G24: what follows, joins or moves a group begins at a position, or says why not."""
    async with SessionManager(url=server.unix_url, namespace="fuzzed", partitions=3) as manager:
        try:
            await _follow_for_a_moment(manager, text)
        except SessionStreamError:
            return


async def _follow_for_a_moment(manager: SessionManager, after: str) -> None:
    async with manager.follow_all(after=after) as events, asyncio.timeout(20):
        asked = asyncio.ensure_future(anext(events))
        await asyncio.wait([asked], timeout=0.02)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        if not asked.cancelled() and (error := asked.exception()) is not None:
            raise error


@given(TEXTS)
@examples(60)
def test_an_offset_is_read_or_refused(text: str) -> None:
    """G41: one that is read is written as it was."""
    try:
        ms, version = parse_offset(text)
    except InvalidArgument:
        return
    assert (ms, version) == tuple(map(int, text.split("-")))


@given(st.lists(_WORDS | TEXTS.filter(lambda text: "\0" not in text), min_size=1, max_size=5))
@examples(15)
async def test_a_command_ends_with_a_code_of_its_own(cli: Cli, words: list[str]) -> None:
    """G41: never with a traceback, whatever it is given."""
    async with asyncio.timeout(30):
        result = await cli(*words, given=b"")
    assert result.code in (0, 1, 2, 3, 4, 5)
    assert "Traceback" not in result.err
