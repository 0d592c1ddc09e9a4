"""A session's lock: who has it, who waits for it, and what a late holder can still do."""
