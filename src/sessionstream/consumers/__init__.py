"""Consumer groups: who reads the feed for good, how far each has come, and what it could not handle."""
