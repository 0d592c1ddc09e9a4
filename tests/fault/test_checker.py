"""G42: the fault runner's checker names what is not as promised; with a broken checker a run would prove nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest

from tests.fault.runner.levels import LEVELS
from tests.fault.runner.rounds import Played, Round, play
from tests.fault.runner.scene import Place, call
from tests.fault.runner.single import Single
from tests.fault.runner.state import Entry
from tests.fault.runner.tally import Happened

Record = dict[str, object]
SESSION = "checked-runner-1"


@pytest.fixture(scope="module")
def place() -> Iterator[Single]:
    """One server, to which nothing happens."""
    with Single(LEVELS["fsync"].settings) as place:
        yield place


@pytest.fixture(scope="module")
def _played(place: Single) -> Played:
    return play(Round(place, LEVELS["fsync"], ["connections cut"] * 2, seed=1, namespace="checked"))


@pytest.fixture
def played(_played: Played) -> Played:
    """A round that went well, for a test to alter."""
    return copy.deepcopy(_played)


def kinds(played: Played) -> set[str]:
    """Return what the checker names."""
    return {violation.kind for violation in played.check().violations}


def all_of(played: Played, kind: str) -> list[Record]:
    """Return all records of a kind."""
    return [record for records in played.records for record in records if record["kind"] == kind]


def an_append(played: Played) -> tuple[Record, Record]:
    """Return the records of an append to the session that was acknowledged: what was asked, and what was told."""
    first, _ = two_appends(played)
    return first, next(record for record in all_of(played, "acknowledged") if record["id"] == first["id"])


def two_appends(played: Played) -> list[Record]:
    """Return what was asked by two appends to the session that were acknowledged, in the order of their versions."""
    told = {record["id"]: record["version"] for record in all_of(played, "acknowledged") if record.get("version")}
    appends = [one for one in all_of(played, "asked") if one["id"] in told and one["session"] == SESSION]
    return sorted(appends, key=lambda one: told[one["id"]])[:2]  # type: ignore[arg-type, return-value]


def test_a_round_that_went_well_is_as_promised(played: Played) -> None:
    """And something has happened in it, of every kind."""
    assert played.check().violations == []
    for kind in ("acknowledged", "refused", "read", "locked", "again", "given", "handled"):
        assert all_of(played, kind), kind


def test_an_acknowledged_event_that_is_gone_is_lost(played: Played) -> None:
    """The last one of a session, so that no version is missing; what a fault may have cost then is counted alone."""
    gone = played.state.streams[SESSION].pop()
    assert {"lost", "feed", "view", "group"} <= kinds(played)
    told_at = next(call.told_at for call in played.check().lost if gone.text in call.texts)
    played.fatal = [Happened("server killed", told_at + 1, told_at + 2)]
    assert "lost" not in kinds(played)
    assert [text for call in played.check().lost for text in call.texts if text == gone.text] == [gone.text]
    played.fatal = [Happened("server killed", told_at + 60, told_at + 61)]
    assert "lost" in kinds(played)


def test_an_event_that_is_there_twice_is_named(played: Played) -> None:
    """With the next version, as a repeat that was not noticed would be."""
    stream = played.state.streams[SESSION]
    stream.append(stream[5]._replace(offset=f"{stream[-1].offset.partition('-')[0]}-{len(stream) + 1}"))
    assert "twice" in kinds(played)


def test_an_event_that_nobody_sent_is_named(played: Played) -> None:
    """Whoever it may be from."""
    stream = played.state.streams[SESSION]
    stream.append(Entry(f"9999999999999-{len(stream) + 1}", "note.added", "by nobody", {"text": "by nobody"}))
    assert "unsent" in kinds(played)


def test_a_version_that_is_missing_is_named(played: Played) -> None:
    """In the middle of a session."""
    del played.state.streams[SESSION][3]
    assert "gap" in kinds(played)


def test_an_event_that_was_refused_and_is_there_is_named(played: Played) -> None:
    """An error that says that nothing was written has to be right."""
    _, told = an_append(played)
    told |= {"kind": "refused", "error": "Unavailable", "says": "it is away"}
    assert "refused" in kinds(played)


def test_an_event_at_another_offset_than_was_told_is_named(played: Played) -> None:
    """Also if it is there."""
    an_append(played)[1]["offsets"] = ["1-1"]
    assert "moved" in kinds(played)


def test_two_that_expected_the_same_version_are_named(played: Played) -> None:
    """Of which one alone can have succeeded."""
    first, second = two_appends(played)
    first["expected"] = second["expected"] = 1
    assert "unexpected" in kinds(played)


def test_another_answer_to_the_same_key_is_named(played: Played) -> None:
    """Who asks again is told of the same event."""
    all_of(played, "again")[0]["offsets"] = ["1-1"]
    assert "not idempotent" in kinds(played)


def test_a_batch_of_which_a_part_is_there_is_named(played: Played) -> None:
    """All of it, or none."""
    batch = next(one for one in all_of(played, "asked") if len(one["texts"]) > 1)  # type: ignore[arg-type]
    batch["texts"] = [*batch["texts"], "one more"]  # type: ignore[misc]
    assert "torn" in kinds(played)


def test_two_holders_of_one_token_are_named(played: Played) -> None:
    """Whenever they had it."""
    played.records[1].append(dict(all_of(played, "locked")[0]))
    assert "lock" in kinds(played)


def test_a_holder_that_wrote_behind_its_successor_is_named(played: Played) -> None:
    """By the token that it had."""
    first, second = two_appends(played)
    first["token"], second["token"] = 1_000_000, 999_999
    assert "fence" in kinds(played)


def test_a_version_that_was_known_and_is_not_read_is_named(played: Played) -> None:
    """Who has appended reads its own writes."""
    record = next(one for one in all_of(played, "read") if one["version"])
    record["known"] = 1_000_000
    assert "read back in time" in kinds(played)


@pytest.mark.parametrize("change", [{"version": 1}, {"metadata": {"m": "x"}}, {"user_id": "somebody else"}])
def test_a_view_that_is_not_the_fold_of_the_events_is_named(played: Played, change: dict[str, object]) -> None:
    """Whichever part of it."""
    session = played.state.sessions[SESSION]
    played.state.sessions[SESSION] = type("Altered", (), {**vars_of(session), **change})
    assert "view" in kinds(played)


def vars_of(session: object) -> dict[str, object]:
    """Return what a session holds."""
    return {name: getattr(session, name) for name in ("version", "metadata", "user_id", "created_at")}


def test_a_pointer_that_the_feed_lacks_is_named(played: Played) -> None:
    """Or that it has twice."""
    feed = max(played.state.feed, key=len)
    del feed[1]
    assert "feed" in kinds(played)


def test_an_event_that_a_follower_was_not_given_is_named(played: Played) -> None:
    """Each is given."""
    records = next(records for records in played.records if any(one["kind"] == "given" for one in records))
    records.remove(next(one for one in records if one["kind"] == "given"))
    assert "follower missed" in kinds(played)


def test_an_event_that_a_follower_was_given_twice_is_named(played: Played) -> None:
    """Each once."""
    records = next(records for records in played.records if any(one["kind"] == "given" for one in records))
    records.append(dict(next(one for one in records if one["kind"] == "given")))
    assert "follower" in kinds(played)


def test_an_event_that_the_group_has_counted_twice_is_named(played: Played) -> None:
    """What its handlers change in views changes once."""
    played.state.handled[SESSION] += 1
    assert "group" in kinds(played)


def test_a_list_that_lacks_a_session_is_named(played: Played) -> None:
    """A user's."""
    next(listed for listed in played.state.listed.values() if SESSION in listed).discard(SESSION)
    assert "list" in kinds(played)


def test_an_error_that_is_none_of_the_librarys_is_named(played: Played) -> None:
    """Whatever was asked."""
    played.records[1].append({"kind": "foreign", "at": 0.0, "id": "", "error": "KeyError('x')"})
    assert "foreign error" in kinds(played)


def test_what_is_altered_on_the_server_is_read_as_altered(place: Single) -> None:
    """An event removed, a view edited, and a key that belongs to nobody: seen by the raw read and by the library."""
    done: list[str] = []

    def spoil(place: Place) -> None:
        server = place.targets[0].server
        for key in call(server, "KEYS", "spoilt:*:events:spoilt-runner-*")[:1]:
            last = call(server, "XREVRANGE", key, "+", "-", "COUNT", 1)[0][0]
            call(server, "XDEL", key, last)
            head = key.decode().replace(":events:", ":head:")
            call(server, "HSET", head, "user_id", "somebody else")
            call(server, "SET", "spoilt:{0}:nobodys", "x")
            done.append(key.decode())

    played = play(Round(place, LEVELS["fsync"], [], seed=2, namespace="spoilt", spoil=spoil))
    assert done
    assert {"lost", "view", "verify", "ownerless key"} <= kinds(played)
