"""What takes the replies of a connection: a future, or a function that is called with each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from sessionstream.wire.waking import Given

__all__ = ["Collected", "Taker", "give"]

Taker = asyncio.Future[Any] | Callable[[Any], None]


class Collected(msgspec.Struct, gc=False):
    """Takes the replies to several commands, and gives a future what is made of them."""

    future: asyncio.Future[Any] | None
    count: int
    make: Callable[..., Any]
    given: list[Given]
    replies: list[Any] = []

    def __call__(self, reply: Any) -> None:
        replies = self.replies
        replies.append(reply)
        if len(replies) < self.count:
            return
        # An error knows the frame of this call, and the collector does not see this object: so the circle ends here.
        future, self.future = self.future, None
        if future is None or future.done():
            return
        for made in replies:
            if isinstance(made, Exception):
                break
        else:
            try:
                self.given.append((future, self.make(*replies)))
            except Exception as error:  # whatever it is, it is the caller's
                made = error
            else:
                return
        give(future, made, self.given)


def give(taker: Taker, reply: Any, given: list[Given]) -> None:
    """Hand a reply, or the error in its place, to what takes it.

    Args:
        taker: what takes it.
        reply: what to hand.
        given: a future and its result are added, for `give_all`; an error it is given at once.
    """
    if not isinstance(taker, asyncio.Future):
        taker(reply)
    elif taker.done():
        return
    elif isinstance(reply, Exception):
        taker.set_exception(reply)
        # A caller that was cancelled meanwhile never asks: asyncio would log what nobody needs to know.
        taker.exception()
    else:
        given.append((taker, reply))
