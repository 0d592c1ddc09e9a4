-- The offset of a version, or false: both halves of an offset grow together, so it is found by bisection over the
-- milliseconds, never by a scan.
-- KEYS: 1 events. ARGV: 1 version.
local wanted = tonumber(ARGV[1])

local function first_from(from)
  local entry = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  if not entry then return nil end
  local ms, version = string.match(entry[1], '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(version), entry[1]
end

local low = first_from('-')
if not low then return false end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1]
local high = tonumber(string.match(last, '^(%d+)-'))
-- Invariant: the wanted version lies at a millisecond of low to high, if it exists.
while low < high do
  local middle = math.floor((low + high + 1) / 2)
  local ms, version = first_from(string.format('%.0f', middle))
  if ms and version <= wanted then low = ms else high = middle - 1 end
end
local ms, version, id = first_from(string.format('%.0f-%d', low, wanted))
if version == wanted then return id end
return false
