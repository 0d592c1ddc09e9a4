"""Holds, archives, trims, the last checkpoints."""
