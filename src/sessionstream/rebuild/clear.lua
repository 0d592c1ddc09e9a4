-- Removes what an earlier rebuild has left beside the views.
-- KEYS: 1 record, then the keys to remove. ARGV: 1 run. Answers 1, or 0 if another rebuild has taken over.
if redis.call('HGET', KEYS[1], '') ~= ARGV[1] then return 0 end
for n = 2, #KEYS do
  redis.call('UNLINK', KEYS[n])
  redis.call('HDEL', KEYS[1], KEYS[n])
end
return 1
