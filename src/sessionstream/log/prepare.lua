-- Marks a partition as made with these settings, unless it is marked already, and answers its mark.
-- KEYS: 1 log. ARGV: 1 stamp.
-- The first format kept its mark in a field that is a session's name now, and began with 'format='.
local first = redis.call('HGET', KEYS[1], 'stamp')
if first and string.sub(first, 1, 7) == 'format=' then return first end
redis.call('HSETNX', KEYS[1], ':stamp', ARGV[1])
return redis.call('HGET', KEYS[1], ':stamp')
