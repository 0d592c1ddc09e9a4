"""The whole public API against a model of it in plain dicts and lists."""
