"""`import` and `export` as commands; what they do to sessions is tested in ``tests/transfer`` (G30)."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionstream import SessionManager
from sessionstream.errors import Unavailable
from sessionstream.transfer import export_messages
from sessionstream.transfer.outlets import LineFile
from tests.cli.conftest import Cli
from tests.transfer.recorded import line, said


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with two good lines, around a malformed one."""
    path = tmp_path / "sessions.jsonl"
    path.write_bytes(line("a", "b", session_id="s1", n=1) + b"{nonsense\n" + line("c", session_id="s2"))
    return str(path)


async def test_a_file_is_imported(cli: Cli, tmp_path: Path, manager: SessionManager) -> None:
    """Gzipped or not; the summary counts."""
    path = tmp_path / "sessions.jsonl.gz"
    path.write_bytes(gzip.compress(line("a", "b", session_id="s")))
    result = await cli("import", str(path), "--user", "u", "--agent", "a", "--json")
    assert result.code == 0
    assert result.record | {"seconds": 0} == {
        "lines": 1,
        "created": 1,
        "extended": 0,
        "unchanged": 0,
        "messages": 2,
        "kept_metadata": 0,
        "failures": [],
        "seconds": 0,
    }
    session = await manager.get_session("s")
    assert session is not None
    assert (session.user_id, session.agent_id) == ("u", "a")


async def test_the_same_file_again_adds_nothing(cli: Cli, tmp_path: Path) -> None:
    """And that is no failure."""
    path = tmp_path / "sessions.jsonl"
    path.write_bytes(line("a") + line("b"))
    await cli("import", str(path))
    again = await cli("import", str(path), "--json")
    assert (again.code, again.record["unchanged"], again.record["messages"]) == (0, 2, 0)


async def test_malformed_lines_are_named_and_tell_by_the_exit_code(cli: Cli, file: str) -> None:
    """The others go in."""
    result = await cli("import", file, "--json")
    assert result.code == 4
    assert result.err.startswith("sessionstream: line 2: it is no JSON")
    assert result.record["created"] == 2
    assert [failure["line"] for failure in result.record["failures"]] == [2]


async def test_standard_input_is_a_file_too(cli: Cli) -> None:
    """Under the name ``-``, packed or not."""
    for given in (line("a"), gzip.compress(line("b"))):
        assert (await cli("import", "-", "--json", given=given)).record["created"] == 1


async def test_id_keys_make_the_ids(cli: Cli, manager: SessionManager) -> None:
    """Several together."""
    result = await cli("import", "-", "--id-key", "task", "--id-key", "trial", given=line("a", task="t", trial=2))
    assert result.code == 0
    assert await manager.session_exists("t:2")


async def test_imported_events_say_who_made_them(cli: Cli) -> None:
    """The actor is the import."""
    await cli("import", "-", given=line("a", session_id="s"))
    assert {event["actor"] for event in (await cli("history", "s", "--json")).records} == {"import"}


async def test_imported_sessions_can_be_given_a_time_to_live(cli: Cli, manager: SessionManager) -> None:
    """By the option, or by the variable of the setting."""
    await cli("import", "-", "--ttl", "60", given=line("a", session_id="s1"))
    await cli("import", "-", given=line("a", session_id="s2"), SESSIONSTREAM_TTL="60")
    for name in ("s1", "s2"):
        session = await manager.get_session(name)
        assert session is not None
        assert session.expires_at is not None


async def test_nothing_to_import_is_exit_code_1(cli: Cli) -> None:
    """An empty file is suspicious."""
    assert (await cli("import", "-", given=b"\n\n")).code == 1


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
async def test_a_file_that_cannot_be_read_is_wrong_usage(cli: Cli, tmp_path: Path, name: str) -> None:
    """One line says which and why."""
    result = await cli("import", str(tmp_path / name))
    assert result.code == 2
    assert result.err.startswith(f"sessionstream: {tmp_path / name}: ")
    assert len(result.err.splitlines()) == 1


async def test_an_export_is_what_an_import_takes(cli: Cli, file: str) -> None:
    """On standard output, one session a line."""
    await cli("import", file)
    result = await cli("export")
    assert result.code == 0
    assert sorted(result.records, key=lambda one: str(one["session_id"])) == [
        {"session_id": "s1", "n": 1, "messages": said("a", "b")},
        {"session_id": "s2", "messages": said("c")},
    ]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
async def test_an_export_goes_to_a_file(cli: Cli, session: str, tmp_path: Path, name: str) -> None:
    """Packed if its name says so; nothing but it is left in the folder."""
    path = tmp_path / name
    result = await cli("export", "-o", str(path), "--json")
    data = path.read_bytes()
    lines = (gzip.decompress(data) if name.endswith(".gz") else data).splitlines()
    assert result.record == {"file": str(path), "sessions": 1, "lines": 1}
    assert [json.loads(one)["stage"] for one in lines] == ["one"]
    assert [one.name for one in tmp_path.iterdir()] == [name]


async def test_the_same_sessions_give_the_same_file(cli: Cli, session: str, tmp_path: Path) -> None:
    """Byte for byte, packed too."""
    for name in ("a.gz", "b.gz"):
        await cli("export", "-o", str(tmp_path / name))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


async def test_a_file_that_cannot_be_written_is_wrong_usage(cli: Cli, session: str, tmp_path: Path) -> None:
    """And is named."""
    result = await cli("export", "-o", str(tmp_path / "no" / "out"))
    assert (result.code, result.err.split(": ")[1]) == (2, str(tmp_path / "no" / "out"))


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, Unavailable])
def test_an_export_that_does_not_end_leaves_the_file_as_it_was(
    tmp_path: Path, name: str, error: type[BaseException]
) -> None:
    """Neither half a file under its name nor another one beside it."""
    path = tmp_path / name
    path.write_text("before")
    with pytest.raises(error), LineFile(path) as sink:
        sink.write(b"x" * 1_000_000)
        raise error
    assert [one.read_text() for one in tmp_path.iterdir()] == ["before"]


async def test_an_export_can_be_narrowed(cli: Cli, manager: SessionManager) -> None:
    """By name, user, agent; ended ones by ``--all``."""
    for number, (user, agent) in enumerate([("u1", "a1"), ("u1", "a2"), ("u2", "a1")]):
        await manager.create_session(user, agent, {"n": number}, session_id=f"s{number}")
    await manager.delete_session("s1")
    chosen = {("s2", "s1"): [1, 2], ("--user", "u1"): [0], ("--agent", "a1"): [0, 2], (): [0, 2], ("--all",): [0, 1, 2]}
    for words, numbers in chosen.items():
        assert sorted(one["n"] for one in (await cli("export", *words)).records) == numbers


async def test_sessions_that_are_not_there_are_named(cli: Cli, session: str) -> None:
    """The others leave; if there is none, that is nothing."""
    some, none = await cli("export", "nobody", session), await cli("export", "nobody")
    assert (some.code, len(some.records), "'nobody'" in some.err) == (4, 1, True)
    assert (none.code, none.out) == (1, "")


async def test_names_and_options_exclude_each_other(cli: Cli, session: str) -> None:
    """What would be meant is not clear."""
    assert (await cli("export", session, "--user", "u")).code == 2


async def test_events_are_exported_as_they_are_stored(cli: Cli, session: str, manager: SessionManager) -> None:
    """Their JSON as text."""
    records = (await cli("export", "--as", "events")).records
    stored = [event async for event in manager.history(session)]
    assert [(one["offset"], one["data"].encode()) for one in records] == [(event.offset, event.raw) for event in stored]


async def test_an_export_of_events_is_imported_as_it_was(
    cli: Cli, session: str, make_namespace: Callable[..., str], tmp_path: Path
) -> None:
    """What the lines are is told by the first of them; the summary counts."""
    path, other = tmp_path / "events.jsonl.gz", make_namespace()
    await cli("export", "--as", "events", "-o", str(path))
    done = await cli("import", str(path), "--json", "-n", other)
    assert done.code == 0
    assert done.record | {"seconds": 0} == {
        "lines": 5,
        "created": 1,
        "unchanged": 0,
        "events": 5,
        "checkpoints": 1,
        "bodiless": [],
        "failures": [],
        "seconds": 0,
    }
    here, there = await cli("history", session, "--json"), await cli("history", session, "--json", "-n", other)
    assert here.out == there.out
    again = await cli("import", str(path), "--json", "-n", other, "--as", "events")
    assert (again.code, again.record["created"], again.record["unchanged"]) == (0, 0, 1)


async def test_events_that_cannot_come_back_tell_by_the_exit_code(
    cli: Cli, session: str, make_namespace: Callable[..., str]
) -> None:
    """Their line is named."""
    lines = (await cli("export", "--as", "events")).out.splitlines(keepends=True)
    result = await cli("import", "-", "-n", make_namespace(), given="".join(lines[:2] + lines[3:]).encode())
    assert result.code == 4
    assert result.err == "sessionstream: line 3: session 's' goes on with version 4, not 3\n"


async def test_events_say_whose_they_are(cli: Cli, session: str) -> None:
    """What an option says besides would be passed over in silence."""
    out = (await cli("export", "--as", "events")).out
    result = await cli("import", "-", "--user", "u", given=out.encode(), COLUMNS="200")
    assert (result.code, "events say whose they are" in result.err) == (2, True)


async def test_an_export_can_be_of_a_time_range(cli: Cli, session: str, manager: SessionManager) -> None:
    """The times are written as everywhere."""
    events = [event async for event in manager.history(session)]
    middle = events[2].at
    records = (await cli("export", "--as", "cloudevents", "--since", middle.isoformat())).records
    assert [one["sessionversion"] for one in records] == [event.version for event in events if event.at >= middle]
    assert (await cli("export", "--until", "1w")).code == 1
    assert (await cli("export", "--since", "yesterday")).code == 2


async def test_a_table_goes_to_a_file(cli: Cli, session: str, tmp_path: Path) -> None:
    """Which is told; standard output takes none."""
    path = tmp_path / "events.parquet"
    result = await cli("export", "--as", "parquet", "-o", str(path), "--json")
    assert result.record == {"file": str(path), "sessions": 1, "rows": 5}
    result = await cli("export", "--as", "parquet")
    assert (result.code, "needs a file" in result.err) == (2, True)


async def test_an_export_with_a_cursor_leaves_its_file_alone(cli: Cli, session: str, tmp_path: Path) -> None:
    """When it is finished; and it needs a file."""
    path, cursor = tmp_path / "out.jsonl", tmp_path / "cursor"
    assert (await cli("export", "-o", str(path), "--cursor", str(cursor))).code == 0
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert (await cli("export", "--cursor", str(cursor))).code == 2


async def test_a_packed_file_that_is_cut_at_once_is_told_like_any_damage(cli: Cli, tmp_path: Path) -> None:
    """As the failure of a line, behind which there is none."""
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(line("a"))[:12])
    result = await cli("import", str(path), "--json")
    assert (result.code, [failure["line"] for failure in result.record["failures"]]) == (4, [1])


async def test_what_cannot_be_exported_is_named_and_the_others_are(
    cli: Cli, session: str, manager: SessionManager, tmp_path: Path
) -> None:
    """A fork whose origin is gone, a session that was trimmed; alone they give their own exit code."""
    for name in ("origin", "cut"):
        await manager.create_session("u", "a", session_id=name)
        await manager.add_messages(name, {"role": "user", "content": name})
    await manager.audit.fork("origin", at=2, new_session_id="fork")
    await manager.delete_session("origin", purge=True)
    await manager.retention.trim("cut", tmp_path / "archive")
    every = await cli("export", "--with-ids")
    assert (every.code, [one["session_id"] for one in every.records]) == (4, [session])
    assert [name in every.err for name in ("'fork'", "'cut'")] == [True, True]
    alone = await cli("export", "fork")
    assert (alone.code, alone.out, "are gone" in alone.err, "no sessions" in alone.err) == (5, "", True, False)
    told: list[str] = []
    lines = export_messages(manager.store, trimmed=lambda error: told.append(error.session_id))
    assert (len([line async for line in lines]), sorted(told)) == (1, ["cut", "origin"])


@pytest.mark.parametrize("name", [".", "pipe", "folder"])
async def test_what_is_no_file_is_not_replaced(cli: Cli, session: str, tmp_path: Path, name: str) -> None:
    """An export appears by taking the place of what is there: a device or a pipe would be lost."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    refused = await cli("export", "-o", name if name == "." else str(tmp_path / name))
    assert (refused.code, refused.err.splitlines()[1:]) == (2, [])
    assert (tmp_path / "pipe").is_fifo()


async def test_a_link_leads_to_the_file_that_is_written(cli: Cli, session: str, tmp_path: Path) -> None:
    """And stays one."""
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    file.touch()
    assert (await cli("export", "-o", str(link))).code == 0
    assert (link.is_symlink(), len(file.read_bytes().splitlines())) == (True, 1)


@pytest.mark.parametrize("name", ["out", "out.part"])
async def test_the_cursor_has_a_file_of_its_own(cli: Cli, session: str, tmp_path: Path, name: str) -> None:
    """It is removed in the end, and the export would be with it."""
    refused = await cli("export", "-o", str(tmp_path / "out"), "--cursor", str(tmp_path / name))
    assert (refused.code, list(tmp_path.iterdir())) == (2, [])
