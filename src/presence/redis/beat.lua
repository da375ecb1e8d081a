-- Renews a lease: replica, generation, lease. Answers 0 if it was lost: what is lost stays lost.
if not stands(ARGV[1], ARGV[2]) then
  return 0
end
redis.call('ZADD', LEASES, now + ARGV[3], ARGV[1] .. '.' .. ARGV[2])
return 1
