"""`acl`: the rules for the server's users, one command a role."""

from __future__ import annotations

from typing import Annotated

import typer

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

__all__ = ["acl"]


@command("acl", panel="Keep in order")
async def acl(
    call: Call,
    role: Annotated[
        str | None, typer.Option("--role", help="runtime, auditor or consumer.", show_default="all of them")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", help="The user's name; with --role.", show_default="that of the role")
    ] = None,
    ask_settings: Annotated[
        bool, typer.Option("--ask-settings", help="Let it ask for the server's settings, passwords among them.")
    ] = False,
) -> int:
    """Print the rules of an access list for who appends, who audits and who consumes, as `ACL SETUSER` takes them.

    The server is not asked. A user that has these rules cannot log in before it is given a password.
    """
    from sessionstream.permissions import ROLES, acl_rules, acl_setuser
    from sessionstream.settings import settings_from

    if user is not None and role is None:
        raise typer.BadParameter("say which role the user has", param_hint="--role")
    namespace = settings_from(**call.settings).namespace
    for one in ROLES if role is None else [role]:
        if call.terminal.as_json:
            rules = acl_rules(one, namespace, ask_settings=ask_settings)
            call.terminal.emit({"role": one, "user": user or one, "namespace": namespace, "rules": rules})
        else:
            # In one piece, however wide a terminal is: it is to be copied.
            typer.echo(acl_setuser(one, namespace, user=user, ask_settings=ask_settings))
    call.terminal.say("then let each in, for example: ACL SETUSER runtime on >a-long-password")
    return Code.DONE
