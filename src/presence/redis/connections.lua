-- Users' sockets: how much must be left of a replica's lease for it to live without a doubt, user…
-- Answers for each user: (connection, whether its replica lives without a doubt)…
must_be_writable()
local answer = {}
for i = 2, #ARGV do
  local connections = {}
  local holders = redis.call('HGETALL', connections_of(ARGV[i]))
  for j = 1, #holders, 2 do
    local ends = redis.call('ZSCORE', LEASES, holders[j + 1])
    local is_sure = ends and tonumber(ends) >= now + ARGV[1]
    connections[#connections + 1] = { holders[j], is_sure and 1 or 0 }
  end
  answer[#answer + 1] = connections
end
return answer
