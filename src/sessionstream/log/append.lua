-- Appends to any number of sessions of one partition.
-- KEYS: 1 log, 2 feed, then head and events of each append, then those that guards and operations name by number.
-- ARGV: 1 stamp, 2 number of appends, 3 what any of them needs: f a form, o operations, g guards; then for each append
--   session and form. The form '' is the usual one, for one event of version 1 without context, which happens in a live
--   session: id, type, data. Any other is 'words phases runtime slides events guards', and so many words: see forms.lua.
-- Answers the server's milliseconds, then for each append its last offset, or a list whose first word says why not.
-- What the usual form does not need is not even defined for it; and text stays text, since numbers are slow to print.

local call, KEYS, ARGV, match = redis.call, KEYS, ARGV, string.match
local carry_out, write, seen, guarded, remember
if ARGV[3] ~= '' then
-- include forms
write = write_entries
end
if match(ARGV[3], 'o') then
-- include carrying
carry_out = operate_events
end
if match(ARGV[3], 'g') then
-- include admission
seen, guarded, remember = seen_before, refused, note
end

local time = call('TIME')
local now_text = time[1] .. string.sub('00000' .. time[2], -6, -4)
local now, now_prefix = now_text + 0, now_text .. '-'
local log = call('HMGET', KEYS[1], 'stamp', 'feed', 'paused')
if log[1] ~= ARGV[1] then return {'stamp', log[1] or ''} end
if log[3] and log[3] + 0 > now then return redis.error_reply('TRYAGAIN views are being rebuilt') end
local pointers, told = {}, 0
local function append_one(k, session, at, count, phases, runtime, slides, guards)
  local head, events, first = KEYS[k], KEYS[k + 1], at + 1 + (guards or 0)
  local answer = guards and seen(at + 1, events, ARGV[first], count, now)
  if answer then return answer end
  local h = guards and call('HMGET', head, 'offset', 'state', 'expires_at', 'sliding', 'token')
    or call('HMGET', head, 'offset', 'state', 'expires_at', 'sliding')
  -- Before all else: what was called behind an append that has to come again must not be judged without it.
  if h[4] == '1' and slides ~= '1' then return {'sliding'} end
  local state, phase, prefix, version = h[2], 'l', now_prefix, 0
  if not h[1] then phase = 'a' else
    local ms, last = match(h[1], '^(%d+)-(%d+)$')
    version = last + 0
    if ms ~= now_text and ms + 0 > now then prefix = ms .. '-' end
    if state == 'expired' or state == 'deleted' then phase = 'e'
    elseif h[3] and h[3] ~= '' and h[3] + 0 <= now then phase = 'p' end
  end
  if phase ~= phases and not string.find(phases, phase, 1, true) then return {'phase', phase, state or ''} end
  if state == 'archived' and runtime ~= '0' then return {'archived'} end
  answer = guards and guarded(at + 1, h[5], version)
  if answer then return answer end

  local offset = prefix .. string.format('%d', version + count)
  if carry_out then carry_out(head, prefix, version, count, first + 4 * count) end
  if guards then remember(at + 1, offset, count) end
  call('HSET', head, 'offset', offset)
  if slides then write(events, prefix, version, count, ARGV[at], first)
  else call('XADD', events, offset, 'id', ARGV[at], 'type', ARGV[at + 1], 'data', ARGV[at + 2]) end
  pointers[2 * told + 1], pointers[2 * told + 2] = session, count == 1 and offset or offset .. ' ' .. count
  told = told + 1
  return offset
end
local answers, i = {now}, 4
for n = 1, ARGV[2] + 0 do
  local words, phases, runtime, slides, count, guards = 3, 'l'
  if ARGV[i + 1] ~= '' then
    words, phases, runtime, slides, count, guards = match(ARGV[i + 1], '^(%d+) (%a+) (%d) (%d) (%d+) (%d+)$')
  end
  local fine, answer = pcall(append_one, 1 + 2 * n, ARGV[i], i + 2, (count or 1) + 0, phases, runtime, slides,
    guards and guards ~= '0' and guards + 0)
  if not fine and type(answer) == 'table' then answer = answer.err end
  answers[n + 1] = fine and answer or {'failed', tostring(answer)}
  i = i + 2 + words
end
if told > 0 then
  local feed_ms, last = match(log[2] or '0-0', '^(%d+)-(%d+)$')
  local position = (feed_ms + 0 > now and feed_ms or now_text) .. '-' .. string.format('%d', last + told)
  call('XADD', KEYS[2], position, unpack(pointers))
  call('HSET', KEYS[1], 'feed', position)
end
return answers
