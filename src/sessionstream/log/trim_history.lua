-- Removes the oldest entries of a session's stream and says so by an event, in one step.
-- KEYS: 1 log, 2 feed, 3 head, 4 events, 5 bases, 6 order of its checkpoints, 7 groups of the partition, then those that
--   the operations name by number.
-- ARGV: 1 stamp, 2 the session's name in the log, 3 offset of the last entry to remove, 4 SHA-1 of that entry, 5 offset
--   of the first one, 6 up to where the session was trimmed before, 7 field of the base that holds what is removed,
--   8 score of the newest checkpoint, 9 field and 10 value of the event's entry, 11 its context, 12 number of groups;
--   then each group and the number of its position; then number of bases to remove, these; number of operations, they.
-- Answers {'done', the event's offset, its version}, or {why not}: stamp, gone, held, changed, behind.
-- include operations
-- include memberships
local log = redis.call('HMGET', KEYS[1], ':stamp', ':feed', ':paused', ARGV[2])
if log[1] ~= ARGV[1] then return {'stamp'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if log[3] and log[3] + 0 > now and log[3] - now < 1000 then return redis.error_reply('TRYAGAIN views are being rebuilt') end
local ms, last, rest = string.match(log[4] or '', '^(%d+)-(%d+)( %S* %S* %S*)$')
if not ms then return {'gone'} end
local head = redis.call('HMGET', KEYS[3], 'held', 'trimmed')
if head[1] then return {'held'} end

-- All that was looked at before is still so: the entries, the base, the checkpoints, and how far each group has come.
local first = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
local final = redis.call('XRANGE', KEYS[4], ARGV[3], ARGV[3])[1]
if (head[2] or '') ~= ARGV[6] or not final or first[1] ~= ARGV[5] then return {'changed'} end
if redis.sha1hex(table.concat(final[2], '\0')) ~= ARGV[4] then return {'changed'} end
if redis.call('HEXISTS', KEYS[5], ARGV[7]) == 0 then return {'changed'} end
if (redis.call('ZREVRANGE', KEYS[6], 0, 0, 'WITHSCORES')[2] or '') ~= ARGV[8] then return {'changed'} end
local i, known = 13, {}
for _ = 1, tonumber(ARGV[12]) do known[ARGV[i]], i = ARGV[i + 1] + 0, i + 2 end
local groups = redis.call('HGETALL', KEYS[7])
for n = 1, #groups, 2 do
  local position = string.match(groups[n + 1], '%-(%d+)$')
  if not known[groups[n]] or not position or position + 0 < known[groups[n]] then return {'behind'} end
end

local feed_ms, feed_n = string.match(log[2] or '0-0', '^(%d+)-(%d+)$')
local position = string.format('%.0f-%d', math.max(feed_ms + 0, now), feed_n + 1)
local version, at = last + 1, string.format('%.0f', math.max(ms + 0, now))
local offset = at .. '-' .. string.format('%d', version)
local bases = tonumber(ARGV[i])
local operations = i + 1 + bases
operate_all({ms = at + 0, version = version, offset = offset, head = KEYS[3]}, operations + 1, ARGV[operations] + 0)
redis.call('HSET', KEYS[3], 'offset', offset)
redis.call('XADD', KEYS[2], position, ARGV[2], offset)
redis.call('HSET', KEYS[1], ':feed', position, ARGV[2], offset .. rest)
if ARGV[11] == '' then redis.call('XADD', KEYS[4], offset, ARGV[9], ARGV[10])
else redis.call('XADD', KEYS[4], offset, ARGV[9], ARGV[10], 'meta', ARGV[11]) end
local final_ms, final_version = string.match(ARGV[3], '^(%d+)-(%d+)$')
redis.call('XTRIM', KEYS[4], 'MINID', '=', final_ms .. '-' .. string.format('%d', final_version + 1))
if bases > 0 then redis.call('HDEL', KEYS[5], unpack(ARGV, i + 1, i + bases)) end
return {'done', offset, version}
