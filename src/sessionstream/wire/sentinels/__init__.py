"""A primary that sentinels watch: where it is, and when it is another one."""
