"""A Redis Cluster as one server: which node has a key, one lane for each node, and what follows when slots move."""
