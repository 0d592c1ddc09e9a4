-- Says that a member of a group lives, forgets those that are long dead, and answers who lives.
-- KEYS: 1 groups, 2 group. ARGV: 1 group, 2 holder, 3 member, 4 milliseconds until it counts as dead.
-- Answers {'alive', members}, {'taken'} if another process lives under that name, or {'unknown'}.
-- include log/leases
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return {'unknown'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine, all, alive, dead = '@' .. ARGV[3], redis.call('HGETALL', KEYS[2]), {'alive', ARGV[3]}, {}
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 1) == '@' then
    local lapse, holder = string.match(all[i + 1], '^(%d+) (%S+)$')
    local left, anew = left_of(lapse, holder, now)
    local lives = left > 0
    if all[i] == mine then
      if lives and holder ~= ARGV[2] then return {'taken'} end
    elseif lives then
      if anew then redis.call('HSET', KEYS[2], all[i], string.format('%.0f ', now + left) .. holder) end
      alive[#alive + 1] = string.sub(all[i], 2)
    else
      dead[#dead + 1] = all[i]
    end
  end
end
redis.call('HSET', KEYS[2], mine, string.format('%.0f ', now + tonumber(ARGV[4])) .. ARGV[2])
for first = 1, #dead, 1000 do redis.call('HDEL', KEYS[2], unpack(dead, first, math.min(first + 999, #dead))) end
return alive
