-- Users who have sockets, by id, and how many: after (an id, or 0), limit.
must_be_writable()
local page = {}
for _, user in ipairs(redis.call('ZRANGEBYSCORE', USERS, '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])) do
  page[#page + 1] = { tonumber(user), redis.call('HLEN', connections_of(user)) }
end
return page
