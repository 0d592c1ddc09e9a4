"""`acl` prints rules that a server takes (G38)."""

from __future__ import annotations

import itertools
import shlex
from typing import Any

from tests.cli.conftest import Cli


async def test_the_lines_are_taken_by_a_server(cli: Cli, server: Any) -> None:
    """By every node of a Cluster; one for each role; no password is in them, and none is given."""
    result = await cli("acl", "--namespace", "shop")
    lines = result.out.splitlines()
    assert [shlex.split(line)[2] for line in lines] == ["runtime", "auditor", "consumer"]
    async with server.primaries() as clients:
        for client, line in itertools.product(clients, lines):
            words = shlex.split(line)
            try:
                await client.execute_command(*words)
                user = await client.acl_getuser(words[2])
                assert user is not None
                assert "off" in user["flags"]
                assert not user["passwords"]
            finally:
                await client.acl_deluser(words[2])
    assert "password" in result.err


async def test_one_role_under_a_name_of_its_own(cli: Cli) -> None:
    """As an object, too."""
    assert (await cli("acl", "--role", "auditor", "--user", "ann")).out.startswith("ACL SETUSER ann reset -@all ")
    record = (await cli("acl", "--role", "auditor", "--user", "ann", "--json", "-n", "shop")).record
    assert (record["role"], record["user"], record["namespace"]) == ("auditor", "ann", "shop")
    assert "%R~shop:*" in record["rules"]


async def test_what_is_no_role_is_wrong_usage(cli: Cli) -> None:
    """Nothing is printed."""
    for words in (("--role", "root"), ("--user", "ann"), ("--role", "auditor", "--user", "a b")):
        result = await cli("acl", *words)
        assert (result.code, result.out) == (2, "")
