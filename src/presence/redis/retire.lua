-- Ends the leases of older generations of a replica, for a sweep to reap: replica, generation…
local remain = false
for i = 2, #ARGV do
  local incarnation = ARGV[1] .. '.' .. ARGV[i]
  redis.call('ZADD', LEASES, 'XX', now, incarnation)
  remain = remain or redis.call('ZSCORE', LEASES, incarnation)
end
-- The last of them to be reaped removes this too.
local newest = redis.call('HGET', GENERATIONS, ARGV[1])
if newest and not remain and not redis.call('ZSCORE', LEASES, ARGV[1] .. '.' .. newest) then
  redis.call('HDEL', GENERATIONS, ARGV[1])
end
return 1
