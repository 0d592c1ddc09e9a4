"""The tests; what they share is in `tests.servers` and in the fixtures of `conftest.py`."""
