"""What the server refused, or did not answer."""

from __future__ import annotations

from sessionstream.errors.root import SessionStreamError

__all__ = [
    "AuthenticationFailed",
    "CertificateRefused",
    "DurabilityUnavailable",
    "EmbeddedUnavailable",
    "NotReplicated",
    "OutcomeUnknown",
    "ServerError",
    "ServerLoading",
    "ServerOutOfMemory",
    "ServerReadOnly",
    "Unavailable",
    "UnsafeEviction",
]


class Unavailable(SessionStreamError, ConnectionError):
    """The server cannot be reached or refuses for now; nothing was written."""


class ServerLoading(Unavailable):
    """The server is still loading its data into memory."""


class ServerReadOnly(Unavailable):
    """The server takes no writes: it is a replica, lacks replicas, or cannot save."""


class ServerOutOfMemory(Unavailable, MemoryError):
    """The server is at its memory limit."""


class AuthenticationFailed(Unavailable, PermissionError):
    """The server refuses the user name, the password, or the command to this user.

    Attributes:
        passing: whether the credentials came from a provider and were taken before, so that it may give others soon:
            then the store has tried again until the deadline.
    """

    passing = False


class CertificateRefused(Unavailable, PermissionError):
    """A certificate was not accepted: the server's by this side, or this side's, or its absence, by the server.

    Attributes:
        reason: the word of OpenSSL's, such as ``CERTIFICATE_VERIFY_FAILED``.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(
            f"{message} (ssl_ca_certs names the authority that signed the server's certificate, ssl_certfile and "
            "ssl_keyfile what this side shows)"
        )
        self.reason = reason


class UnsafeEviction(Unavailable):
    """The server's eviction policy could drop keys, and events with them.

    Attributes:
        policy: the server's ``maxmemory-policy``.
    """

    def __init__(self, policy: str) -> None:
        super().__init__(
            f"the server's maxmemory-policy is {policy}, which can drop events: "
            "set it to noeviction, or allow it by name with allow_eviction"
        )
        self.policy = policy


class DurabilityUnavailable(Unavailable):
    """The server does not keep what it acknowledges as was asked for; nothing was written.

    Attributes:
        wanted: the durability that was asked for.
        found: the one that the server gives; None where it does not tell.
        passing: whether it may be given in a moment; then the store has waited for it until the deadline.
    """

    def __init__(self, wanted: str, found: str | None, advice: str, *, passing: bool = False) -> None:
        gives = "does not tell what it gives" if found is None else f"gives {found}"
        super().__init__(f"the durability {wanted} is wanted, and the server {gives}: {advice}")
        self.wanted = wanted
        self.found = found
        self.passing = passing


class EmbeddedUnavailable(Unavailable):
    """The embedded server is not installed, or cannot be started here."""


class OutcomeUnknown(SessionStreamError, ConnectionError, TimeoutError):
    """The call was sent, and no answer came before the deadline: it was applied once, or not at all.

    Call again with the same ``idempotency_key`` to find out.
    """


class NotReplicated(OutcomeUnknown):
    """Too few replicas had the append before the deadline; the primary has it, and a failover may lose it.

    Call again with the same ``idempotency_key`` to wait for them once more.

    Attributes:
        wanted: how many replicas were to have it.
        reached: how many had it.
    """

    def __init__(self, wanted: int, reached: int) -> None:
        super().__init__(f"the primary has it, and {reached} of {wanted} replicas had it before the deadline")
        self.wanted = wanted
        self.reached = reached


class ServerError(SessionStreamError):
    """The server refused a command for a reason that has no class of its own.

    Attributes:
        code: the first word of the server's answer, such as ``WRONGTYPE``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.split(" ", 1)[0]
