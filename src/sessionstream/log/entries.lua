-- Writes the entries of an append, the first of which begins at ARGV[at].
local function write_entries(events, prefix, version, count, context, at)
  for n = 1, count do
    local offset = prefix .. format('%d', version + n)
    if context == '' then call('XADD', events, offset, ARGV[at], ARGV[at + 1])
    else call('XADD', events, offset, ARGV[at], ARGV[at + 1], 'meta', context) end
    at = at + 2
  end
end
