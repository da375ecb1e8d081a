-- Whether users are online, the grace included: user…
must_be_writable()
local online = {}
for i, user in ipairs(ARGV) do
  local deadline = redis.call('ZSCORE', LEAVING, user)
  local here = redis.call('ZSCORE', USERS, user) or (deadline and tonumber(deadline) > now)
  online[i] = here and 1 or 0
end
return online
