-- Gives a partition back; the token stays, so that it only ever grows.
-- KEYS: 1 group. ARGV: 1 holder, 2 token. Answers 1, or 0 if it was not the holder's any more.
local h = redis.call('HMGET', KEYS[1], 'holder', 'token')
if h[1] ~= ARGV[1] or h[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'holder', '', 'member', '', 'until', '0')
return 1
