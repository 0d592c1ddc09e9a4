"""What can touch one user's sessions alone; for code that acts for a user, such as the handler of a request."""

from __future__ import annotations

from sessionstream.owned.following import OwnedFollower
from sessionstream.owned.handle import UserSessions

__all__ = ["OwnedFollower", "UserSessions"]
