-- Takes a member out of its group. KEYS: 1 group. ARGV: 1 holder, 2 member. Answers 1, or 0 if it is not in it.
local known = redis.call('HGET', KEYS[1], '@' .. ARGV[2])
if not known or string.match(known, '%S+$') ~= ARGV[1] then return 0 end
-- Read by nobody but the store: it keeps the key from being emptied here and made again by the next heartbeat.
redis.call('HSET', KEYS[1], 'left', ARGV[2])
redis.call('HDEL', KEYS[1], '@' .. ARGV[2])
return 1
