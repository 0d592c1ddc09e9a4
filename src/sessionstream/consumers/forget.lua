-- Removes a group from a partition. KEYS: 1 groups, 2 group, 3 parked, then further keys to remove. ARGV: 1 group.
-- Answers 1, or 0 if it was not there.
redis.call('UNLINK', unpack(KEYS, 2, math.min(#KEYS, 1000)))
return redis.call('HDEL', KEYS[1], ARGV[1])
