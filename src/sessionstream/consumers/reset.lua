-- Moves a group to a position in a partition; whoever holds it loses it, and what it does there is refused.
-- KEYS: 1 groups, 2 group, 3 parked. ARGV: 1 group, 2 position, 3 '' or a position: only if the group stands there.
-- Answers 1, 0 if it stands elsewhere, or -1 if there is no such group.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then return -1 end
if known == ARGV[2] then return 1 end
if ARGV[3] ~= '' and ARGV[3] ~= known then return 0 end
redis.call('HINCRBY', KEYS[2], 'token', 1)
redis.call('HSET', KEYS[2], 'holder', '', 'member', '', 'until', '0', 'failing', '')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
-- How far sessions were caught up ahead of the position no longer holds.
for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
  if string.sub(field, 1, 2) == 'd:' then redis.call('HDEL', KEYS[3], field) end
end
return 1
