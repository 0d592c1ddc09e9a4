"""The wire: lanes, reconnection, event loops, with real servers and a proxy between."""
