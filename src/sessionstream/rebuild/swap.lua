-- Makes the views of one session what was folded, if the session is still where the fold ended.
-- KEYS: 1 head, then the keys of its other views. ARGV: 1 the offset where the fold ended, then for each key, the head
-- first: 'hash' or 'set', number of words, fields and values, or scores and members.
-- Answers 1, or 0 if something was appended meanwhile.
if redis.call('HGET', KEYS[1], 'offset') ~= ARGV[1] then return 0 end

-- What the log and the locks keep in the head is no view.
local function is_kept(field, in_head)
  if not in_head then return field == '' end
  return field == 'offset' or field == 'token' or string.sub(field, 1, 5) == 'lock_'
end

local function in_pages(command, key, list)
  for first = 1, #list, 1000 do
    redis.call(command, key, unpack(list, first, math.min(first + 999, #list)))
  end
end

local i = 2
for n, key in ipairs(KEYS) do
  local kind, last = ARGV[i], i + 1 + tonumber(ARGV[i + 1])
  local wanted, list, gone = {}, {}, {}
  for w = i + 2, last do list[#list + 1] = ARGV[w] end
  if #list > 0 or redis.call('EXISTS', key) == 1 then
    local is_hash = kind == 'hash'
    for w = is_hash and 1 or 2, #list, 2 do wanted[list[w]] = true end
    if n > 1 then
      list[#list + 1] = is_hash and '' or '-inf'
      list[#list + 1] = ''
    end
    local there = is_hash and redis.call('HKEYS', key) or redis.call('ZRANGE', key, 0, -1)
    for _, member in ipairs(there) do
      if not wanted[member] and not is_kept(member, n == 1) then gone[#gone + 1] = member end
    end
    in_pages(is_hash and 'HSET' or 'ZADD', key, list)
    in_pages(is_hash and 'HDEL' or 'ZREM', key, gone)
  end
  i = last + 1
end
return 1
