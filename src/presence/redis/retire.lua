-- Ends the leases of generations of a replica, for a sweep to reap: replica, generation…
for i = 2, #ARGV do
  redis.call('ZADD', LEASES, 'XX', now, ARGV[1] .. '.' .. ARGV[i])
end
return 1
