-- Enters sockets: replica, generation, (user, connection)… Answers 0 without a lease.
if not stands(ARGV[1], ARGV[2]) then
  return 0
end
local incarnation = ARGV[1] .. '.' .. ARGV[2]
for i = 3, #ARGV, 2 do
  local user, connection = ARGV[i], ARGV[i + 1]
  if not redis.call('ZSCORE', USERS, user) then
    local deadline = redis.call('ZSCORE', LEAVING, user)
    if deadline and tonumber(deadline) <= now then
      -- The sweep is late. The user was gone all the same.
      end_grace(user)
      deadline = false
    end
    redis.call('ZADD', USERS, user, user)
    if deadline then
      redis.call('ZREM', LEAVING, user)
      redis.call('HDEL', LEFT, user)
    end
    if not deadline or redis.call('SREM', UNSURE, user) == 1 then
      announce(user, 1, now)
    end
  end
  redis.call('HSET', connections_of(user), connection, incarnation)
  redis.call('SADD', held_by(incarnation), user)
end
return 1
