-- Makes a group forget what an event failed with. KEYS: 1 the group's hash. ARGV: 1 what it keeps, 2 what it shall keep.
-- Answers 1, or 0 if it keeps something else by now.
if redis.call('HGET', KEYS[1], 'failing') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'failing', ARGV[2])
return 1
