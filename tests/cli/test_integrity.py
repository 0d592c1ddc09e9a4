"""`seal`, `verify`, `evidence`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from sessionstream import SessionManager
from tests.cli.conftest import Cli, Result

KEY = {"SESSIONSTREAM_SEAL_KEY": "0123456789abcdef0123456789abcdef"}
OTHER = {"SESSIONSTREAM_SEAL_KEY": "f" * 32}


async def remove_one(manager: SessionManager, session_id: str) -> None:
    """Delete the third event of a session, as somebody with access to the server might."""
    key = manager.store.keys.events(session_id)
    page = await manager.store.server.call("XRANGE", key, "-", "+", "COUNT", 3)
    await manager.store.server.call("XDEL", key, page[-1][0])


async def test_what_nobody_touched_verifies(cli: Cli, session: str) -> None:
    """Sealed, then verified: exit code 0, and every claim is told."""
    sealed = await cli("seal", session, "--json", **KEY)
    assert (sealed.code, sealed.record["version"], sealed.record["events"]) == (0, 5, 5)
    found = await cli("verify", session, **KEY)
    assert found.code == 0
    assert "✓ every sealed event is as it was appended" in found.out
    assert "? no later state was known outside of the server" in found.out
    record = (await cli("verify", session, "--json", **KEY)).record
    assert (record["ok"], record["sealed_to"], record["events_after_last_seal"]) == (True, 5, 0)


async def test_what_was_altered_is_named_and_is_exit_code_1(cli: Cli, session: str, manager: SessionManager) -> None:
    """Of one session and of all; a pipe has whole lines without colours."""
    await manager.create_session("u", "a", session_id="t")
    assert (await cli("seal", "--all", **KEY)).code == 0
    await remove_one(manager, session)
    for words in ([session], ["--all"], [session, "t"]):
        found = await cli("verify", *words, **KEY)
        assert found.code == 1
        assert "! event removed  version 3" in found.out
    records = {one["session_id"]: one for one in (await cli("verify", "--all", "--json", **KEY)).records}
    assert (records[session]["ok"], records["t"]["ok"]) == (False, True)
    assert records[session]["findings"][0]["kind"] == "event removed"
    assert (await cli("verify", "t", **KEY)).code == 0


async def test_an_anchor_is_written_and_used(cli: Cli, session: str, tmp_path: Path) -> None:
    """What it cannot be used for is said in one line."""
    path = str(tmp_path / "anchor.jsonl")
    sealed = await cli("seal", "--all", "--anchor", path, **KEY)
    assert (sealed.code, path in sealed.err) == (0, True)
    assert (await cli("verify", "--all", "--anchor", path, **KEY)).code == 0
    Path(path).write_bytes(Path(path).read_bytes()[:-5])
    altered = await cli("verify", "--all", "--anchor", path, **KEY)
    assert (altered.code, path in altered.err) == (2, True)


async def test_seals_of_another_key_are_exit_code_4(cli: Cli, session: str) -> None:
    """Nothing was found, and what the seals would prove was not proven."""
    await cli("seal", session, **KEY)
    found = await cli("verify", session, **OTHER)
    assert (found.code, "which is not here" in found.out) == (4, True)
    both = {**OTHER, "SESSIONSTREAM_SEAL_KEYS_OLD": KEY["SESSIONSTREAM_SEAL_KEY"]}
    assert (await cli("verify", session, **both)).code == 0


async def test_an_altered_session_is_not_sealed_and_the_others_are(
    cli: Cli, session: str, manager: SessionManager
) -> None:
    """Exit code 4, and its name on standard error."""
    await manager.create_session("u", "a", session_id="t")
    await remove_one(manager, session)
    sealed = await cli("seal", "--all", "--json", **KEY)
    assert (sealed.code, [one["session_id"] for one in sealed.records]) == (4, ["t"])
    assert f"session {session!r} is not sealed any further" in sealed.err


async def test_an_emptied_server_does_not_pass(cli: Cli, session: str, client: Redis, tmp_path: Path) -> None:
    """The anchor knows the session, and with the feed is gone what would tell whether it was retired."""
    path = str(tmp_path / "anchor.jsonl")
    assert (await cli("seal", session, "--anchor", path, **KEY)).code == 0
    await client.flushall()
    found = await cli("verify", "--all", "--anchor", path, **KEY)
    assert (found.code, "it is not known whether the session was retired" in found.out) == (4, True)


async def test_without_a_key_or_a_session_it_is_wrong_usage(cli: Cli, session: str, tmp_path: Path) -> None:
    """Each error says what to do."""
    keyless = await cli("verify", session)
    assert (keyless.code, "SESSIONSTREAM_SEAL_KEY" in keyless.err) == (2, True)
    for words in (["seal"], ["verify"], ["verify", session, "--all"], ["evidence"], ["evidence", session]):
        assert (await cli(*words, **KEY)).code == 2
    file = str(tmp_path / "file")
    for words in (["evidence", session, "--verify", file], ["evidence", session, "-o", file, "--anchor", file]):
        assert (await cli(*words, **KEY)).code == 2
    for words in (["seal", "never"], ["verify", "never"], ["evidence", "never", "-o", file]):
        assert (await cli(*words, **KEY)).code == 1


async def test_an_empty_namespace_has_nothing_to_verify(cli: Cli) -> None:
    """Exit code 1, as of every list that is empty."""
    assert (await cli("verify", "--all", **KEY)).code == 1
    assert (await cli("seal", "--all", **KEY)).code == 1


async def test_evidence_is_written_and_verified_without_a_server(cli: Cli, session: str, tmp_path: Path) -> None:
    """Exit code 1 if it was altered."""
    path = tmp_path / "evidence.jsonl"
    await cli("seal", session, **KEY)
    written = await cli("evidence", session, "-o", str(path), "--json", **KEY)
    assert (written.code, written.record["events"]) == (0, 5)

    async def verified(*words: str) -> Result:
        nowhere: dict[str, Any] = {"SESSIONSTREAM_URL": "redis://127.0.0.1:1"}
        return await cli("evidence", "--verify", str(path), *words, **KEY, **nowhere)

    assert (await verified()).code == 0
    record = (await verified("--json")).record
    assert (record["ok"], record["session_id"]) == (True, session)
    lines = path.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[0])["session_id"] == session
    path.write_bytes(b"".join(lines[:-1]))
    altered = await verified()
    assert (altered.code, "file altered" in altered.out) == (1, True)


async def test_a_folder_that_is_not_there_says_nothing_of_what_was_altered(
    cli: Cli, session: str, tmp_path: Path
) -> None:
    """It is told to be missing, and the code is that of a wrong call."""
    key = {"SESSIONSTREAM_SEAL_KEY": "0123456789abcdef0123456789abcdef"}
    done = await cli("verify", session, "--archive", str(tmp_path / "missing"), **key)
    assert (done.code, done.out) == (2, "")
    assert "there is no folder" in done.err
