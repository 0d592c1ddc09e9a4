-- include operations
-- include memberships

-- Runs the operations of an append's events, which begin at ARGV[at]: for each event their number, and they. Returns
-- what the session's gate holds behind its offset: a copy of what the head says now.
local function operate_events(head, rest, prefix, version, count, at)
  local e, any = {ms = string.match(prefix, '%d+') + 0, head = head}, false
  for n = 1, count do
    e.version = version + n
    e.offset = prefix .. string.format('%d', e.version)
    any = any or ARGV[at] ~= '0'
    at = operate_all(e, at + 1, ARGV[at] + 0)
  end
  if not any then return rest end
  redis.call('HSET', head, 'offset', e.offset)
  local h = redis.call('HMGET', head, 'state', 'expires_at', 'sliding')
  return ' ' .. (h[1] or '') .. ' ' .. (h[2] or '') .. ' ' .. (h[3] or '')
end
