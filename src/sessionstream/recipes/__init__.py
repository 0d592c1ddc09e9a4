"""The recipes of the session manager's first document, ready made; each takes the manager first."""

from __future__ import annotations

from sessionstream.recipes.access import get_session_stats, validate_session_access
from sessionstream.recipes.activity import cleanup_expired_sessions, mark_idle, monitor_session_activity
from sessionstream.recipes.auto_checkpoints import AutoCheckpoint, auto_checkpoint_interval
from sessionstream.recipes.batches import batch_create_sessions, batch_delete_sessions
from sessionstream.recipes.caching import CachedSessionManager
from sessionstream.recipes.limits import enforce_session_limit
from sessionstream.recipes.restoring import restore_or_create_session
from sessionstream.recipes.safe_checkpoints import Cipher, load_checkpoint_safe, save_checkpoint_safe
from sessionstream.recipes.templates import (
    AgentConfig,
    SessionTemplate,
    create_templated_session,
    restore_from_template,
)
from sessionstream.recipes.updating import safe_session_update

__all__ = [
    "AgentConfig",
    "AutoCheckpoint",
    "CachedSessionManager",
    "Cipher",
    "SessionTemplate",
    "auto_checkpoint_interval",
    "batch_create_sessions",
    "batch_delete_sessions",
    "cleanup_expired_sessions",
    "create_templated_session",
    "enforce_session_limit",
    "get_session_stats",
    "load_checkpoint_safe",
    "mark_idle",
    "monitor_session_activity",
    "restore_from_template",
    "restore_or_create_session",
    "safe_session_update",
    "save_checkpoint_safe",
    "validate_session_access",
]
