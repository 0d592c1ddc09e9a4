"""The recipes, on real servers."""
