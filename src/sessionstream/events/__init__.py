"""The typed events: what can happen to a session, how it is declared, encoded and read back."""
