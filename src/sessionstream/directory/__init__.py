"""Where sessions are found and counted: by user, by agent, by state."""
