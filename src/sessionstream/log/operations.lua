-- View operations: the same as sessionstream/fold.py, which a property test holds equal.
-- An operation is: code, number of arguments, arguments. Keys are given by their number.
-- A value begins with its kind: '=' text, '@' the event's milliseconds plus n, '#' its version, '$' its offset and text.

local LARGEST = 9007199254740991

local function resolve(word, e)
  local kind = string.sub(word, 1, 1)
  if kind == '=' then return string.sub(word, 2) end
  if kind == '@' then return string.format('%.0f', e.ms + tonumber(string.sub(word, 2))) end
  if kind == '#' then return string.format('%d', e.version) end
  return e.offset .. string.sub(word, 2)
end

-- Calls a command with a list of any length; unpack takes at most some thousands.
local function in_pages(command, key, list)
  for first = 1, #list, 1000 do
    redis.call(command, key, unpack(list, first, math.min(first + 999, #list)))
  end
end

local function fields_of(e, from, to)
  local list = {}
  for i = from, to, 2 do
    list[#list + 1] = ARGV[i]
    list[#list + 1] = resolve(ARGV[i + 1], e)
  end
  return list
end

local operate = {}

function operate.put(e, i, last)
  in_pages('HSET', KEYS[tonumber(ARGV[i])], fields_of(e, i + 1, last))
end

function operate.unset(e, i, last)
  local list = {}
  for n = i + 1, last do list[#list + 1] = ARGV[n] end
  in_pages('HDEL', KEYS[tonumber(ARGV[i])], list)
end

function operate.replace(e, i, last)
  local key, prefix = KEYS[tonumber(ARGV[i])], ARGV[i + 1]
  local kept, gone = {}, {}
  for n = i + 2, last, 2 do kept[ARGV[n]] = true end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, #prefix) == prefix and field ~= '' and not kept[field] then gone[#gone + 1] = field end
  end
  in_pages('HSET', key, fields_of(e, i + 2, last))
  in_pages('HDEL', key, gone)
end
