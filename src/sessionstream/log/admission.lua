-- Whether an append may go on. Everything that can refuse it is decided here, before the first write: a script is never
-- rolled back.

-- absent, live, lapsed (past its expiry, not ended yet) or ended.
local function phase_of(head, now)
  if not head.offset then return 'a' end
  if head.state == 'expired' or head.state == 'deleted' then return 'e' end
  if head.expires_at and head.expires_at ~= '' and tonumber(head.expires_at) <= now then return 'p' end
  return 'l'
end

-- Looks back for an event id, from the earliest moment at which its first copy can have arrived. Milliseconds are
-- pinned to the session's last ones where the clock went back, so the bound is never too late.
local function offset_of(events, id, from)
  while true do
    local page = redis.call('XRANGE', events, from, '+', 'COUNT', 100)
    for _, entry in ipairs(page) do
      local fields = entry[2]
      for n = 1, #fields, 2 do
        if fields[n] == 'id' and fields[n + 1] == id then return entry[1] end
      end
    end
    if #page < 100 then return nil end
    from = '(' .. page[#page][1]
  end
end

-- The answer to an append that was made before, or nil.
local function seen_before(a, now)
  if a.idempotency then
    local known = redis.call('HGET', a.idempotency, a.key)
    if known then
      local digest, offset, count = string.match(known, '^(%S+) (%S+) (%d+)$')
      if digest ~= a.digest then return {'reused'} end
      return {'duplicate', offset, tonumber(count)}
    end
  end
  if a.since ~= '' then
    local since, elapsed = string.match(a.since, '^(%d+) (%d+)$')
    local from = math.max(0, math.min(tonumber(since), now - tonumber(elapsed)) - 1000)
    local offset = offset_of(a.events, a.id, string.format('%.0f', from))
    if offset then
      local ms, version = string.match(offset, '^(%d+)-(%d+)$')
      return {'duplicate', ms .. '-' .. string.format('%d', version + a.count - 1), a.count}
    end
  end
end

-- The answer that refuses the append, or nil.
local function refused(a, head, now)
  -- Before all else: what was called behind an append that has to come again must not be judged without it.
  if head.sliding == '1' and a.sliding == '0' then return {'sliding'} end
  local phase = phase_of(head, now)
  if not string.find(a.phases, phase, 1, true) then return {'phase', phase, head.state or ''} end
  if head.state == 'archived' and a.runtime == '1' then return {'archived'} end
  if a.token ~= '' and a.token ~= head.token then return {'fenced', head.token or ''} end
  if a.expected ~= '' and tonumber(a.expected) ~= head.version then return {'conflict', head.version} end
  if a.claim and redis.call('HEXISTS', a.claim, a.claimed) == 1 then return {'claimed'} end
end
