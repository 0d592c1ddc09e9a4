-- Appends to any number of sessions of one partition.
-- KEYS: 1 log, 2 feed, then those that the appends name by number.
-- ARGV: 1 stamp, 2 number of appends, then for each append
--   its length, head, events, idempotency (0: none), claim (0: none), session, key, digest, claimed id, phases, runtime,
--   token, expected version, since (given on a repeat), sliding, number of events, then for each event
--   number of words, fields and values (the first value pair is the id), number of operations, operations.
-- Answers the server's milliseconds, then for each append its last offset, or a list whose first word says why not.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local partition = redis.call('HMGET', KEYS[1], 'stamp', 'feed', 'paused')
if partition[1] ~= ARGV[1] then return {'stamp', partition[1] or ''} end
if partition[3] and tonumber(partition[3]) > now then return redis.error_reply('TRYAGAIN views are being rebuilt') end
local feed_ms, feed_n = string.match(partition[2] or '0-0', '^(%d+)-(%d+)$')
feed_ms, feed_n = math.max(tonumber(feed_ms), now), tonumber(feed_n)

local function key_at(i)
  return KEYS[tonumber(ARGV[i])]
end

local function append_one(i)
  local a = {
    events = key_at(i + 1), idempotency = key_at(i + 2), claim = key_at(i + 3), key = ARGV[i + 5], digest = ARGV[i + 6],
    claimed = ARGV[i + 7], phases = ARGV[i + 8], runtime = ARGV[i + 9], token = ARGV[i + 10], expected = ARGV[i + 11],
    since = ARGV[i + 12], sliding = ARGV[i + 13], count = tonumber(ARGV[i + 14]), id = ARGV[i + 17],
  }
  local seen = seen_before(a, now)
  if seen then return seen end
  local h = redis.call('HMGET', key_at(i), 'offset', 'state', 'expires_at', 'sliding', 'token')
  local head = {offset = h[1], state = h[2], expires_at = h[3], sliding = h[4], token = h[5]}
  local last_ms, version = string.match(h[1] or '0-0', '^(%d+)-(%d+)$')
  head.version = tonumber(version)
  local refusal = refused(a, head, now)
  if refusal then return refusal end

  local e = {ms = math.max(now, tonumber(last_ms)), version = head.version, head = key_at(i)}
  local ms, at, entries = string.format('%.0f', e.ms), i + 15, {}
  for n = 1, a.count do
    e.version = e.version + 1
    e.offset = ms .. '-' .. string.format('%d', e.version)
    local last = at + tonumber(ARGV[at])
    entries[n] = {e.offset, at + 1, last}
    at = operate_all(e, last + 2, tonumber(ARGV[last + 1]))
  end
  if a.idempotency then redis.call('HSET', a.idempotency, a.key, a.digest .. ' ' .. e.offset .. ' ' .. a.count) end
  redis.call('HSET', e.head, 'offset', e.offset)
  feed_n = feed_n + 1
  redis.call('XADD', KEYS[2], string.format('%.0f-%d', feed_ms, feed_n), 's', ARGV[i + 4], 'o', e.offset, 'c', a.count)
  for n = 1, a.count do
    redis.call('XADD', a.events, entries[n][1], unpack(ARGV, entries[n][2], entries[n][3]))
  end
  return e.offset
end

local answers, i, first_n = {now}, 3, feed_n
for n = 1, tonumber(ARGV[2]) do
  local fine, answer = pcall(append_one, i + 1)
  if not fine and type(answer) == 'table' then answer = answer.err end
  answers[n + 1] = fine and answer or {'failed', tostring(answer)}
  i = i + 1 + tonumber(ARGV[i])
end
if feed_n > first_n then redis.call('HSET', KEYS[1], 'feed', string.format('%.0f-%d', feed_ms, feed_n)) end
return answers
