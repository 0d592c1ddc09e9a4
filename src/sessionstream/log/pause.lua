-- Holds appends to a partition back for some milliseconds, so that views under heavy writing can be exchanged; 0 ends it.
-- KEYS: 1 log. ARGV: 1 milliseconds, less than 1000. It ends by itself, whatever becomes of the caller; and what would
-- last longer is none: the clock was set back since.
if ARGV[1] == '0' then return redis.call('HDEL', KEYS[1], ':paused') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('HSET', KEYS[1], ':paused', string.format('%.0f', now + tonumber(ARGV[1])))
