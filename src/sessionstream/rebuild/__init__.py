"""Rebuilding: views are folded from the streams again, while appends go on."""

from __future__ import annotations

from sessionstream.rebuild.rebuilding import Rebuilt, rebuild_all, rebuild_session, rebuild_views

__all__ = ["Rebuilt", "rebuild_all", "rebuild_session", "rebuild_views"]
