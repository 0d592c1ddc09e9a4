"""Other stores of sessions and of events, each used as its documentation says: one module for each.

A module is imported only by its own benchmark, in a process of its own: what it loads slows down nobody else.
"""
