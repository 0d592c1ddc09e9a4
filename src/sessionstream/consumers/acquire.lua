-- Gives a partition to a member of a group, if nobody else's lease runs. A holder that asks again keeps its token.
-- KEYS: 1 groups, 2 group. ARGV: 1 group, 2 holder, 3 member, 4 milliseconds of the lease.
-- Answers {'acquired', token, position, asked, building}, {'held', member, milliseconds left} or {'unknown'}.
-- include log/leases
local position = redis.call('HGET', KEYS[1], ARGV[1])
if not position then return {'unknown'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local h = redis.call('HMGET', KEYS[2], 'holder', 'token', 'until', 'member', 'asked', 'build')
local token, left, anew = tonumber(h[2] or 0), left_of(h[3], h[1], now)
if h[1] ~= ARGV[2] then
  if h[1] and h[1] ~= '' and left > 0 then
    if anew then redis.call('HSET', KEYS[2], 'until', string.format('%.0f', now + left)) end
    return {'held', h[4], string.format('%.0f', left)}
  end
  token = token + 1
end
redis.call('HSET', KEYS[2], 'holder', ARGV[2], 'member', ARGV[3], 'token', string.format('%.0f', token),
  'until', string.format('%.0f', now + tonumber(ARGV[4])))
return {'acquired', string.format('%.0f', token), position, h[5] or '0', h[6] or ''}
