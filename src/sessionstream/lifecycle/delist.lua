-- Takes a session out of its user's list, unless it was noted there for a later session with the same id.
-- KEYS: 1 the user's list. ARGV: 1 session, 2 the highest score of the one that is meant.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) <= tonumber(ARGV[2]) then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return 0
