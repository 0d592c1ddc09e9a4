"""From a URL or a caller's client to replies: connections, lanes, retries; it knows nothing of sessions."""
