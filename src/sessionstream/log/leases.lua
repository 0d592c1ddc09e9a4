-- How many milliseconds are left of a lease; and true where it begins anew. A holder's name ends with how long its lease
-- runs: where more is left than that, the clock was set back since, and whoever died would hold it until then.
local function left_of(lapse, holder, now)
  local left, longest = (lapse or 0) - now, string.match(holder or '', '~(%d+)$')
  if longest and left > longest + 0 then return longest + 0, true end
  return left, false
end
