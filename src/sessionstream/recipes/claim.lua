-- Notes a session that is about to be created as the newest of its user's list, if the list still ends as it did when it
-- was read: of all who found no session to restore, one goes on, and the others look again.
-- KEYS: 1 the user's list. ARGV: 1 the last session of the list that was read, or empty, 2 the session, 3 the score of
-- that last one: what was noted behind it may have been overtaken by it meanwhile.
-- Answers 1, or 0 where the list ends otherwise.
local HALF_AN_HOUR = 1800000000

local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if (last[1] or '') ~= ARGV[1] or (last[2] or '') ~= ARGV[3] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- A claim that is taken up stays where it is, unless it is so old that readers of the list would soon remove it.
local claimed = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]) or 0)
if claimed > now - HALF_AN_HOUR then return 1 end
-- A new one goes behind the last one also where the clock went back.
redis.call('ZADD', KEYS[1], string.format('%.0f', math.max(now, (tonumber(last[2]) or 0) + 1)), ARGV[2])
return 1
