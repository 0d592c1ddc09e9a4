"""The session manager's methods, one by one, with what the first document leaves open."""
