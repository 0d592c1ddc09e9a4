"""Tests of the rebuild, with real servers."""
