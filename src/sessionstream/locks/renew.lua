-- Lets a holder's lease begin anew; a lease that ran out is renewed too, as long as nobody else has taken the lock.
-- KEYS: 1 head. ARGV: 1 holder, 2 milliseconds of the lease. Answers 1, or 0 if the lock went to somebody else.
if redis.call('HGET', KEYS[1], 'lock_holder') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local lapse = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'lock_until', lapse)
return 1
