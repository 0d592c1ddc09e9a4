"""Whether a history is what was appended: seals, their verification, anchors outside of Redis, evidence in one file."""
