-- Puts the generation that was built in the place of the one in use. KEYS: 1 family. ARGV: 1 generation.
-- Answers 1 if it is in use now, or 0 if another one is being built by now.
local f = redis.call('HMGET', KEYS[1], 'current', 'building')
if f[1] == ARGV[1] then return 1 end
if f[2] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'current', ARGV[1], 'building', '')
return 1
