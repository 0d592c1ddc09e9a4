-- Keeps a base snapshot of a session, if the session still has the event up to which it was folded.
-- KEYS: 1 log, 2 events, 3 bases. ARGV: 1 stamp, 2 the session's name in the log, 3 the offset of that event, 4 the base's
-- field, 5 its value, then the fields of bases that it replaces.
-- Answers 1, or 0 if the session is gone, erased, or is another one by now, or 'stamp' if others write here.
local log = redis.call('HMGET', KEYS[1], ':stamp', ARGV[2])
if log[1] ~= ARGV[1] then return 'stamp' end
-- What was folded before a session was erased must not come back.
if not log[2] or string.find(log[2], ' erased ', 1, true) or #redis.call('XRANGE', KEYS[2], ARGV[3], ARGV[3]) == 0 then return 0 end
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
for n = 6, #ARGV do redis.call('HDEL', KEYS[3], ARGV[n]) end
return 1
