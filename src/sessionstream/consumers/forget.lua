-- Takes a group out of a partition: what its members do there is refused from now on.
-- KEYS: 1 groups, 2 group. ARGV: 1 group. Answers 1, or 0 if it was not there.
redis.call('HSET', KEYS[2], 'holder', '', 'member', '', 'until', '0')
return redis.call('HDEL', KEYS[1], ARGV[1])
