-- Takes note of users who left while it could not be written, or whose leaving may have been
-- forgotten: grace, (user, how long ago)…
for i = 2, #ARGV, 2 do
  local user, at = ARGV[i], now - ARGV[i + 1]
  if redis.call('EXISTS', connections_of(user)) == 0 then
    if redis.call('ZADD', LEAVING, 'NX', now + ARGV[1], user) == 1 then
      redis.call('SADD', UNSURE, user)
    end
    redis.call('HSET', LEFT, user, math.min(at, tonumber(redis.call('HGET', LEFT, user) or at)))
  end
end
return 1
