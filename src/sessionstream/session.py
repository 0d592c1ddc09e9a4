"""What callers hold in their hands: a session, its state, its checkpoints."""

from __future__ import annotations

import copy
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sessionstream.errors import InvalidArgument, InvalidType

if TYPE_CHECKING:
    from sessionstream.events.forked import ForkedFrom

__all__ = ["Checkpoint", "Session", "SessionState", "state_name"]


class SessionState(enum.Enum):
    """The states of a session."""

    ACTIVE = "active"
    IDLE = "idle"
    ARCHIVED = "archived"
    EXPIRED = "expired"


def state_name(state: object) -> str:
    """Return the value of a state given as `SessionState`, as another Enum or as a string of the same value.

    Raises:
        InvalidArgument: there is no such state.
        InvalidType: it is neither an Enum nor a string.
    """
    value = state.value if isinstance(state, enum.Enum) else state
    if not isinstance(value, str):
        raise InvalidType(f"a state is a SessionState, or a string of the same value, not {state!r}")
    try:
        return SessionState(value).value
    except ValueError:
        known = ", ".join(one.value for one in SessionState)
        raise InvalidArgument(f"{value!r} is no state of a session: {known}") from None


@dataclass
class Session:
    """A session as it was when it was read; change it, then give it to ``update_session``.

    Attributes:
        session_id: its id.
        user_id: whose it is.
        agent_id: with which agent.
        created_at: when it was created; an aware UTC datetime, as all of its times are.
        expires_at: when it expires; None if it does not.
        metadata: the caller's own facts about it, never None.
        state: active, idle, archived or expired.
        version: how many events it has.
        last_event_at: when the last of them was appended.
        forked_from: the session and the offset that it began from, if it is a fork.
        as_read: what it was read from, against which ``update_session`` compares; not for callers.
    """

    session_id: str
    user_id: str
    agent_id: str
    created_at: datetime
    expires_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    state: SessionState = SessionState.ACTIVE
    version: int = 0
    last_event_at: datetime | None = None
    forked_from: ForkedFrom | None = None
    as_read: Session | Mapping[bytes, bytes] | None = field(default=None, repr=False, compare=False)

    def remember(self) -> Session:
        """Keep a copy of the present values as what was read, and return this session."""
        self.as_read = None
        self.as_read = copy.deepcopy(self)
        return self


class Checkpoint(Mapping[str, Any]):
    """A snapshot of an agent's data; a mapping, and the same as attributes.

    Attributes:
        checkpoint_id: its id, unique in its session.
        session_id: the session.
        created_at: when it was saved; an aware UTC datetime.
        offset: the last event that the data includes; a replay starts behind it.
        saved_at: the offset of the event that tells of it.
        size: bytes of the data's JSON.
        sha256: of the data's JSON, in hexadecimal.
        label: the caller's own name for it, or None.
        data: the agent's data; None in lists, unless they were asked for with their data.
    """

    _FIELDS = ("checkpoint_id", "session_id", "created_at", "offset", "saved_at", "size", "sha256", "label", "data")
    __slots__ = _FIELDS

    def __init__(
        self,
        *,
        checkpoint_id: str,
        session_id: str,
        created_at: datetime,
        offset: str,
        saved_at: str,
        size: int,
        sha256: str,
        label: str | None = None,
        data: Any = None,
    ) -> None:
        self.checkpoint_id = checkpoint_id
        self.session_id = session_id
        self.created_at = created_at
        self.offset = offset
        self.saved_at = saved_at
        self.size = size
        self.sha256 = sha256
        self.label = label
        self.data = data

    def __getitem__(self, key: str) -> Any:
        if key in self._FIELDS:
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._FIELDS)

    def __len__(self) -> int:
        return len(self._FIELDS)

    def __repr__(self) -> str:
        return f"Checkpoint({self.checkpoint_id!r} of {self.session_id!r}, offset={self.offset!r})"
