-- Puts what is left of an ended session in the place of its stream, with the event that tells of it, and removes all
-- else, in one step.
-- KEYS: 1 log, 2 feed, 3 head, 4 events, 5 what takes their place, then the keys to remove, then those that the
-- operations name by number.
-- ARGV: 1 stamp, 2 the session's name in the log, 3 its last offset, 4 the last entry of its stream, '' for none,
-- 5 field and 6 value of the event's entry, 7 its context, 8 number of keys to remove, 9 number of fields of the head that
-- stay, these, then the number of operations, and they; then of shared views each that may be empty now: the number of a
-- sorted set's key and '', or of a hash's and a counter.
-- Answers {'done', the event's offset, its version}, or {why not}: stamp, gone, changed, held, lost (what was to take the
-- place is not whole).
-- include operations
-- include memberships
local log = redis.call('HMGET', KEYS[1], ':stamp', ':feed', ':paused', ARGV[2])
if log[1] ~= ARGV[1] then return {'stamp'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if log[3] and log[3] + 0 > now then return redis.error_reply('TRYAGAIN views are being rebuilt') end
local ms, last, state = string.match(log[4] or '', '^(%d+)-(%d+) (%S*)')
if not ms then return {'gone'} end
if ms .. '-' .. last ~= ARGV[3] or state ~= 'expired' and state ~= 'deleted' then return {'changed'} end
if redis.call('HEXISTS', KEYS[3], 'held') == 1 then return {'held'} end

local function last_of(key)
  local entry = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  return entry and entry[1] or ''
end
if last_of(KEYS[4]) ~= ARGV[4] then return {'changed'} end
if last_of(KEYS[5]) ~= ARGV[4] or redis.call('XLEN', KEYS[5]) ~= redis.call('XLEN', KEYS[4]) then return {'lost'} end

local version, at = last + 1, string.format('%.0f', math.max(ms + 0, now))
local offset = at .. '-' .. string.format('%d', version)
-- First what alone can be refused: where somebody has put a later entry into the stream.
if ARGV[7] == '' then redis.call('XADD', KEYS[5], offset, ARGV[5], ARGV[6])
else redis.call('XADD', KEYS[5], offset, ARGV[5], ARGV[6], 'meta', ARGV[7]) end
redis.call('PERSIST', KEYS[5])
redis.call('RENAME', KEYS[5], KEYS[4])

local stay = {offset = true, token = true}
for n = 10, 9 + ARGV[9] do stay[ARGV[n]] = true end
local operations = 10 + ARGV[9]
local e = {ms = at + 0, version = version, offset = offset, head = KEYS[3]}
for n = operate_all(e, operations + 1, ARGV[operations] + 0), #ARGV, 2 do
  -- What nobody else has may be called like something that was said.
  local key, field = KEYS[ARGV[n] + 0], ARGV[n + 1]
  if field ~= '' then
    if redis.call('HGET', key, field) == '0' then redis.call('HDEL', key, field) end
  elseif redis.call('ZCARD', key) == 1 and redis.call('ZSCORE', key, '') then redis.call('UNLINK', key) end
end
redis.call('HSET', KEYS[3], 'offset', offset)
local gone = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
  -- What the locks keep there is no view, and no payload.
  if not stay[field] and string.sub(field, 1, 5) ~= 'lock_' then gone[#gone + 1] = field end
end
in_pages('HDEL', KEYS[3], gone)
for n = 6, 5 + ARGV[8] do redis.call('UNLINK', KEYS[n]) end

local feed_ms, feed_n = string.match(log[2] or '0-0', '^(%d+)-(%d+)$')
local position = string.format('%.0f-%d', math.max(feed_ms + 0, now), feed_n + 1)
redis.call('XADD', KEYS[2], position, ARGV[2], offset)
local h = redis.call('HMGET', KEYS[3], 'state', 'expires_at', 'sliding')
redis.call('HSET', KEYS[1], ':feed', position, ARGV[2],
  offset .. ' ' .. (h[1] or '') .. ' ' .. (h[2] or '') .. ' ' .. (h[3] or ''))
return {'done', offset, version}
