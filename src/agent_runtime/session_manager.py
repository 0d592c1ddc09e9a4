"""The import path of the session manager's first document; the names are those of `sessionstream`."""

from sessionstream import AgentConfig, CachedSessionManager, Checkpoint, Session, SessionManager, SessionState

__all__ = ["AgentConfig", "CachedSessionManager", "Checkpoint", "Session", "SessionManager", "SessionState"]
