-- Makes a group known in a partition, unless it is already, and answers its position there.
-- KEYS: 1 log, 2 groups, 3 group, 4 parked. ARGV: 1 group, 2 a position, or 'beginning', or 'now', 3 what is to be built there
--   before the feed is read, or ''.
local known = redis.call('HGET', KEYS[2], ARGV[1])
if known then return known end
local position = ARGV[2]
if position == 'now' then
  position = redis.call('HGET', KEYS[1], ':feed') or '0-0'
elseif position == 'beginning' then
  position = '0-' .. string.format('%d', (redis.call('HGET', KEYS[1], ':feed_first') or 1) - 1)
end
-- A Cluster that moves the slot lets no script run that names keys which are not there.
redis.call('HSET', KEYS[3], 'build', ARGV[3])
redis.call('HSET', KEYS[4], '', '')
redis.call('HSET', KEYS[2], ARGV[1], position)
return position
