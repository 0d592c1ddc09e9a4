-- Chooses the generation of a projection's views that a process works on: the one in use, or one that is being built.
-- KEYS: 1 family. ARGV: 1 version, 2 '1' to build anew even if the one in use is of this version.
-- Answers {'current', generation}, {'building', generation}, or {'newer', version}: one of a later version is in use.
local f = redis.call('HMGET', KEYS[1], 'current', 'building')
local version = tonumber(string.match(f[1] or '', '^%d+') or 0)
if version > ARGV[1] + 0 then return {'newer', version} end
local under_way = f[2] and f[2] ~= '' and tonumber(string.match(f[2], '^%d+'))
if ARGV[2] ~= '1' and version == ARGV[1] + 0 then return {'current', f[1]} end
if under_way == ARGV[1] + 0 then return {'building', f[2]} end
local generation = ARGV[1] .. '.' .. redis.call('HINCRBY', KEYS[1], 'last', 1)
redis.call('HSET', KEYS[1], 'building', generation)
return {'building', generation}
