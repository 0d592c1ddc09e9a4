"""What the server's refusals mean: the one place where its error words become the library's errors."""

from __future__ import annotations

import re

from sessionstream.errors import (
    AuthenticationFailed,
    CertificateRefused,
    OutcomeUnknown,
    ServerError,
    ServerLoading,
    ServerOutOfMemory,
    ServerReadOnly,
    SessionStreamError,
    Unavailable,
)

__all__ = ["PASSING", "after_sending", "code_of", "from_driver", "from_reply"]

# Refusals that come before a command runs and go away by themselves: the call may be sent again.
PASSING = frozenset({"LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "BUSY", "UNKILLABLE", "NOREPLICAS"})

_CLASSES: dict[str, type[Unavailable]] = {
    "LOADING": ServerLoading,
    "TRYAGAIN": Unavailable,
    # Where they are met at the deadline; before it they are followed.
    "MOVED": Unavailable,
    "ASK": Unavailable,
    "CLUSTERDOWN": Unavailable,
    "MASTERDOWN": Unavailable,
    "BUSY": Unavailable,
    "UNKILLABLE": Unavailable,
    "READONLY": ServerReadOnly,
    "NOREPLICAS": ServerReadOnly,
    "MISCONF": ServerReadOnly,
    "OOM": ServerOutOfMemory,
    "NOAUTH": AuthenticationFailed,
    "WRONGPASS": AuthenticationFailed,
    "NOPERM": AuthenticationFailed,
}

_ADVICE = {
    "READONLY": "this is a replica: connect to the primary",
    "MISCONF": "the server cannot save and refuses writes: look at its log and its disk",
    "NOREPLICAS": "fewer replicas are connected than min-replicas-to-write asks for",
    "OOM": "the server is at its maxmemory: raise it, or shorten the retention of ended sessions",
    "NOPERM": "the ACL of this user does not allow what is needed: `sessionstream acl` prints the rules of each role",
}

# What OpenSSL calls a certificate that either side refuses (https://docs.openssl.org/master/man3/SSL_alert_type_string/).
_CERTIFICATE = re.compile(r"\[SSL: (\w*CERTIFICATE\w*|\w*UNKNOWN_CA|\w*ACCESS_DENIED)\]")

# In a script a command that the user's rules forbid is told without a code: by Redis 7.2 and Valkey, and by Redis 7.0.
_FORBIDDEN_IN_SCRIPT = ("ACL failure in script", "The user executing the script can't")


def code_of(error: Exception) -> str:
    """Return the first word of a server's error, such as ``NOSCRIPT``."""
    words = str(error).split(" ", 1)
    return words[0].lstrip("-")


def from_reply(error: Exception) -> SessionStreamError:
    """Return the library's error for an error reply of the server."""
    text = str(error)
    # A refusal inside a script is wrapped in the script's own words; the first word stays the server's.
    code = code_of(error)
    if any(words in text for words in _FORBIDDEN_IN_SCRIPT):
        code = "NOPERM"
    kind = _CLASSES.get(code)
    if kind is None and text.startswith("ERR max number of clients"):
        return Unavailable(text)
    if kind is None:
        return ServerError(text)
    advice = _ADVICE.get(code)
    return kind(f"{text} ({advice})" if advice else text)


def from_driver(error: Exception) -> SessionStreamError:
    """Return the library's error for a failure to connect, which redis-py or the system raised."""
    from redis import exceptions as driver

    # redis-py wraps what the server answers while a connection is made.
    if isinstance(error.__cause__, driver.RedisError):
        error = error.__cause__
    text = str(error) or type(error).__name__
    if isinstance(error, (driver.AuthenticationError, driver.AuthorizationError, driver.NoPermissionError)):
        return AuthenticationFailed(f"{text} (check the user name and the password)")
    if isinstance(error, driver.BusyLoadingError):
        return ServerLoading(text)
    if isinstance(error, driver.ResponseError):
        return from_reply(error)
    if (refused := _CERTIFICATE.search(text)) is not None:
        return CertificateRefused(f"the server cannot be reached: {text}", refused[1])
    return Unavailable(f"the server cannot be reached: {text}")


def after_sending(failure: SessionStreamError, what: object, unknown: bool) -> SessionStreamError:
    """Return the error for a call that failed at last: `OutcomeUnknown`, if a copy of it may have been executed."""
    if not unknown or isinstance(failure, OutcomeUnknown):
        return failure
    return OutcomeUnknown(f"{what!s}: sent, and then: {failure}")
