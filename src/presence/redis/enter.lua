-- Begins a generation of a replica: replica, generation, lease.
-- Answers 0 if a newer one has begun: then this command was overtaken.
local replica, generation = ARGV[1], ARGV[2]
local newest = redis.call('HGET', GENERATIONS, replica)
if newest and tonumber(newest) >= tonumber(generation) then
  return 0
end
redis.call('HSET', GENERATIONS, replica, generation)
redis.call('ZADD', LEASES, now + ARGV[3], replica .. '.' .. generation)
return 1
