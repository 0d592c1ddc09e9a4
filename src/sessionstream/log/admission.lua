-- The guards of an append that has any, and what they answer. Everything that can refuse it is decided before the first
-- write: a script is never rolled back.
-- Guards, from ARGV[g]: idempotency hash (0: none), its key, digest, claim hash (0: none), claimed id, token, expected
-- version, on a repeat since when the first copy can have arrived, '1' if no hold may stand, and the user whose session
-- it has to be.

-- Looks back for an event id, from the earliest moment at which its first copy can have arrived. Milliseconds are
-- pinned to the session's last ones where the clock went back, so the bound is never too late.
local function offset_of(events, id, from)
  while true do
    local page = redis.call('XRANGE', events, from, '+', 'COUNT', 100)
    for _, entry in ipairs(page) do
      if string.sub(entry[2][2] or '', 1, 22) == id then return entry[1] end
    end
    if #page < 100 then return nil end
    from = '(' .. page[#page][1]
  end
end

-- Whether the session is somebody else's than the append is for.
local function foreign(g, head)
  return ARGV[g + 9] ~= '' and redis.call('HGET', head, 'user_id') ~= ARGV[g + 9]
end

-- The answer to an append that was made before, or nil. An entry's value begins with its event's id.
local function seen_before(g, events, value, count, now)
  if ARGV[g] ~= '0' then
    local known = redis.call('HGET', KEYS[ARGV[g] + 0], ARGV[g + 1])
    if known then
      local digest, offset, number = string.match(known, '^(%S+) (%S+) (%d+)$')
      if digest ~= ARGV[g + 2] then return {'reused'} end
      return {'duplicate', offset, tonumber(number)}
    end
  end
  local since, elapsed = string.match(ARGV[g + 7], '^(%d+) (%d+)$')
  if not since then return nil end
  local from = math.max(0, math.min(tonumber(since), now - tonumber(elapsed)) - 1000)
  local offset = offset_of(events, string.sub(value, 1, 22), string.format('%.0f', from))
  if not offset then return nil end
  local ms, version = string.match(offset, '^(%d+)-(%d+)$')
  return {'duplicate', ms .. '-' .. string.format('%d', version + count - 1), count}
end

-- The answer that refuses the append, or nil.
local function refused(g, head, version)
  local token = ARGV[g + 5] ~= '' and redis.call('HGET', head, 'token')
  if ARGV[g + 5] ~= '' and ARGV[g + 5] ~= token then return {'fenced', token or ''} end
  if ARGV[g + 8] ~= '' and redis.call('HEXISTS', head, 'held') == 1 then return {'held'} end
  if ARGV[g + 6] ~= '' and tonumber(ARGV[g + 6]) ~= version then return {'conflict', version} end
  if ARGV[g + 3] ~= '0' and redis.call('HEXISTS', KEYS[ARGV[g + 3] + 0], ARGV[g + 4]) == 1 then return {'claimed'} end
end

-- Keeps what an idempotency key gave.
local function note(g, offset, count)
  if ARGV[g] ~= '0' then
    redis.call('HSET', KEYS[ARGV[g] + 0], ARGV[g + 1], ARGV[g + 2] .. ' ' .. offset .. ' ' .. count)
  end
end
