"""The streams: their keys, the append, and how they are read; nothing else writes a stream."""
