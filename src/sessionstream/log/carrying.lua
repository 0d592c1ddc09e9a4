-- include operations
-- include memberships

-- Runs the operations of an append's events, which begin at ARGV[at]: for each event their number, and they.
local function operate_events(head, prefix, version, count, at)
  local e = {ms = string.match(prefix, '%d+') + 0, head = head}
  for n = 1, count do
    e.version = version + n
    e.offset = prefix .. string.format('%d', e.version)
    at = operate_all(e, at + 1, ARGV[at] + 0)
  end
end
