-- Puts the views of a partition that were built beside in the place of the old ones, if nothing was appended meanwhile.
-- KEYS: 1 log, then pairs: built beside, in use. ARGV: 1 the feed's position up to which they were built.
-- Answers 1, or 0 if the feed went on.
if (redis.call('HGET', KEYS[1], 'feed') or '') ~= ARGV[1] then return 0 end
for n = 2, #KEYS, 2 do redis.call('RENAME', KEYS[n], KEYS[n + 1]) end
return 1
