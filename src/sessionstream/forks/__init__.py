"""What a fork has of its origin: the conversation and the events up to the moment at which it was forked."""

from __future__ import annotations

from sessionstream.forks.origins import read_back, read_inherited

__all__ = ["COPIED", "read_back", "read_inherited"]

COPIED = 2
"""The version at which a fork has the checkpoint that it began with."""
