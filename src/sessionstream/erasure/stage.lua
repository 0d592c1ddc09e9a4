-- Adds entries to what is to take the place of a session's stream, where nobody sees it yet.
-- KEYS: 1 that. ARGV: 1 milliseconds after which it is gone, unless more is added; 2 the entry behind which these come, ''
-- for none, 3 the field of every entry, then for each its offset and its value.
-- Answers 1, or 0 if it does not end there: it has run out meanwhile.
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local ends = last and last[1] or ''
if ends == ARGV[#ARGV - 1] then return 1 end
if ends ~= ARGV[2] then return 0 end
for n = 4, #ARGV, 2 do redis.call('XADD', KEYS[1], ARGV[n], ARGV[3], ARGV[n + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
