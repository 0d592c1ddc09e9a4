-- Adds a seal behind the one that it was made on, and behind no other: so a chain of seals never forks.
-- KEYS: 1 log, 2 events, 3 seals. ARGV: 1 how the stamp begins, 2 the session's name in the log, 3 the last offset that is
-- sealed, 4 the seal before, '' for none, 5 the seal, 6 all of it, as it is kept.
-- Answers 'done', also if it is there already; 'behind' if another seal is the last one; 'gone' if the session, or the
-- event, is not there any more; 'stamp' if the namespace has another format.
local log = redis.call('HMGET', KEYS[1], ':stamp', ARGV[2])
if string.sub(log[1] or '', 1, #ARGV[1]) ~= ARGV[1] then return 'stamp' end
if not log[2] or #redis.call('XRANGE', KEYS[2], ARGV[3], ARGV[3]) == 0 then return 'gone' end
local last = redis.call('LINDEX', KEYS[3], -1)
last = last and (string.match(last, '^{"seal":"(%x+)"') or '?') or ''
if last == ARGV[5] then return 'done' end
if last ~= ARGV[4] then return 'behind' end
redis.call('RPUSH', KEYS[3], ARGV[6])
return 'done'
