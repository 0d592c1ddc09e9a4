-- Moves a group on in a partition, together with all that belongs to it: views, parked events, counters.
-- KEYS: 1 groups, 2 group, 3 parked; if the position moves, 4 log, 5 feed; then those that the operations name by number.
-- ARGV: 1 group, 2 holder, 3 token, 4 number of this commit, 5 position as it was, 6 position as it shall be;
--   7 number of words: fields of the group and values; then number of words: counters and what to add; then number of
--   words: fields of what is parked, each with its value as it was and as it shall be, '' for none; then for each event
--   with operations its offset, their number, and they.
-- Answers {'done', how often something was asked}, {'lost'}, or {'parked', fields that are not as they were}.
-- include log/operations
-- include log/memberships
-- include told

-- All that is kept of a session goes.
function operate.drop(e, i, last)
  for n = i, last do redis.call('UNLINK', KEYS[ARGV[n] + 0]) end
end

local h = redis.call('HMGET', KEYS[2], 'holder', 'token', 'last', 'asked')
if h[1] ~= ARGV[2] or h[2] ~= ARGV[3] then return {'lost'} end
local number = ARGV[3] .. '.' .. ARGV[4]
if h[3] == number then return {'done', h[4] or '0'} end
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[5] then return {'lost'} end
if ARGV[6] ~= ARGV[5] and not is_told(KEYS[4], KEYS[5], ARGV[6]) then return {'lost'} end

local fields = 7
local counters = fields + 1 + ARGV[fields]
local parked = counters + 1 + ARGV[counters]
local events = parked + 1 + ARGV[parked]
local refused = {'parked'}
for i = parked + 1, events - 1, 3 do
  local known = redis.call('HGET', KEYS[3], ARGV[i]) or ''
  if known ~= ARGV[i + 1] then refused[#refused + 1] = ARGV[i] end
end
if #refused > 1 then return refused end

for i = parked + 1, events - 1, 3 do
  if ARGV[i + 2] ~= '' then redis.call('HSET', KEYS[3], '', '', ARGV[i], ARGV[i + 2]) end
end
for i = parked + 1, events - 1, 3 do
  if ARGV[i + 2] == '' then redis.call('HDEL', KEYS[3], ARGV[i]) end
end
local i = events
while i < #ARGV do
  local ms, version = string.match(ARGV[i], '^(%d+)-(%d+)$')
  i = operate_all({ms = ms + 0, version = version + 0, offset = ARGV[i]}, i + 2, ARGV[i + 1] + 0)
end
for n = counters + 1, parked - 1, 2 do redis.call('HINCRBY', KEYS[2], ARGV[n], ARGV[n + 1]) end
local changed = {'last', number}
for n = fields + 1, counters - 1 do changed[#changed + 1] = ARGV[n] end
if ARGV[6] ~= ARGV[5] then
  local time = redis.call('TIME')
  changed[#changed + 1] = 'moved'
  changed[#changed + 1] = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[6])
end
in_pages('HSET', KEYS[2], changed)
return {'done', h[4] or '0'}
