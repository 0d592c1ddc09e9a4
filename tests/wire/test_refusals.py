"""What a refusal of the server is to the caller (G5)."""

from __future__ import annotations

import hiredis
import pytest

from sessionstream.errors import ServerError, Unavailable
from sessionstream.wire.refusal import from_reply


@pytest.mark.parametrize(
    "words", ["MOVED 4574 127.0.0.1:18570", "ASK 4574 127.0.0.1:18570", "TRYAGAIN", "CLUSTERDOWN x"]
)
def test_what_a_cluster_says_while_it_changes_is_unavailable(words: str) -> None:
    """Where the deadline is over before anybody has the slot: nothing was written, and it may be tried again."""
    assert type(from_reply(hiredis.ReplyError(words))) is Unavailable


def test_what_has_no_class_of_its_own_keeps_its_word() -> None:
    """As the server said it."""
    error = from_reply(hiredis.ReplyError("WRONGTYPE not that"))
    assert isinstance(error, ServerError)
    assert error.code == "WRONGTYPE"
