-- Frees a session's lock and wakes those who wait for it; the token stays, so that it only ever grows.
-- KEYS: 1 head. ARGV: 1 holder, 2 the channel of the waiters, which is no key: a Cluster that moves the slot would look
-- for it in vain.
-- Answers 1, or 0 if the lock is somebody else's or nobody's. Asked again by the same holder, it answers the same.
local h = redis.call('HMGET', KEYS[1], 'offset', 'lock_holder', 'lock_released')
-- Of a session that was removed nothing is left to free, and nobody else can have it.
if not h[1] then return 1 end
if h[2] ~= ARGV[1] then return h[3] == ARGV[1] and 1 or 0 end
redis.call('HSET', KEYS[1], 'lock_holder', '', 'lock_until', '0', 'lock_released', ARGV[1])
-- A user who may not publish releases all the same: the waiters wake when the lease would have run out.
redis.pcall('SPUBLISH', ARGV[2], '1')
return 1
