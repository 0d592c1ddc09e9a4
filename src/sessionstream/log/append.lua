-- Appends to any number of sessions of one partition.
-- KEYS: 1 log, 2 feed, then head and events of each append, then those that guards and operations name by number.
-- ARGV: 1 stamp, 2 number of appends, 3 whether any has operations, 4 whether any has guards, then for each append
--   number of its words, session, phases, runtime, sliding, number of events, number of guards and these; for each
--   event the number of its words, and they, the id first; and if any append has operations, their number, and they.
-- Answers the server's milliseconds, then for each append its last offset, or a list whose first word says why not.
-- What most appends do not need is not even defined for them: making a function costs as much as a command.

local call, KEYS, ARGV = redis.call, KEYS, ARGV
local carry_out, seen, guarded, remember
if ARGV[3] == '1' then
-- include operations
-- include memberships
carry_out = operate_all
end
if ARGV[4] == '1' then
-- include admission
seen, guarded, remember = seen_before, refused, note
end

local time = call('TIME')
local now = time[1] * 1000 + (time[2] - time[2] % 1000) / 1000
local log = call('HMGET', KEYS[1], 'stamp', 'feed', 'paused')
if log[1] ~= ARGV[1] then return {'stamp', log[1] or ''} end
if log[3] and log[3] + 0 > now then return redis.error_reply('TRYAGAIN views are being rebuilt') end
local match, max = string.match, math.max
local feed_ms, feed_n = match(log[2] or '0-0', '^(%d+)-(%d+)$')
feed_ms, feed_n = max(now, feed_ms), feed_n + 0
local function append_one(i, k)
  local head, events, phases, at = KEYS[k], KEYS[k + 1], ARGV[i + 1], i + 6
  local count, guards = ARGV[i + 4] + 0, ARGV[i + 5] ~= '0' and i + 6
  if guards then
    at = at + ARGV[i + 5]
    local answer = seen(guards, events, ARGV[at + 2], count, now)
    if answer then return answer end
  end
  local h = call('HMGET', head, 'offset', 'state', 'expires_at', 'sliding', 'token')
  -- Before all else: what was called behind an append that has to come again must not be judged without it.
  if h[4] == '1' and ARGV[i + 3] == '0' then return {'sliding'} end
  local state, phase, ms, version = h[2], 'l', now, 0
  if not h[1] then phase = 'a' else
    local last_ms, last = match(h[1], '^(%d+)-(%d+)$')
    ms, version = max(now, last_ms), last + 0
    if state == 'expired' or state == 'deleted' then phase = 'e'
    elseif h[3] and h[3] ~= '' and h[3] + 0 <= now then phase = 'p' end end
  if phase ~= phases and not string.find(phases, phase, 1, true) then return {'phase', phase, state or ''} end
  if state == 'archived' and ARGV[i + 2] == '1' then return {'archived'} end
  local refusal = guards and guarded(guards, h[5], version)
  if refusal then return refusal end

  -- A number becomes text of at most 14 digits, which are enough for milliseconds until the year 5138.
  local prefix, offset = ms .. '-', ms .. '-' .. (version + count)
  if carry_out then
    local e, o = {ms = ms, head = head}, at
    for _ = 1, count do o = o + 1 + ARGV[o] end
    for n = 1, count do
      e.version, e.offset = version + n, prefix .. (version + n)
      o = carry_out(e, o + 1, ARGV[o] + 0)
    end
  end
  if guards then remember(guards, offset, count) end
  call('HSET', head, 'offset', offset)
  feed_n = feed_n + 1
  call('XADD', KEYS[2], feed_ms .. '-' .. feed_n, 's', ARGV[i], 'o', offset, 'c', count)
  for n = 1, count do
    local last = at + ARGV[at]
    call('XADD', events, prefix .. (version + n), unpack(ARGV, at + 1, last))
    at = last + 1
  end
  return offset
end
local answers, i, first_n = {now}, 5, feed_n
for n = 1, ARGV[2] + 0 do
  local fine, answer = pcall(append_one, i + 1, 1 + 2 * n)
  if not fine and type(answer) == 'table' then answer = answer.err end
  answers[n + 1] = fine and answer or {'failed', tostring(answer)}
  i = i + 1 + ARGV[i]
end
if feed_n > first_n then call('HSET', KEYS[1], 'feed', feed_ms .. '-' .. feed_n) end
return answers
