"""sessionstream: an event-sourced session store for AI agent runtimes, on Redis Streams."""
