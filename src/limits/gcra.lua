-- One question to the generic cell rate algorithm. KEYS[1] holds when the key will have recovered, its
-- theoretical arrival time. The arguments: the interval of the rate; the interval times the burst; in how
-- long the key will have recovered as far as the replica knows; and 1 to use the key if it may be used, 0
-- only to say.
-- The answer is in how long the key will have recovered, or, negative, how long it must not be used.
-- Times are microseconds of this server's clock, the only one there is for all replicas.

-- Also to only say: a server that refuses writes counts for nobody. KEYS[2] is gone in a moment.
redis.call('SET', KEYS[2], 1, 'PX', 1)

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, depth = tonumber(ARGV[1]), tonumber(ARGV[2])
-- A key that is not here has recovered, or was lost: then the replica knows better.
local recovers = tonumber(redis.call('GET', KEYS[1]) or now + ARGV[3])
-- Never further ahead than a burst can be: the clock may have gone back, or the rate was another.
recovers = math.min(math.max(recovers, now), now + depth)
local following = recovers + interval
local wait = following - depth - now
if wait > 0 then
  return -wait
end
if ARGV[4] == '0' then
  return recovers - now
end
-- As text, since a number would lose its last digits.
local ttl = math.ceil((following - now) / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', following), 'PX', string.format('%.0f', ttl))
return following - now
