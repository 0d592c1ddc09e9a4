-- Lets a member's lease of a partition begin anew; one that ran out is renewed too, as long as nobody else has it.
-- KEYS: 1 group. ARGV: 1 holder, 2 token, 3 milliseconds of the lease.
-- Answers how often something was asked of the holder, or false if the partition is no longer its own.
local h = redis.call('HMGET', KEYS[1], 'holder', 'token', 'asked')
if h[1] ~= ARGV[1] or h[2] ~= ARGV[2] then return false end
local time = redis.call('TIME')
local lapse = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], 'until', lapse)
return h[3] or '0'
