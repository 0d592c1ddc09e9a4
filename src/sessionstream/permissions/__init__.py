"""What the server's users may do: the rules of an access list for those who write, who look, and who consume."""

from __future__ import annotations

from sessionstream.permissions.roles import ROLES, acl_rules, acl_setuser

__all__ = ["ROLES", "acl_rules", "acl_setuser"]
