-- Appends one event of the usual form, which is alone in its call, as append.lua does; that one makes tables for many.
-- KEYS: 1 log, 2 feed, 3 the session's events. ARGV: 1 stamp, 2 the session, 3 the field and 4 the value of the entry.
-- Answers the server's milliseconds and the version, as one text with a comma. Or a list that says that the session's time
-- to live slides, as append.lua answers it; or nothing, where anything else is unusual or damaged, or the server refuses
-- the write: then append.lua is to be asked. In both cases nothing was done.

local call, KEYS, ARGV, byte, match, sub = redis.call, KEYS, ARGV, string.byte, string.match, string.sub
local log, time = call('HMGET', KEYS[1], ':stamp', ':feed', ':paused', ARGV[2]), call('TIME')
local feed, gate = log[2], log[4]
if log[1] ~= ARGV[1] or not feed or not gate or byte(feed, 14) ~= 45 or byte(gate, 14) ~= 45 then return end
local now = time[1] .. sub('00000' .. time[2], -6, -4)
if log[3] and log[3] + 0 > now + 0 then return end
local at = match(gate, '^%d+() ', 15)
if not at or not match(feed, '^%d+$', 15) then return end
-- What is of a later time than now lies behind a clock that was set back. Both are digits, as many.
if sub(feed, 1, 13) > now or sub(gate, 1, 13) > now then return end
local rest = sub(gate, at)
if rest ~= ' active  ' then
  local state, expires, slides = match(rest, '^ (%l+) (%d*) (1?)$')
  if slides == '1' then return {now + 0, {'sliding'}} end
  if state ~= 'active' and state ~= 'idle' or expires ~= '' and expires + 0 <= now + 0 then return end
end

-- One more, as text: numbers are slow to print.
local prefix, digit, version, pointers = now .. '-', byte(gate, at - 1), nil, nil
if digit < 57 then version = sub(gate, 15, at - 2) .. string.char(digit + 1)
else version = string.format('%d', sub(gate, 15, at - 1) + 1) end
digit = byte(feed, -1)
if digit < 57 then pointers = prefix .. sub(feed, 15, -2) .. string.char(digit + 1)
else pointers = prefix .. string.format('%d', sub(feed, 15) + 1) end

local offset = redis.pcall('XADD', KEYS[3], prefix .. version, ARGV[3], ARGV[4])
if offset.err then return end
call('XADD', KEYS[2], pointers, ARGV[2], version)
call('HSET', KEYS[1], ':feed', pointers, ARGV[2], offset .. rest)
return now .. ',' .. version
