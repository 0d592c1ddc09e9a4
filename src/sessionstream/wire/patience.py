"""How long to wait before a further try, and what waiting does not mend."""

from __future__ import annotations

from sessionstream.errors import (
    AuthenticationFailed,
    CertificateRefused,
    DurabilityUnavailable,
    EmbeddedUnavailable,
    SessionStreamError,
    UnsafeEviction,
)

__all__ = ["backoff", "waiting_is_vain"]

_VAIN = (AuthenticationFailed, CertificateRefused, DurabilityUnavailable, EmbeddedUnavailable, UnsafeEviction)


def backoff(attempt: int) -> float:
    """Return the seconds to wait before a further try: 5 ms, doubled each time, at most 250 ms."""
    return min(0.005 * float(2 ** min(attempt, 10)), 0.25)


def waiting_is_vain(failure: SessionStreamError) -> bool:
    """Whether a failure to connect does not go away by itself."""
    return isinstance(failure, _VAIN) and not getattr(failure, "passing", False)
