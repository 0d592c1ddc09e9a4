"""Tests of consumer groups and of what is projected from the feed."""
