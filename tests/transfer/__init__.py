"""Sessions in and out."""
