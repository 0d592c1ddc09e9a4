-- Adds to a hash or a sorted set that is being restored beside its place, where nobody sees it yet.
-- KEYS: 1 the key beside. ARGV: 1 milliseconds after which it is gone, 2 'hash' or 'set', then fields and values, or
-- scores and members; 1,000 words at most.
redis.call(ARGV[2] == 'hash' and 'HSET' or 'ZADD', KEYS[1], unpack(ARGV, 3, #ARGV))
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
