"""The rules of each role, as ``ACL SETUSER`` takes them (https://valkey.io/commands/acl-setuser/).

A command in a script is allowed if the user may send it. So a consumer may run scripts on all keys of the namespace, in
a selector of its own (https://valkey.io/topics/acl/#selectors), and in them write to those of consumer groups alone.
"""

from __future__ import annotations

from typing import Literal, get_args

from sessionstream.errors import InvalidArgument
from sessionstream.log.keys import Keys

__all__ = ["ROLES", "Role", "acl_rules", "acl_setuser"]

Role = Literal["runtime", "auditor", "consumer"]
ROLES: tuple[Role, ...] = get_args(Role)
"""The roles: who appends and reads; who reads and verifies; who runs consumer groups and projections from the feed."""

# What redis-py and a lane say and ask when they connect, and where a Cluster's slots are.
_CONNECTING = (
    "asking client|caching client|id client|setname client|tracking cluster|nodes cluster|slots command "
    "info ping select time"
)
_READING = (
    "evalsha_ro eval_ro exists hexists hget hgetall hkeys hlen hmget hscan lindex llen lrange memory|usage "
    "xinfo|stream xlen xrange xrevrange zcard zcount zrandmember zrange zrangebyscore zrevrange zrevrank zscore"
)
_WRITING = (
    "hdel hincrby hset hsetnx pexpire persist rename rpush spublish ssubscribe sunsubscribe unlink xadd xtrim zadd zrem"
)
_RUNNING = "evalsha script|load"
# What was sent and not answered is sent again only after the connection that carried it is ended; and a write is made
# sure of on replicas.
_REPEATING = "client|kill wait"
_CONSUMING = "hdel hincrby hset unlink zadd zrem"

# One pattern for each number of digits that a partition can have: a star would also stand for the rest of the key, in
# which anybody's session id may look like the key of a group.
_PARTITIONS = ("[0-9]", "[0-9][0-9]", "[0-9][0-9][0-9]", "[0-9][0-9][0-9][0-9]")
_OF_GROUPS = ("groups", "group:*", "parked:*", "view:@*", "ranking:@*", "index:@*", "counters:@*")


def acl_rules(role: str, namespace: str, *, ask_settings: bool = False) -> list[str]:
    """Return the rules of a role, without a password; a user that has them alone cannot log in.

    Args:
        role: ``runtime``, ``auditor`` or ``consumer``.
        namespace: the one namespace that it is for.
        ask_settings: whether the server's settings may be asked for, which levels of durability are checked against;
            among them are the server's own passwords.

    Raises:
        InvalidArgument: there is no such role, or no such namespace can be.
    """
    Keys(namespace, 1)
    everything = f"{namespace}:*"
    beginning = ["reset", "-@all", *_allowed(_CONNECTING), *(["+config|get"] if ask_settings else [])]
    match role:
        case "runtime":
            rules = [f"%RW~{everything}", f"&{everything}", *_allowed(_READING, _WRITING, _RUNNING, _REPEATING)]
        case "auditor":
            rules = [f"%R~{everything}", *_allowed(_READING)]
        case "consumer":
            groups = [f"%RW~{namespace}:{{{digits}}}:{one}" for digits in _PARTITIONS for one in _OF_GROUPS]
            rules = [
                f"%R~{everything}",
                *_allowed(_READING, _REPEATING, "script|load"),
                f"(%RW~{everything} +evalsha)",
                f"({' '.join([*groups, *_allowed(_CONSUMING)])})",
            ]
        case _:
            raise InvalidArgument(f"{role!r} is no role: {', '.join(ROLES)}")
    return [*beginning, *rules]


def acl_setuser(role: str, namespace: str, *, user: str | None = None, ask_settings: bool = False) -> str:
    """Return the command that gives a user the rules of a role, as it is typed into ``redis-cli``.

    Args:
        role: see `acl_rules`, also for the errors.
        namespace: see `acl_rules`.
        user: its name; by default that of the role.
        ask_settings: see `acl_rules`.

    Raises:
        InvalidArgument: the name has a blank or a control character, or is empty.
    """
    name = role if user is None else user
    if not name or not name.isprintable() or any(character in " \"'\\" for character in name):
        raise InvalidArgument(f"a user's name has no blanks, quotes and control characters, as {name!r} has")
    words = acl_rules(role, namespace, ask_settings=ask_settings)
    return " ".join(["ACL SETUSER", name, *(f'"{word}"' if " " in word else word for word in words)])


def _allowed(*commands: str) -> list[str]:
    return [f"+{command}" for words in commands for command in words.split()]
