-- Gives a generation up that is being built. KEYS: 1 family. ARGV: 1 generation. Answers 1, or 0 if it is another one.
if redis.call('HGET', KEYS[1], 'building') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'building', '')
return 1
