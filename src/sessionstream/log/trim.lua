-- Trims a partition's feed by age, and records its first kept position.
-- KEYS: 1 log, 2 feed. ARGV: 1 milliseconds for which it is kept. Answers how many pointers it removed.
local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
local removed = redis.call('XTRIM', KEYS[2], 'MINID', '~', string.format('%.0f', math.max(0, oldest)))
if removed > 0 then
  local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  local last_n = string.match(redis.call('HGET', KEYS[1], ':feed'), '%-(%d+)$')
  -- An entry is named by the last of its pointers, each of which has two fields.
  local first_n = first and string.match(first[1], '%-(%d+)$') + 1 - #first[2] / 2 or last_n + 1
  redis.call('HSET', KEYS[1], ':feed_first', string.format('%d', first_n))
end
return removed
