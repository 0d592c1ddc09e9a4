-- Notes a session in its user's list, newest last, unless it is there.
-- KEYS: 1 the user's list. ARGV: 1 session. The score is in microseconds, so that sessions made one after the other keep
-- their order.
local time = redis.call('TIME')
return redis.call('ZADD', KEYS[1], 'NX', string.format('%.0f', time[1] * 1000000 + time[2]), ARGV[1])
