"""The conversation: chat messages added, taken back, and read as OpenAI-style dicts."""
