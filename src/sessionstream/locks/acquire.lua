-- Gives a session's lock to a holder, if nobody else's lease runs. A holder that asks again keeps its token.
-- KEYS: 1 head. ARGV: 1 holder, 2 milliseconds of the lease.
-- Answers {'acquired', token}, {'held', milliseconds left}, {'absent'} or {'over', how it ended}.
-- include log/leases
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local h = redis.call('HMGET', KEYS[1], 'offset', 'state', 'expires_at', 'token', 'lock_holder', 'lock_until')
if not h[1] then return {'absent'} end
if h[2] == 'expired' or h[2] == 'deleted' or h[2] == 'erased' then return {'over', h[2]} end
if h[3] and h[3] ~= '' and tonumber(h[3]) <= now then return {'over', 'expired'} end

local left, anew = left_of(h[6], h[5], now)
local token = tonumber(h[4] or 0)
if h[5] ~= ARGV[1] then
  if h[5] and h[5] ~= '' and left > 0 then
    if anew then redis.call('HSET', KEYS[1], 'lock_until', string.format('%.0f', now + left)) end
    return {'held', string.format('%.0f', left)}
  end
  token = token + 1
end
local lapse = string.format('%.0f', now + tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'token', string.format('%.0f', token), 'lock_holder', ARGV[1], 'lock_until', lapse)
return {'acquired', string.format('%.0f', token)}
