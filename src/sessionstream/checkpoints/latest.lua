-- The latest checkpoint of a session, whatever was deleted: id, what is kept of it, body; or false.
-- KEYS: 1 order, 2 saved, 3 bodies.
local id = redis.call('ZREVRANGE', KEYS[1], 0, 0)[1]
if not id or id == '' then return false end
return {id, redis.call('HGET', KEYS[2], id), redis.call('HGET', KEYS[3], id)}
