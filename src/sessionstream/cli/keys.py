"""`keys`: renews the keys of a store that encrypts."""

from __future__ import annotations

from typing import Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

__all__ = ["keys"]


@command("keys", panel="Keep in order")
async def keys(
    call: Call,
    rotate: Annotated[
        str | None, typer.Option("--rotate", metavar="USER", help="Give this user a new data key.")
    ] = None,
    rewrap: Annotated[bool, typer.Option("--rewrap", help="Wrap all data keys with the present master key.")] = False,
) -> int:
    """Renew the keys of a store that encrypts. What is stored stays as it is, and is read as before."""
    if (rotate is None) == (not rewrap):
        raise typer.BadParameter("say exactly one of --rotate and --rewrap")
    async with call.open() as manager:
        if rotate is not None:
            made = await manager.encryption.rotate(rotate)
            told: dict[str, str | int] = {"user_id": rotate, "key_id": made}
            line = f"data key {made} encrypts what {rotate} says from now on"
        else:
            count = await manager.encryption.rewrap()
            told = {"rewrapped": count}
            line = f"{count:,} data keys were wrapped with the present master key"
    if call.terminal.as_json:
        call.terminal.emit(told)
    else:
        call.terminal.line(line)
    return Code.DONE
