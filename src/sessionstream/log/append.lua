-- Appends to any number of sessions of one partition.
-- KEYS: 1 log, 2 feed, then the events of each append, then those that forms, guards and operations name by number.
-- ARGV: 1 stamp, 2 number of appends, 3 what they need: u nothing, all are of the usual form; or f a form, o operations,
--   g guards; s that a session may come twice. Then the session of each append. Then for each its form, which u leaves
--   out. The form '' is the usual one, for one event of version 1 without context, which happens in a live session:
--   the field and the value of its entry. For any other see general.lua.
-- Answers the server's milliseconds, then for each append its last offset, or a list whose first word says why not.
-- The log knows each session's gate: its last offset, and of its head the state, the expiry and '1' if it slides. So all
-- sessions of a call are looked up in one read. What is usual is done here, without a function: to make one costs as
-- much as two commands. Text stays text, since numbers are slow to print.

local call, attempt, KEYS, ARGV, match, format = redis.call, redis.pcall, KEYS, ARGV, string.match, string.format
local time, appends, usual = call('TIME'), ARGV[2] + 0, match(ARGV[3], 'u')
local now_text = time[1] .. string.sub('00000' .. time[2], -6, -4)
local now, now_prefix = now_text + 0, now_text .. '-'
local log = call('HMGET', KEYS[1], ':stamp', ':feed', ':paused', unpack(ARGV, 4, 3 + appends))
if log[1] ~= ARGV[1] then return {'stamp', log[1] or ''} end
if log[3] and log[3] + 0 > now and log[3] - now < 1000 then return redis.error_reply('TRYAGAIN views are being rebuilt') end

local feed_ms, feed_n = match(log[2] or '0-0', '^(%d+)-(%d+)$')
if feed_ms + 0 <= now then feed_ms = now_text end
local newer, changed, pointers, told = match(ARGV[3], 's') and {}, {':feed', ''}, {}, 0
local answers, i, append_one = {now}, 4 + appends - (usual and 1 or 0)
for n = 1, appends do
  local session, answer, pointer, words, count = ARGV[3 + n], nil, nil, 2, 1
  local gate, ms, last, rest, state, expires = newer and newer[session] or log[3 + n]
  if gate and (usual or ARGV[i] == '') then
    ms, last, rest, state, expires = match(gate, '^(%d+)-(%d+)( (%l+) (%d*) )$')
  end
  if (state == 'active' or state == 'idle') and (expires == '' or expires + 0 > now) then
    local prefix, version = (ms == now_text or ms + 0 <= now) and now_prefix or ms .. '-', format('%d', last + 1)
    if feed_ms == now_text and prefix == now_prefix then pointer = version end
    answer = attempt('XADD', KEYS[2 + n], prefix .. version, ARGV[i + 1], ARGV[i + 2])
  else
    if not append_one then
-- include general
    end
    answer, rest, count, words = append_one(gate, KEYS[2 + n], i, usual)
  end
  if type(answer) == 'string' then
    told, gate = told + 1, answer .. rest
    if newer then newer[session] = gate end
    changed[2 * told + 1], changed[2 * told + 2] = session, gate
    pointers[2 * told - 1], pointers[2 * told] = session, pointer or count == 1 and answer or answer .. ' ' .. count
  elseif answer.err then
    answer = {'failed', answer.err}
  end
  answers[n + 1], i = answer, i + words + (usual and 0 or 1)
end
if told > 0 then
  changed[2] = feed_ms .. '-' .. format('%d', feed_n + told)
  call('XADD', KEYS[2], changed[2], unpack(pointers))
  call('HSET', KEYS[1], unpack(changed))
end
return answers
