-- Questions to the generic cell rate algorithm, answered in their order. KEYS[i] holds when the key
-- will have recovered, its theoretical arrival time. To each belong four arguments: the interval of the
-- rate; the interval times the burst; in how long it will have recovered as far as the replica knows;
-- and 1 to use the key if it may be used, 0 only to say.
-- The answer is in how long the key will have recovered, or, negative, how long it must not be used.
-- Times are microseconds of this server's clock, the only one there is for all replicas.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answers = {}
for i, key in ipairs(KEYS) do
  local interval, depth = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2])
  -- A key that is not here has recovered, or was lost: then the replica knows better.
  local recovers = tonumber(redis.call('GET', key) or now + ARGV[4 * i - 1])
  -- Never further ahead than a burst can be: the clock may have gone back, or the rate was another.
  recovers = math.min(math.max(recovers, now), now + depth)
  local following = recovers + interval
  local wait = following - depth - now
  if wait > 0 then
    answers[i] = -wait
  elseif ARGV[4 * i] == '1' then
    -- As text, since a number would lose its last digits.
    local ttl = math.ceil((following - now) / 1000)
    redis.call('SET', key, string.format('%.0f', following), 'PX', string.format('%.0f', ttl))
    answers[i] = following - now
  else
    answers[i] = recovers - now
  end
end
return answers
