"""Faults of servers and networks, made with real ones: an error of the tree, nothing written twice, nothing lost."""
