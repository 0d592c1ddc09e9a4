"""Checkpoints: snapshots of an agent's data that also mark where a replay starts."""
