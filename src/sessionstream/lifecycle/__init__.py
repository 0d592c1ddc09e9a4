"""A session's life: created, read, changed, expired, deleted, and at last retired."""
