"""How the event log behaves, one fact a test; read the files in the order of their numbers."""
