-- Removes sockets: replica, generation, grace, (user, connection)… Answers 0 without a lease.
local incarnation = ARGV[1] .. '.' .. ARGV[2]
for i = 4, #ARGV, 2 do
  local user, connection = ARGV[i], ARGV[i + 1]
  local connections = connections_of(user)
  -- One that another incarnation holds is not this one's to remove.
  if redis.call('HGET', connections, connection) == incarnation then
    redis.call('HDEL', connections, connection)
    local holds_more = false
    for _, holder in ipairs(redis.call('HVALS', connections)) do
      holds_more = holds_more or holder == incarnation
    end
    if not holds_more then
      redis.call('SREM', held_by(incarnation), user)
    end
    settle(user, now, now + ARGV[3])
  end
end
return stands(ARGV[1], ARGV[2]) and 1 or 0
