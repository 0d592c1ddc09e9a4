-- Writes the entries of an append, the first of which begins at ARGV[at].
local function write_entries(events, prefix, version, count, context, at)
  local data, step = versioned and 3 or 2, versioned and 4 or 3
  for n = 1, count do
    local offset, v = prefix .. format('%d', version + n), versioned and ARGV[at + 2] or ''
    if v == '' and context == '' then
      call('XADD', events, offset, 'id', ARGV[at], 'type', ARGV[at + 1], 'data', ARGV[at + data])
    else
      local fields = {'id', ARGV[at], 'type', ARGV[at + 1]}
      if v ~= '' then fields[5], fields[6] = 'v', v end
      fields[#fields + 1], fields[#fields + 2] = 'data', ARGV[at + data]
      if context ~= '' then fields[#fields + 1], fields[#fields + 2] = 'meta', context end
      call('XADD', events, offset, unpack(fields))
    end
    at = at + step
  end
end
