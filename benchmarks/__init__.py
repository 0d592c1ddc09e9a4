"""What the project claims about cost, measured: one script for each claim."""
