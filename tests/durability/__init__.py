"""What an append is kept by before it is acknowledged, on servers that give it and on servers that do not."""
