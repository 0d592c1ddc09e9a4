-- Writes a field of a hash once more, as it is: replicas that have this write have all that was written before it.
-- KEYS: 1 the hash. ARGV: 1 the field.

local value = redis.call('HGET', KEYS[1], ARGV[1])
if value then redis.call('HSET', KEYS[1], ARGV[1], value) end
