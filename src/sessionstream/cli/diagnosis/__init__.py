"""What `doctor` and `stats` ask of a server and a namespace; nothing here prints."""
