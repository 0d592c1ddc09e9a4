-- Adds entries to a stream that is being restored beside the session's place, where nobody sees it yet.
-- KEYS: 1 the stream beside, 2 the bodies beside. ARGV: 1 milliseconds after which what is beside is gone, unless more
-- is staged; 2 the version of the first entry, 3 number of entries, then for each its offset, number of words, words.
-- Answers 1, or 0 if the stream beside does not end in front of the first entry: it was not restored from its beginning.
local first, count = ARGV[2] + 0, ARGV[3] + 0
local held = redis.call('XLEN', KEYS[1])
if held ~= first - 1 then return held == first - 1 + count and 1 or 0 end

local i, before = 4, 0
for n = 0, count - 1 do
  local ms, version = string.match(ARGV[i], '^(%d+)-(%d+)$')
  if not ms or version + 0 ~= first + n or ms + 0 < before then return redis.error_reply('ERR an offset does not grow') end
  before, i = ms + 0, i + 2 + ARGV[i + 1]
end
i = 4
for _ = 1, count do
  redis.call('XADD', KEYS[1], ARGV[i], unpack(ARGV, i + 2, i + 1 + ARGV[i + 1]))
  i = i + 2 + ARGV[i + 1]
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1
