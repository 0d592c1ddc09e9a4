-- Changes what is asked to be done with something parked, and lets the partition's holder know.
-- KEYS: 1 groups, 2 group, 3 parked. ARGV: 1 group, 2 field, 3 its value as it was, 4 as it shall be.
-- Answers 1, 0 if it is not as it was, or -1 if there is no such group.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return -1 end
local known = redis.call('HGET', KEYS[3], ARGV[2])
if known == ARGV[4] then return 1 end
if known ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
redis.call('HINCRBY', KEYS[2], 'asked', 1)
return 1
