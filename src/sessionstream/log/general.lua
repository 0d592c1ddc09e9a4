-- What append.lua does with an append that is not the usual one, or is refused. Its form is '', or
-- 'words phases runtime slides events guards head', the last a key's number or 0, and so many words: the context ('' is
-- none), the guards, for each event the field, unless all have one, and the value of its entry, and if any append of the
-- call has operations, for each event their number, and they.
local write, operate_on, foreign_to, seen, guarded, remember
if match(ARGV[3], 'f') then
-- include entries
write = write_entries
end
if match(ARGV[3], 'o') then
-- include carrying
operate_on = operate_events
end
if match(ARGV[3], 'g') then
-- include admission
foreign_to, seen, guarded, remember = foreign, seen_before, refused, note
end

-- Answers the last offset and what the gate holds behind it, or a list that says why not.
local function decide(gate, events, at, count, phases, runtime, slides, guards, head)
  local first, phase, prefix, version = at + 1 + (guards or 0), 'l', now_prefix, 0
  -- Before all else, and as what is not there is told: nobody learns anything of a session of somebody else.
  if guards and foreign_to(at + 1, head) then return {'phase', 'a', ''} end
  local answer = guards and seen(at + 1, events, ARGV[first + wide - 1], count, now)
  if answer then return answer end
  local ms, last, rest, state, expires, sliding = match(gate or '', '^(%d+)-(%d+)( (%S*) (%S*) (%S*))$')
  -- Before all else: what was called behind an append that has to come again must not be judged without it.
  if sliding == '1' and slides ~= '1' then return {'sliding'} end
  if not ms then phase = 'a' else
    version = last + 0
    if ms + 0 > now then prefix = ms .. '-' end
    if state == 'expired' or state == 'deleted' or state == 'erased' then phase = 'e'
    elseif expires ~= '' and expires + 0 <= now then phase = 'p' end
  end
  if not string.find(phases, phase, 1, true) then return {'phase', phase, state or ''} end
  if state == 'archived' and runtime ~= '0' then return {'archived'} end
  answer = guards and guarded(at + 1, head, version)
  if answer then return answer end

  local offset = prefix .. format('%d', version + count)
  if operate_on then rest = operate_on(head, rest, prefix, version, count, first + wide * count) end
  if guards then remember(at + 1, offset, count) end
  if slides then write(events, prefix, version, count, ARGV[at], first)
  else call('XADD', events, offset, field or ARGV[at], ARGV[at + wide - 1]) end
  -- A session that began without a view has no state, no expiry, and does not slide.
  return offset, rest or '   '
end

append_one = function(gate, events, i, usual)
  local words, phases, runtime, slides, count, guards, head = wide, 'l'
  if not usual and ARGV[i] ~= '' then
    words, phases, runtime, slides, count, guards, head = match(ARGV[i], '^(%d+) (%a+) (%d) (%d) (%d+) (%d+) (%d+)$')
  end
  count = (count or 1) + 0
  local fine, answer, rest = pcall(decide, gate, events, i + 1, count, phases, runtime, slides,
    guards and guards ~= '0' and guards + 0, head and head ~= '0' and KEYS[head + 0])
  if not fine then answer = {err = type(answer) == 'table' and answer.err or tostring(answer)} end
  return answer, rest, count, words
end
