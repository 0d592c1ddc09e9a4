-- Marks a partition as made with these settings, unless it is marked already, and answers its mark.
-- KEYS: 1 log. ARGV: 1 stamp.
redis.call('HSETNX', KEYS[1], ':stamp', ARGV[1])
return redis.call('HGET', KEYS[1], ':stamp')
