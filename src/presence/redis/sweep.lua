-- Removes the sockets of one incarnation without a lease, and announces those whose grace is over:
-- replica, lease, grace, chunk. Answers how many users were reaped, how many announced, whether there is more.
local lease, grace, chunk = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local reaped = 0
local dead = redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, 1)[1]
if dead then
  local replica, generation = string.match(dead, '^(.+)%.(%d+)$')
  local newest = redis.call('HGET', GENERATIONS, replica)
  -- What a living replica has left behind has left just now. What a dead one has left was last seen
  -- when its lease began, and has had its grace.
  local at, deadline = redis.call('ZSCORE', LEASES, dead) - lease, now
  if newest and newest ~= generation then
    at, deadline = now, now + grace
  end
  for _, user in ipairs(redis.call('SPOP', held_by(dead), chunk)) do
    local connections = connections_of(user)
    local holders = redis.call('HGETALL', connections)
    for i = 1, #holders, 2 do
      if holders[i + 1] == dead then
        redis.call('HDEL', connections, holders[i])
      end
    end
    settle(user, at, deadline)
    reaped = reaped + 1
  end
  if redis.call('EXISTS', held_by(dead)) == 0 then
    redis.call('ZREM', LEASES, dead)
    if newest and not redis.call('ZSCORE', LEASES, replica .. '.' .. newest) then
      redis.call('HDEL', GENERATIONS, replica)
    end
  end
end
local gone = redis.call('ZRANGEBYSCORE', LEAVING, '-inf', now, 'LIMIT', 0, chunk)
for _, user in ipairs(gone) do
  end_grace(user)
end
return { reaped, #gone, (dead or #gone == chunk) and 1 or 0 }
