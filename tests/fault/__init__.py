"""Faults of servers and networks, made with real ones: an error of the tree, nothing written twice, nothing lost.

The tests in this folder each hold one fact, on one session. `runner` lets processes work while faults of all kinds
come, and compares what they were told with what the server has in the end: ``python -m tests.fault --help``.
"""
