-- Changes a view of a partition that is being built beside the one in use, and notes its key in the record.
-- KEYS: 1 record, 2 built beside. ARGV: 1 run, 2 'hash' or 'set', 3 number of words to remove, these, then fields and
-- values, or scores and members; 1,000 words at most. Answers 1, or 0 if another rebuild has taken over.
if redis.call('HGET', KEYS[1], '') ~= ARGV[1] then return 0 end
local is_hash, first = ARGV[2] == 'hash', 4 + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], KEYS[2], '')
if is_hash then redis.call('HSET', KEYS[2], '', '') else redis.call('ZADD', KEYS[2], '-inf', '') end
if first > 4 then redis.call(is_hash and 'HDEL' or 'ZREM', KEYS[2], unpack(ARGV, 4, first - 1)) end
if first <= #ARGV then redis.call(is_hash and 'HSET' or 'ZADD', KEYS[2], unpack(ARGV, first, #ARGV)) end
return 1
