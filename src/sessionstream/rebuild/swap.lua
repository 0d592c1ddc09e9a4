-- Makes the views of one session what was folded, if the session is still where the fold ended.
-- KEYS: 1 head, 2 events, 3 log, then the keys of its other views. ARGV: 1 stamp, 2 the session's offset as it was known,
-- 3 the last entry that was folded, 4 the session's name in the log, then for each key, the head first: 'hash' or 'set', number of words, fields and
-- values, or scores and members.
-- Answers 1; or the session's offset and what follows that last entry; or 'stamp' if others may write here now.
local log = redis.call('HMGET', KEYS[3], ':stamp', ARGV[4])
if log[1] ~= ARGV[1] then return 'stamp' end
local offset = log[2] and string.match(log[2], '^%S+')
if not offset then
  -- Somebody has lost the session's gate: its stream still tells how far it is.
  local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  if not last then return {'', {}} end
  offset = last[1]
end
if offset ~= ARGV[2] then return {offset, redis.call('XRANGE', KEYS[2], '(' .. ARGV[3], '+', 'COUNT', 500)} end

-- What the log and the locks keep in the head is no view.
local function is_kept(field, in_head)
  if not in_head then return field == '' end
  return field == 'offset' or field == 'token' or string.sub(field, 1, 5) == 'lock_'
end

local function in_pages(command, key, list)
  for first = 1, #list, 1000 do
    redis.call(command, key, unpack(list, first, math.min(first + 999, #list)))
  end
end

-- Of a head the offset is that of the last event which changed a view; a lost one is as late as can be.
local noted = redis.call('HGET', KEYS[1], 'offset') or offset
local i = 5
local function make(key, in_head)
  local is_hash, last = ARGV[i] == 'hash', i + 1 + tonumber(ARGV[i + 1])
  local wanted, list, gone = {}, {}, {}
  for w = i + 2, last, 2 do
    list[#list + 1] = ARGV[w]
    list[#list + 1] = ARGV[w + 1]
    wanted[ARGV[is_hash and w or w + 1]] = true
  end
  list[#list + 1] = is_hash and (in_head and 'offset' or '') or '-inf'
  list[#list + 1] = is_hash and in_head and noted or ''
  i = last + 1
  for _, member in ipairs(is_hash and redis.call('HKEYS', key) or redis.call('ZRANGE', key, 0, -1)) do
    if not wanted[member] and not is_kept(member, in_head) then gone[#gone + 1] = member end
  end
  -- First what is new, so that the key is never empty in between.
  in_pages(is_hash and 'HSET' or 'ZADD', key, list)
  in_pages(is_hash and 'HDEL' or 'ZREM', key, gone)
end

make(KEYS[1], true)
for n = 4, #KEYS do make(KEYS[n], false) end
local h = redis.call('HMGET', KEYS[1], 'state', 'expires_at', 'sliding')
redis.call('HSET', KEYS[3], ARGV[4], offset .. ' ' .. (h[1] or '') .. ' ' .. (h[2] or '') .. ' ' .. (h[3] or ''))
return 1
