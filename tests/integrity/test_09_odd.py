"""What nobody should find on a server: each is named, and stops neither the verification nor that of others.

G32, G33.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import HistoryAltered, InvalidAnchor, InvalidEvidence, InvalidType
from sessionstream.integrity.__main__ import main
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.offline import verify_evidence
from sessionstream.integrity.reporting import Kind
from sessionstream.log.gates import name_in_log
from tests.integrity.attacks import Attacker
from tests.integrity.conftest import KEY, NEIGHBOUR, SESSION, fill
from tests.integrity.test_01_histories import told

Attack = Callable[[Attacker], Awaitable[object]]
NAME = name_in_log(SESSION)


def _in_one_partition(manager: SessionManager, count: int) -> list[str]:
    keys = manager.store.keys
    names = (f"more_{number}" for number in itertools.count())
    return list(itertools.islice((name for name in names if keys.partition(name) == keys.partition("more_0")), count))


def _registry(attacker: Attacker) -> str:
    return attacker.keys.registry(attacker.keys.partition(SESSION))


@pytest.mark.parametrize("gate", [b"", b"garbage", b"\xff\xfe", b"1-", b"1-x active  "])
async def test_a_log_that_tells_nothing_of_a_session_is_named(
    sealed: SessionManager, attacker: Attacker, tmp_path: Path, gate: bytes
) -> None:
    """And the session is neither sealed nor written down as if it were in order."""
    await attacker.client.hset(attacker.log, NAME, gate)
    found = {one.session_id: one async for one in sealed.audit.verify_all()}
    assert told(found[SESSION]) == [(Kind.KEY_REPLACED, None)]
    assert found[NEIGHBOUR].ok
    with pytest.raises(HistoryAltered):
        await sealed.audit.seal(SESSION)
    with pytest.raises(InvalidEvidence, match="verify names it"):
        await sealed.audit.evidence(SESSION, tmp_path / "evidence")


@pytest.mark.parametrize("trimmed", [b"garbage", b"\xff"])
async def test_a_head_that_tells_no_trim_is_named(sealed: SessionManager, attacker: Attacker, trimmed: bytes) -> None:
    """Instead of an offset it has something else."""
    await attacker.client.hset(attacker.keys.head(SESSION), "trimmed", trimmed)
    assert not (await sealed.audit.verify(SESSION)).ok


@pytest.mark.parametrize("score", ["inf", "-inf", "0.5"])
async def test_a_registry_that_tells_no_time_is_named(sealed: SessionManager, attacker: Attacker, score: str) -> None:
    """A score that is no whole number."""
    await attacker.client.zadd(_registry(attacker), {SESSION: float(score)})
    assert told(await sealed.audit.verify(SESSION)) == [(Kind.LOG_ALTERED, None)]


@pytest.mark.parametrize("pointer", [{NAME: b"\xff"}, {NAME: b"x y z"}, {b"\xff": b"1-1"}])
async def test_a_feed_that_does_not_decode_is_named(
    sealed: SessionManager, attacker: Attacker, pointer: dict[bytes | str, bytes]
) -> None:
    """Whichever session it is about."""
    await attacker.client.xadd(attacker.feed, pointer)
    assert told(await sealed.audit.verify(SESSION)) == [(Kind.KEY_REPLACED, None)]


async def test_a_seal_that_is_no_ascii_is_altered(sealed: SessionManager, attacker: Attacker) -> None:
    """One letter of it."""
    kept = await attacker.client.lindex(attacker.seals, -1)
    await attacker.client.lset(attacker.seals, -1, kept.replace(b'{"seal":"', '{"seal":"é'.encode()))
    assert told(await sealed.audit.verify(SESSION)) == [(Kind.SEAL_ALTERED, 12)]
    with pytest.raises(HistoryAltered):
        await sealed.audit.seal(SESSION)


async def test_an_edit_of_which_nothing_can_be_made_is_an_edit(sealed: SessionManager, attacker: Attacker) -> None:
    """The views cannot be folded over it, and the history is verified all the same."""

    def absurd(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
        return {name: value.replace(b'"ttl_ms":3600000', b'"ttl_ms":' + b"9" * 30) for name, value in fields.items()}

    await attacker.edit(1, absurd)
    assert told(await sealed.audit.verify(SESSION)) == [(Kind.CONTENT_EDITED, 1)]


async def test_a_session_of_which_only_the_registry_knows_is_not_passed_over(
    sealed: SessionManager, attacker: Attacker
) -> None:
    """All of its keys are gone, and its place in the log; one that was removed is not in the registry either."""
    for key in await attacker.dump():
        await attacker.client.delete(key)
    await attacker.client.hdel(attacker.log, NAME)
    found = {one.session_id: one async for one in sealed.audit.verify_all()}
    assert Kind.LOG_ALTERED in [one.kind for one in found[SESSION].findings]
    assert found[NEIGHBOUR].ok


async def test_a_name_that_no_session_has_does_not_stop_the_others(sealed: SessionManager, attacker: Attacker) -> None:
    """In the registry, and in the log."""
    await attacker.client.zadd(_registry(attacker), {"x" * 2_000: 1})
    await attacker.client.hset(attacker.log, b"\xff\xfe", "1-1 active  ")
    found = [one async for one in sealed.audit.verify_all()]
    assert [one.session_id for one in found if one.ok] in ([SESSION, NEIGHBOUR], [NEIGHBOUR, SESSION])
    assert [one.findings[0].kind for one in found if not one.ok] == [Kind.LOG_ALTERED]


# The feed


async def test_a_feed_that_was_trimmed_inside_a_millisecond_accuses_nobody(
    sealed: SessionManager, attacker: Attacker
) -> None:
    """What told of the last append is gone, and the next entry is of the same millisecond."""
    ms = (await attacker.offset(12)).partition("-")[0]
    number = int((await attacker.client.xrevrange(attacker.feed, count=1))[0][0].partition(b"-")[2])
    await attacker.client.delete(attacker.feed)
    await attacker.client.xadd(attacker.feed, {"another": "1"}, id=f"{ms}-{number + 1}")
    found = await sealed.audit.verify(SESSION)
    assert found.ok
    assert "feed" in [one.name for one in found.unchecked]


@pytest.mark.guarantee
async def test_a_session_made_anew_while_all_are_verified_is_no_rollback(sealed: SessionManager) -> None:
    """The feed was read before."""
    names = _in_one_partition(sealed, 3)
    for name in names:
        await fill(sealed, name)
    anew = set(names)
    async for found in sealed.audit.verify_all():
        assert found.findings == ()
        if found.session_id in anew and len(anew) == 3:
            anew.discard(found.session_id)
            for name in anew:
                await sealed.delete_session(name, purge=True)
                await sealed.create_session("user", "agent", session_id=name)
    assert len(anew) == 2


async def test_a_session_purged_while_all_are_verified_is_not_lost(sealed: SessionManager, tmp_path: Path) -> None:
    """The anchor knows it, and the feed, which was read before, does not tell why it is gone."""
    names = _in_one_partition(sealed, 3)
    for name in names:
        await fill(sealed, name)
    anchor = tmp_path / "anchor"
    assert len([one async for one in sealed.audit.seal_all(anchor=anchor)]) == 5
    left = set(names)
    async for found in sealed.audit.verify_all(anchor=anchor):
        assert found.findings == ()
        if found.session_id in left and len(left) == 3:
            left.discard(found.session_id)
            for name in left:
                await sealed.delete_session(name, purge=True)


@pytest.mark.guarantee
async def test_a_session_that_was_put_back_and_went_on_is_told_by_the_whole_feed(
    sealed: SessionManager, attacker: Attacker
) -> None:
    """Which is read when all are verified; until the session has come as far as it was."""
    dumped, gate = await attacker.dump(), await attacker.client.hget(attacker.log, NAME)
    await sealed.append(SESSION, [NoteAdded(text="later")] * 3)
    await attacker.restore(dumped)
    await attacker.client.hset(attacker.log, NAME, gate)
    await sealed.append(SESSION, NoteAdded(text="another story"))
    found = {one.session_id: one async for one in sealed.audit.verify_all()}
    assert told(found[SESSION]) == [(Kind.ROLLED_BACK, 13)]
    assert found[NEIGHBOUR].ok


# Files


@pytest.mark.guarantee
async def test_evidence_beside_checkpoints_verifies(sealed: SessionManager, tmp_path: Path) -> None:
    """Those that are saved and deleted while it is written are no findings."""
    file = tmp_path / "evidence"
    done = asyncio.Event()

    async def save() -> None:
        number = 0
        while not done.is_set():
            number += 1
            await sealed.save_checkpoint(SESSION, {"number": number}, checkpoint_id=f"{number}")
            if number % 5 == 0:
                await sealed.retention.keep_checkpoints(SESSION, 2)

    saving = asyncio.create_task(save())
    for _ in range(10):
        await sealed.audit.evidence(SESSION, file)
        assert verify_evidence(file, Keyring(KEY)).verification.findings == ()
    done.set()
    await saving


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (0, {"offset": {}}),
        (0, {"offset": "x"}),
        (0, {"trimmed": "x"}),
        (0, {"at": "x"}),
        (0, {"namespace": None}),
        (2, {"event": 5}),
        (2, {"words": 5}),
        (2, {"words": [None]}),
        (1, {"seal": 5}),
        (-2, {"head": [5]}),
        (-1, {"mac": "é"}),
    ],
)
async def test_evidence_of_odd_lines_is_told_as_that(
    sealed: SessionManager, tmp_path: Path, line: int, change: dict[str, object]
) -> None:
    """A header that says too little is no evidence; any other line is a finding."""
    file = tmp_path / "evidence"
    await sealed.audit.evidence(SESSION, file)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[line] = json.dumps({**json.loads(lines[line]), **change}).encode() + b"\n"
    file.write_bytes(b"".join(lines))
    if line == 0:
        with pytest.raises(InvalidEvidence):
            verify_evidence(file, Keyring(KEY))
    else:
        assert verify_evidence(file, Keyring(KEY)).verification.findings[0].kind is Kind.FILE_ALTERED


async def test_evidence_whose_key_is_not_here_does_not_pass(
    sealed: SessionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither by name of another key in its first line, which proves nothing of what follows."""
    file = tmp_path / "evidence"
    await sealed.audit.evidence(SESSION, file)
    monkeypatch.setenv("SESSIONSTREAM_SEAL_KEY", KEY)
    assert main([str(file)]) == 0
    first, _, rest = file.read_bytes().partition(b"\n")
    file.write_bytes(json.dumps({**json.loads(first), "key": "0" * 16}).encode() + b"\n" + rest)
    assert main([str(file)]) == 2
    assert "not checked: the file is whole" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "value"), [("session_id", {}), ("seal", None), ("mac", "é")])
async def test_an_anchor_of_odd_lines_is_refused(
    sealed: SessionManager, tmp_path: Path, name: str, value: object
) -> None:
    """Lines that lack what each has, and a digest that is none."""
    file = tmp_path / "anchor"
    assert len([one async for one in sealed.audit.seal_all(anchor=file)]) == 2
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    at = -1 if name == "mac" else 1
    if value is None:
        lines[at]["other"] = lines[at].pop(name)
    else:
        lines[at][name] = value
    file.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    with pytest.raises(InvalidAnchor):
        await sealed.audit.verify(SESSION, anchor=file)


async def test_a_path_that_names_no_file_is_a_clear_error(sealed: SessionManager) -> None:
    """Nothing, and what no system takes."""
    await sealed.append(SESSION, NoteAdded(text="more"))
    for path in ("", "a\0b"):
        with pytest.raises(InvalidEvidence):
            await sealed.audit.evidence(SESSION, path)
        with pytest.raises(InvalidAnchor):
            await sealed.audit.verify(SESSION, anchor=path)


@pytest.mark.parametrize("place", ["a folder", "a pipe"])
async def test_a_file_of_seals_or_evidence_replaces_nothing_but_a_file(
    manager: SessionManager, tmp_path: Path, place: str
) -> None:
    """A device, a pipe or a folder of that name stays as it is."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    there = tmp_path / "there"
    if place == "a pipe":
        os.mkfifo(there)
    else:
        there.mkdir()
    with pytest.raises(InvalidEvidence, match="is no file"):
        await manager.audit.evidence("sess_1", there)
    with pytest.raises(InvalidAnchor, match="is no file"):
        [sealed async for sealed in manager.audit.seal_all(anchor=there)]
    assert there.exists()
    assert not there.is_file()


async def test_an_id_is_not_taken_for_a_list_of_letters(manager: SessionManager) -> None:
    """It is refused where a list is asked for."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    with pytest.raises(InvalidType):
        [sealed async for sealed in manager.audit.seal_all("sess_1")]
    with pytest.raises(InvalidType):
        [found async for found in manager.audit.verify_all("sess_1")]
    with pytest.raises(InvalidType):
        await manager.audit.trace("sess_1", among="sess_1")


async def test_a_name_that_is_no_text_ends_no_reading_of_all(manager: SessionManager, client: Redis) -> None:
    """Whoever put it into the registry by hand: the sessions are verified all the same."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    keys = manager.store.keys
    await client.zadd(keys.registry(keys.partition("sess_1")), {b"\xff": 5})
    verified = {found.session_id: found async for found in manager.audit.verify_all()}
    assert verified["sess_1"].ok
    await client.zrem(keys.registry(keys.partition("sess_1")), b"\xff")
