-- Whether the feed tells of a position, or has been trimmed behind it. A server that has lost its last writes, by a
-- failover or a crash, may never have had it: what was handled up to there is no longer what there is.
local function is_told(log, feed, position)
  local ms, number = string.match(position, '^(%d+)-(%d+)$')
  local entry = redis.call('XRANGE', feed, position, ms, 'COUNT', 1)[1]
  if entry then return string.match(entry[1], '%d+$') - #entry[2] / 2 < number + 0 end
  return number + 0 < (redis.call('HGET', log, ':feed_first') or 1) + 0
end
