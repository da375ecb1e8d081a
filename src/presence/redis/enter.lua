-- Begins a generation of a replica: replica, generation, lease (0 takes none).
-- Answers 0 if a newer one has begun: then this command was overtaken.
local replica, generation, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local newest = redis.call('HGET', GENERATIONS, replica)
if newest and tonumber(newest) >= tonumber(generation) then
  return 0
end
redis.call('HSET', GENERATIONS, replica, generation)
if lease > 0 then
  redis.call('ZADD', LEASES, now + lease, replica .. '.' .. generation)
end
return 1
