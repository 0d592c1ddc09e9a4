"""Tests of projections: both interpreters, and what the built-in views mean."""
