-- The words of an append that has a form: its context ('' is none), its guards, for each event id, type, version ('' is
-- 1) and data, and if any append of the call has operations, for each event their number, and they.

-- Writes the entries of an append, the first of which begins at ARGV[at].
local function write_entries(events, prefix, version, count, context, at)
  for n = 1, count do
    local offset, v = prefix .. string.format('%d', version + n), ARGV[at + 2]
    if v == '' and context == '' then
      call('XADD', events, offset, 'id', ARGV[at], 'type', ARGV[at + 1], 'data', ARGV[at + 3])
    else
      local fields = {'id', ARGV[at], 'type', ARGV[at + 1]}
      if v ~= '' then fields[5], fields[6] = 'v', v end
      fields[#fields + 1], fields[#fields + 2] = 'data', ARGV[at + 3]
      if context ~= '' then fields[#fields + 1], fields[#fields + 2] = 'meta', context end
      call('XADD', events, offset, unpack(fields))
    end
    at = at + 4
  end
end
