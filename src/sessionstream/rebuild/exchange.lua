-- Puts the views of a partition that were built beside in the place of the old ones, if nothing was appended meanwhile.
-- KEYS: 1 log, 2 record, then pairs: built beside, in use. ARGV: 1 stamp, 2 run, 3 the feed's position up to which they
-- were built. Answers 'done', or why not: 'stamp', 'superseded', 'behind'.
local owner = redis.call('HGET', KEYS[2], '')
-- The record goes with the exchange: this is a repeat, or another rebuild has exchanged the same.
if not owner then return 'done' end
if owner ~= ARGV[2] then return 'superseded' end
local partition = redis.call('HMGET', KEYS[1], ':stamp', ':feed')
if partition[1] ~= ARGV[1] then return 'stamp' end
if (partition[2] or '') ~= ARGV[3] then return 'behind' end
for n = 3, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[n]) == 0 then return 'superseded' end
end
for n = 3, #KEYS, 2 do redis.call('RENAME', KEYS[n], KEYS[n + 1]) end
redis.call('UNLINK', KEYS[2])
return 'done'
