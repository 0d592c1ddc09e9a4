"""The two interpreters of view operations, over the append path alone."""
