"""What takes the replies of a connection: a future, or a function that is called with each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from sessionstream.wire.waking import Waiting, give_together

__all__ = ["Collected", "Taker", "give"]

Taker = asyncio.Future[Any] | Callable[[Any], None]


class Collected(msgspec.Struct, gc=False):
    """Takes the replies to several commands, and gives a future what is made of them."""

    future: asyncio.Future[Any] | None
    left: int
    make: Callable[..., Any]
    waiting: list[Waiting]
    replies: list[Any] | None = None

    def __call__(self, reply: Any) -> None:
        replies = self.replies
        if replies is None:
            replies = self.replies = []
        replies.append(reply)
        self.left -= 1
        if self.left or self.future is None:
            return
        # An error knows the frame of this call, and the collector does not see this object: so the circle ends here.
        future, self.future = self.future, None
        if future.done():
            return
        made = next((one for one in replies if isinstance(one, Exception)), None)
        if made is None:
            try:
                made = self.make(*replies)
            except Exception as error:  # whatever it is, it is the caller's
                made = error
        give(future, made, self.waiting)


def give(taker: Taker, reply: Any, waiting: list[Waiting]) -> None:
    """Hand a reply, or the error in its place, to what takes it.

    Args:
        taker: what takes it.
        reply: what to hand.
        waiting: who waits for a future is added, and is to be woken by `wake_soon`.
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
        give_together(taker, reply, waiting)
