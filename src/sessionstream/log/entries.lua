-- Writes the entries of an append, the first of which begins at ARGV[at]. Numbers are slow to print: tens are, once.
local function write_entries(events, prefix, version, count, context, at)
  local digits, tens = {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9'}
  for n = version + 1, version + count do
    local digit = n % 10
    if digit == 0 or not tens then tens = prefix .. (n < 10 and '' or format('%d', (n - digit) / 10)) end
    local offset = tens .. digits[digit + 1]
    if context == '' then call('XADD', events, offset, field or ARGV[at], ARGV[at + wide - 1])
    else call('XADD', events, offset, field or ARGV[at], ARGV[at + wide - 1], 'meta', context) end
    at = at + wide
  end
end
