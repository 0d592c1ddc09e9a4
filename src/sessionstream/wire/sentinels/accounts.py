"""What sentinels say of a primary, and what follows from what they say together.

A sentinel that has replaced a primary gives that a higher configuration epoch, which the others take over when they
hear of it (https://valkey.io/topics/sentinel/#configuration-epochs): of sentinels that disagree, the highest is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sessionstream.errors import Unavailable
from sessionstream.wire.cluster.redirections import Address

__all__ = ["Account", "FailoverUnderWay", "account_of", "fields_of", "primary_of"]


class FailoverUnderWay(Unavailable):
    """A sentinel is about to replace the primary: what it would still acknowledge may be lost."""


class Account(NamedTuple):
    """What one sentinel says of a primary.

    Attributes:
        address: where the primary is.
        epoch: of the configuration that this is from.
        replacing: whether it is about to promote a replica, and has not done so yet.
        down: whether it takes the primary for down.
    """

    address: Address
    epoch: int
    replacing: bool
    down: bool


def fields_of(reply: Any) -> dict[str, str]:
    """Return the fields of a map, as either protocol has it."""
    words = [one for pair in reply.items() for one in pair] if isinstance(reply, Mapping) else reply
    texts = [word.decode() if isinstance(word, bytes) else str(word) for word in words]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def account_of(state: Any, place: Any) -> Account | None:
    """Return what a sentinel has said; None if it does not know the primary.

    Args:
        state: its reply to ``SENTINEL MASTER``.
        place: its reply to ``SENTINEL GET-MASTER-ADDR-BY-NAME``, which is the promoted replica as soon as there is one.
    """
    if isinstance(state, Exception) or not isinstance(place, list):
        return None
    fields = fields_of(state)
    address = (place[0].decode(), int(place[1]))
    promoted = address != (fields["ip"], int(fields["port"]))
    flags = fields["flags"].split(",")
    return Account(
        address,
        int(fields["config-epoch"]),
        "failover_in_progress" in flags and not promoted,
        not promoted and not {"s_down", "o_down"}.isdisjoint(flags),
    )


def primary_of(name: str, accounts: Sequence[Account]) -> Address:
    """Return where the primary is, by the account of several sentinels.

    Raises:
        FailoverUnderWay: it is about to be another one.
        Unavailable: no sentinel knows, or most of them take it for down.
    """
    if not accounts:
        raise Unavailable(f"no sentinel tells where {name} is")
    epoch = max(account.epoch for account in accounts)
    latest = [account for account in accounts if account.epoch == epoch]
    if any(account.replacing for account in latest):
        raise FailoverUnderWay(f"the sentinels are replacing the primary of {name}")
    if 2 * sum(account.down for account in latest) > len(latest):
        raise Unavailable(f"the sentinels take the primary of {name} for down")
    return latest[0].address
