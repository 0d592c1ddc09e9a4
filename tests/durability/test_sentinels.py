"""What sentinels say together: where the primary is, and when nothing may be written to it.

G36.
"""

from __future__ import annotations

import pytest

from sessionstream.errors import Unavailable
from sessionstream.wire.sentinels.accounts import Account, FailoverUnderWay, account_of, primary_of

OLD, NEW = ("10.0.0.1", 6379), ("10.0.0.2", 6379)


def account(address: tuple[str, int] = OLD, epoch: int = 1, *, replacing: bool = False, down: bool = False) -> Account:
    """Return what one sentinel says."""
    return Account(address, epoch, replacing, down)


def test_the_latest_configuration_is_right() -> None:
    """However many have not heard of it yet."""
    assert primary_of("p", [account(), account(NEW, 2), account()]) == NEW


def test_a_primary_that_is_being_replaced_is_none() -> None:
    """By the word of a single sentinel, which leads that."""
    with pytest.raises(FailoverUnderWay):
        primary_of("p", [account(), account(replacing=True), account()])


def test_a_sentinel_that_lost_the_vote_holds_nobody_up() -> None:
    """Another one has replaced the primary by then."""
    assert primary_of("p", [account(replacing=True), account(NEW, 2)]) == NEW


def test_a_primary_that_most_take_for_down_is_not_written_to() -> None:
    """It may hang and wake; one that a single sentinel cannot reach is written to."""
    with pytest.raises(Unavailable):
        primary_of("p", [account(down=True), account(down=True), account()])
    assert primary_of("p", [account(down=True), account(), account()]) == OLD


def test_where_no_sentinel_tells_there_is_no_primary() -> None:
    """Rather than the last one that was known."""
    with pytest.raises(Unavailable, match="no sentinel"):
        primary_of("p", [])


def state(flags: bytes, epoch: bytes = b"7") -> list[bytes]:
    """Return what a sentinel answers of a primary."""
    return [b"name", b"p", b"ip", b"10.0.0.1", b"port", b"6379", b"flags", flags, b"config-epoch", epoch]


def test_a_sentinel_s_answers_are_read_in_either_protocol() -> None:
    """A list of names and values, or a map."""
    place, words = [b"10.0.0.1", b"6379"], state(b"master")
    fields = dict(zip(words[::2], words[1::2], strict=True))
    assert account_of(words, place) == account_of(fields, place) == account(epoch=7)


def test_a_promoted_replica_is_the_primary_before_the_failover_has_ended() -> None:
    """The sentinel that promoted it gives its address; until then it says that it is at it."""
    replacing = state(b"master,failover_in_progress,force_failover")
    assert account_of(replacing, [b"10.0.0.1", b"6379"]) == account(epoch=7, replacing=True)
    assert account_of(replacing, [b"10.0.0.2", b"6379"]) == account(NEW, 7)


def test_a_sentinel_that_does_not_know_the_primary_says_nothing() -> None:
    """Nor does one that refuses to tell."""
    assert account_of(ValueError("ERR No such master with that name"), None) is None
    assert account_of(state(b"master"), None) is None
