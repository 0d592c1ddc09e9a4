-- Puts a session in its place that was restored beside it: absent before, whole afterwards.
-- KEYS: 1 log, 2 feed, then pairs: beside, in place; of these the first are the stream and the head. Then those that the
-- operations name by number.
-- ARGV: 1 stamp, 2 the session's name in the log, 3 its last offset, 4 number of pairs, 5 number of pointers, these,
-- then the number of operations, and they.
-- Answers 'done', or why not: 'stamp', 'exists', 'lost' (what was beside is not whole), or how many milliseconds its last
-- event is later than the server's clock.

-- include operations
-- include memberships
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local log = redis.call('HMGET', KEYS[1], ':stamp', ':feed', ':paused', ARGV[2])
if log[1] ~= ARGV[1] then return 'stamp' end
if log[3] and log[3] + 0 > now and log[3] - now < 1000 then return redis.error_reply('TRYAGAIN views are being rebuilt') end
local last_pair = 1 + 2 * ARGV[4]
if log[4] or redis.call('EXISTS', KEYS[4], KEYS[6]) > 0 then return 'exists' end
for n = 3, last_pair, 2 do
  if redis.call('EXISTS', KEYS[n]) == 0 then return 'lost' end
end
local ms, version = string.match(ARGV[3], '^(%d+)-(%d+)$')
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1][1]
if last ~= ARGV[3] or redis.call('XLEN', KEYS[3]) ~= version + 0 then return 'lost' end
if ms + 0 > now then return ms - now end

for n = 3, last_pair, 2 do
  redis.call('RENAME', KEYS[n], KEYS[n + 1])
  redis.call('PERSIST', KEYS[n + 1])
end
local pointers = ARGV[5] + 0
operate_all({ms = ms + 0, version = version + 0, offset = last, head = KEYS[6]}, 7 + pointers, ARGV[6 + pointers] + 0)
local feed_ms, feed_n = string.match(log[2] or '0-0', '^(%d+)-(%d+)$')
local prefix, position = string.format('%.0f-', math.max(feed_ms + 0, now)), log[2]
for n = 1, pointers do
  position = prefix .. string.format('%d', feed_n + n)
  redis.call('XADD', KEYS[2], position, ARGV[2], ARGV[5 + n])
end
local h = redis.call('HMGET', KEYS[6], 'state', 'expires_at', 'sliding')
local gate = last .. ' ' .. (h[1] or '') .. ' ' .. (h[2] or '') .. ' ' .. (h[3] or '')
redis.call('HSET', KEYS[1], ':feed', position, ARGV[2], gate)
return 'done'
