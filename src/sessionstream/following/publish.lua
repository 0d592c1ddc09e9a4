-- Publishes a delta to the followers of a live session: no event, no version, gone after some minutes.
-- KEYS: 1 log, 2 deltas. ARGV: 1 session, 2 delta's id, 3 its JSON, 4 how many to keep, 5 for how many milliseconds,
--   6 how the stamp of the namespace begins, 7 how often it was sent before.
-- Answers the session's offset; or nil for an unknown session; or a list, how an ended one ended, or `stamp` and what
-- stamp there is, if that begins in another way.
local gate = redis.call('HGET', KEYS[1], ARGV[1])
if not gate then return false end
local offset, state, expires = string.match(gate, '^(%S+) (%l*) (%d*) ')
if state == 'expired' or state == 'deleted' or state == 'erased' then return {state} end
local time = redis.call('TIME')
if expires ~= '' and expires + 0 <= time[1] * 1000 + math.floor(time[2] / 1000) then return {'expired'} end
local stamp = redis.call('HGET', KEYS[1], ':stamp') or ''
if string.sub(stamp, 1, #ARGV[6]) ~= ARGV[6] then return {'stamp', stamp} end
if ARGV[7] ~= '0' then
  for _, entry in ipairs(redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', ARGV[4])) do
    if entry[2][1] == ARGV[2] then return entry[2][3] end
  end
end
-- The third word is a field of its own, so that a delta is readable in any client.
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', ARGV[2], ARGV[3], offset, '')
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return offset
