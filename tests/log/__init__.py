"""The log from within: its keys, its one script, how appends travel, how a place in a stream is found."""
