-- Appends to any number of sessions of one partition.
-- KEYS: 1 log, 2 feed, then the events of each append, then those that forms, guards and operations name by number.
-- ARGV: 1 stamp, 2 number of appends, 3 what any of them needs: f a form, o operations, g guards; then the session of
--   each append; then for each its form. The form '' is the usual one, for one event of version 1 without context, which
--   happens in a live session: id, type, data. Any other is 'words phases runtime slides events guards head', the last a
--   key's number or 0, and so many words: see forms.lua.
-- Answers the server's milliseconds, then for each append its last offset, or a list whose first word says why not.
-- The log knows each session's gate: its last offset, and of its head the state, the expiry and '1' if it slides. So all
-- sessions of a call are looked up in one read. Text stays text, since numbers are slow to print.

local call, KEYS, ARGV, match, format = redis.call, KEYS, ARGV, string.match, string.format
local write, operate_on, seen, guarded, remember
if ARGV[3] ~= '' then
-- include forms
write = write_entries
end
if match(ARGV[3], 'o') then
-- include carrying
operate_on = operate_events
end
if match(ARGV[3], 'g') then
-- include admission
seen, guarded, remember = seen_before, refused, note
end

local time, count_all = call('TIME'), ARGV[2] + 0
local now_text = time[1] .. string.sub('00000' .. time[2], -6, -4)
local now, now_prefix = now_text + 0, now_text .. '-'
local log = call('HMGET', KEYS[1], ':stamp', ':feed', ':paused', unpack(ARGV, 4, 3 + count_all))
if log[1] ~= ARGV[1] then return {'stamp', log[1] or ''} end
if log[3] and log[3] + 0 > now then return redis.error_reply('TRYAGAIN views are being rebuilt') end
local gates, changed, pointers, told = {}, {':feed', ''}, {}, 0
for n = 1, count_all do gates[ARGV[3 + n]] = log[3 + n] end

local function append_one(session, events, at, count, phases, runtime, slides, guards, head)
  local first, phase, prefix, version = at + 1 + (guards or 0), 'l', now_prefix, 0
  local answer = guards and seen(at + 1, events, ARGV[first], count, now)
  if answer then return answer end
  local ms, last, rest, state, expires, sliding = match(gates[session] or '', '^(%d+)-(%d+)( (%S*) (%S*) (%S*))$')
  -- Before all else: what was called behind an append that has to come again must not be judged without it.
  if sliding == '1' and slides ~= '1' then return {'sliding'} end
  if not ms then phase = 'a' else
    version = last + 0
    if ms ~= now_text and ms + 0 > now then prefix = ms .. '-' end
    if state == 'expired' or state == 'deleted' then phase = 'e'
    elseif expires ~= '' and expires + 0 <= now then phase = 'p' end
  end
  if phase ~= phases and not string.find(phases, phase, 1, true) then return {'phase', phase, state or ''} end
  if state == 'archived' and runtime ~= '0' then return {'archived'} end
  answer = guards and guarded(at + 1, head, version)
  if answer then return answer end

  local offset = prefix .. format('%d', version + count)
  if operate_on then rest = operate_on(head, rest, prefix, version, count, first + 4 * count) end
  if guards then remember(at + 1, offset, count) end
  if slides then write(events, prefix, version, count, ARGV[at], first)
  else call('XADD', events, offset, 'id', ARGV[at], 'type', ARGV[at + 1], 'data', ARGV[at + 2]) end
  gates[session], told = offset .. rest, told + 1
  changed[2 * told + 1], changed[2 * told + 2] = session, gates[session]
  pointers[2 * told - 1], pointers[2 * told] = session, count == 1 and offset or offset .. ' ' .. count
  return offset
end
local answers, i = {now}, 4 + count_all
for n = 1, count_all do
  local words, phases, runtime, slides, count, guards, head = 3, 'l'
  if ARGV[i] ~= '' then
    words, phases, runtime, slides, count, guards, head = match(ARGV[i], '^(%d+) (%a+) (%d) (%d) (%d+) (%d+) (%d+)$')
  end
  local fine, answer = pcall(append_one, ARGV[3 + n], KEYS[2 + n], i + 1, (count or 1) + 0, phases, runtime, slides,
    guards and guards ~= '0' and guards + 0, head and head ~= '0' and KEYS[head + 0])
  if not fine and type(answer) == 'table' then answer = answer.err end
  answers[n + 1], i = fine and answer or {'failed', tostring(answer)}, i + 1 + words
end
if told > 0 then
  local feed_ms, last = match(log[2] or '0-0', '^(%d+)-(%d+)$')
  changed[2] = (feed_ms + 0 > now and feed_ms or now_text) .. '-' .. format('%d', last + told)
  call('XADD', KEYS[2], changed[2], unpack(pointers))
  call('HSET', KEYS[1], unpack(changed))
end
return answers
