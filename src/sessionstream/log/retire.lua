-- Removes all of an ended session in one step, and says so in the feed.
-- KEYS: 1 log, 2 feed, 3 registry, 4 head, then the other keys to remove, then those that the operations name by number.
-- ARGV: 1 stamp, 2 session, 3 its last offset, 4 number of keys to remove, 5 number of operations, operations.
-- Answers 1, or 0 if the session is not as it was read, or a hold stands, or -1 if the namespace was made with other settings.

-- include operations
-- include memberships
local field = string.sub(ARGV[2], 1, 1) == ':' and ':' .. ARGV[2] or ARGV[2]
local partition = redis.call('HMGET', KEYS[1], ':stamp', ':feed', field)
if partition[1] ~= ARGV[1] then return -1 end
local head = redis.call('HMGET', KEYS[4], 'state', 'held')
if string.match(partition[3] or '', '^%S*') ~= ARGV[3] then return 0 end
if head[2] or head[1] ~= 'expired' and head[1] ~= 'deleted' and head[1] ~= 'erased' then return 0 end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local feed_ms, feed_n = string.match(partition[2] or '0-0', '^(%d+)-(%d+)$')
local position = string.format('%.0f-%d', math.max(tonumber(feed_ms), now), feed_n + 1)
operate_all({ms = now, version = 0, offset = ARGV[3], head = KEYS[4]}, 6, tonumber(ARGV[5]))
redis.call('XADD', KEYS[2], position, field, ARGV[3] .. ' 0')
redis.call('HSET', KEYS[1], ':feed', position)
redis.call('HDEL', KEYS[1], field)
redis.call('ZREM', KEYS[3], ARGV[2])
for n = 4, 3 + tonumber(ARGV[4]) do redis.call('UNLINK', KEYS[n]) end
return 1
