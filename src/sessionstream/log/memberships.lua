-- View operations on sorted sets and counters. Every set holds a member '' at -inf, so that none is ever emptied and
-- made again by one script: a Cluster that is moving the slot would lose sight of it.

function operate.move(e, i, last)
  local count = tonumber(ARGV[i])
  local into, member, score = tonumber(ARGV[i + count + 1]), ARGV[i + count + 2], ARGV[i + count + 3]
  local kept
  for n = 1, count do
    local key = KEYS[tonumber(ARGV[i + n])]
    if score == '' then kept = kept or redis.call('ZSCORE', key, member) end
    if n ~= into then
      redis.call('ZADD', key, '-inf', '')
      redis.call('ZREM', key, member)
    end
  end
  if into > 0 then
    local at = score == '' and (kept or '0') or resolve(score, e)
    redis.call('ZADD', KEYS[tonumber(ARGV[i + into])], '-inf', '', at, member)
  end
end

function operate.add(e, i, last)
  redis.call('ZADD', KEYS[tonumber(ARGV[i])], '-inf', '', resolve(ARGV[i + 1], e), ARGV[i + 2])
end

function operate.remove(e, i, last)
  redis.call('ZREM', KEYS[tonumber(ARGV[i])], ARGV[i + 1])
end

function operate.rescore(e, i, last)
  redis.call('ZADD', KEYS[tonumber(ARGV[i])], 'XX', resolve(ARGV[i + 1], e), ARGV[i + 2])
end

function operate.increment(e, i, last)
  local key, field = KEYS[tonumber(ARGV[i])], ARGV[i + 1]
  local before = redis.call('HGET', key, field)
  local number = before and string.match(before, '^%-?%d+$') and tonumber(before) or 0
  if number > LARGEST or number < -LARGEST then number = 0 end
  local sum = math.max(-LARGEST, math.min(LARGEST, number + tonumber(resolve(ARGV[i + 2], e))))
  redis.call('HSET', key, '', '', field, string.format('%.0f', sum))
end

-- The session's own time to live begins anew, and with it its place in the indexes that are scored by expiry.
function operate.slide(e, i, last)
  local ttl = redis.call('HGET', e.head, 'ttl')
  if not ttl or ttl == '' or redis.call('HGET', e.head, 'sliding') ~= '1' then return end
  local expiry = string.format('%.0f', e.ms + tonumber(ttl))
  redis.call('HSET', e.head, 'expires_at', expiry)
  for n = i + 1, last do redis.call('ZADD', KEYS[tonumber(ARGV[n])], 'XX', expiry, ARGV[i]) end
end

-- Runs the operations that begin at ARGV[i] and returns the place after them; e is the event they belong to.
local function operate_all(e, i, count)
  for _ = 1, count do
    local last = i + 1 + tonumber(ARGV[i + 1])
    operate[ARGV[i]](e, i + 2, last)
    i = last + 1
  end
  return i
end
