-- Appends to any number of sessions of one partition.
-- KEYS: 1 log, 2 feed, then the events of each append, then those that forms, guards and operations name by number.
-- ARGV: 1 stamp, 2 number of appends, 3 what they need: u nothing, all are of the usual form; or f a form, o operations,
--   g guards; s that a session may come twice; n that all entries have one field. Then the session of each append, and
--   with n that field. Then for each its form, which u leaves out. The form '' is the usual one, for one event of version
--   1 without context, which happens in a live session: the field, left out with n, and the value of its entry. For any
--   other see general.lua.
-- Answers, mostly, the server's milliseconds and the last versions of all appends, all being of these milliseconds, as one
-- text with commas. Otherwise a list: the milliseconds, and for each append its last version, or its last offset, which
-- is of other milliseconds, or a list whose first word says why not.
-- The log knows each session's gate: its last offset, and of its head the state, the expiry and '1' if it slides. So all
-- sessions of a call are looked up in one read. What is usual is done here, without a function: to make one costs as
-- much as two commands. Text stays text, since numbers are slow to print.

local call, attempt, KEYS, ARGV, match, format = redis.call, redis.pcall, KEYS, ARGV, string.match, string.format
local byte, sub = string.byte, string.sub
local time, appends, usual, twice, field = call('TIME'), ARGV[2] + 0, true
if ARGV[3] ~= 'u' then usual, twice, field = match(ARGV[3], 'u'), match(ARGV[3], 's'), match(ARGV[3], 'n') end
local now_text = time[1] .. sub('00000' .. time[2], -6, -4)
local now, now_prefix = now_text + 0, now_text .. '-'
local log = call('HMGET', KEYS[1], ':stamp', ':feed', ':paused', unpack(ARGV, 4, 3 + appends))
if log[1] ~= ARGV[1] then return {'stamp', log[1] or ''} end
if log[3] and log[3] + 0 > now and log[3] - now < 1000 then return redis.error_reply('TRYAGAIN views are being rebuilt') end

local feed_ms, feed_n = match(log[2] or '0-0', '^(%d+)-(%d+)$')
if feed_ms + 0 <= now then feed_ms = now_text end
-- Made with as much as they may hold, whatever that is, they need not grow.
local changed, pointers = {unpack(KEYS, 1, 2 + 2 * appends)}, {unpack(KEYS, 1, 2 * appends)}
local answers, told, newer = {unpack(KEYS, 1, appends)}, 0, twice and {}
local plain, append_one, live, i, wide, current = true, nil, nil, 4 + appends, 2, feed_ms == now_text
local after, latest = {'1', '2', '3', '4', '5', '6', '7', '8', '9'}, now_text .. '.'
if field then field, i, wide = ARGV[i], i + 1, 1 end
if usual then i = i - 1 end
for n = 1, appends do
  local session, gate, rest, fine, answer, pointer = ARGV[3 + n], log[3 + n]
  if newer then gate = newer[session] or gate end
  local at = gate and (usual or ARGV[i] == '') and byte(gate, 14) == 45 and match(gate, '^%d+() ', 15)
  if at then
    rest = sub(gate, at)
    fine = rest == ' active  ' or live and live[rest]
    if fine == nil then
      local state, expires = match(rest, '^ (%l+) (%d*) $')
      fine = (state == 'active' or state == 'idle') and (expires == '' or expires + 0 > now) or false
      if not live then live = {} end
      live[rest] = fine
    end
  end
  if fine then
-- include usual
  else
    if not append_one then
-- include general
    end
    local count, words
    answer, rest, count, words = append_one(gate, KEYS[2 + n], i, usual)
    i = i + words + (usual and 0 or 1)
    if type(answer) == 'string' then
      gate, pointer = answer .. rest, count == 1 and answer or answer .. ' ' .. count
      if sub(answer, 1, 14) == now_prefix then answer = sub(answer, 15) else plain = false end
    end
  end
  if pointer then
    if newer then newer[session] = gate end
    changed[told + 3], changed[told + 4] = session, gate
    told = told + 2
    pointers[told - 1], pointers[told] = session, pointer
  else
    plain = false
    if answer.err then answer = {'failed', answer.err} end
  end
  answers[n] = answer
end
if told > 0 then
  changed[1], changed[2] = ':feed', feed_ms .. '-' .. format('%d', feed_n + told / 2)
  call('XADD', KEYS[2], changed[2], unpack(pointers, 1, told))
  call('HSET', KEYS[1], unpack(changed, 1, 2 + told))
end
-- A list takes longer to answer, and one text for one append needs no table.
if plain then return now_text .. ',' .. (appends == 1 and answers[1] or table.concat(answers, ',')) end
return {now, unpack(answers)}
