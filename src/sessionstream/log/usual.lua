-- What append.lua does with an append of the usual form to a session that is live, whose gate has its state at `at`. There
-- is no function for it: to call one costs as much as a quarter of a command.
local prefix, digit, version = now_prefix, byte(gate, at - 1)
if gate > latest then prefix = sub(gate, 1, 14) end
if digit < 57 then version = sub(gate, 15, at - 2) .. after[digit - 47]
else version = format('%d', sub(gate, 15, at - 1) + 1) end
answer = attempt('XADD', KEYS[2 + n], prefix .. version, field or ARGV[i + 1], ARGV[i + wide])
i = i + wide + (usual and 0 or 1)
if not answer.err then
  gate, pointer = answer .. rest, answer
  if prefix == now_prefix then
    answer = version
    if current then pointer = version end
  else plain = false end
end
