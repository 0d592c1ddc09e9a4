"""The document that the project starts from runs as it is written."""
