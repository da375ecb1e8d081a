-- What all scripts share. Each touches one partition; KEYS[1] is the prefix of its keys, which one
-- hash tag keeps together, so that the others may be derived from it.
--
-- leases       ZSET  incarnation -> when its lease ends. An incarnation is `replica.generation`
-- generations  HASH  replica -> its newest generation; commands of older ones come too late
-- held:…       SET   the users of whom an incarnation holds sockets
-- user:…       HASH  connection -> the incarnation that holds it
-- users        ZSET  who has sockets, by id
-- leaving      ZSET  who has none any more -> when the grace is over
-- left         HASH  who is leaving -> since when
-- unsure       SET   who is leaving, and may never have been announced online
-- version      of the partition's last transition
-- writable     written by whoever reads, to see that it can be
-- log          LIST  the last transitions, for a replica that has not heard them
--
-- Times are milliseconds of this server's clock. A script that announces has its replica in ARGV[1].
local LEASES, GENERATIONS = KEYS[1] .. ':leases', KEYS[1] .. ':generations'
local USERS, LEAVING, LEFT = KEYS[1] .. ':users', KEYS[1] .. ':leaving', KEYS[1] .. ':left'
local UNSURE = KEYS[1] .. ':unsure'
local VERSION, LOG = KEYS[1] .. ':version', KEYS[1] .. ':log'
local LOG_LENGTH = 256

local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)

local function connections_of(user)
  return KEYS[1] .. ':user:' .. user
end

local function held_by(incarnation)
  return KEYS[1] .. ':held:' .. incarnation
end

-- Whether a replica's generation is its newest, and its lease stands.
local function stands(replica, generation)
  if redis.call('HGET', GENERATIONS, replica) ~= generation then
    return false
  end
  local ends = redis.call('ZSCORE', LEASES, replica .. '.' .. generation)
  return ends and tonumber(ends) > now
end

local function announce(user, online, at)
  local last = redis.call('GET', VERSION) or 0
  -- As text, since a number would lose its last digits.
  local version = string.format('%.0f', math.max(last + 1, micros))
  redis.call('SET', VERSION, version)
  local transition = string.format('%s %d %.0f %s %s', user, online, at, version, ARGV[1])
  redis.call('LPUSH', LOG, transition)
  redis.call('LTRIM', LOG, 0, LOG_LENGTH - 1)
  redis.call('PUBLISH', KEYS[1] .. ':transitions', transition)
end

-- Ends the grace of a user, who may have come back.
local function end_grace(user)
  local at = tonumber(redis.call('HGET', LEFT, user) or now)
  redis.call('ZREM', LEAVING, user)
  redis.call('HDEL', LEFT, user)
  redis.call('SREM', UNSURE, user)
  if redis.call('EXISTS', connections_of(user)) == 0 then
    announce(user, 0, at)
  end
end

-- Begins the grace of a user who has lost the last socket.
local function settle(user, at, deadline)
  if redis.call('EXISTS', connections_of(user)) == 0 and redis.call('ZREM', USERS, user) == 1 then
    redis.call('ZADD', LEAVING, deadline, user)
    redis.call('HSET', LEFT, user, at)
  end
end

-- Fails where nothing can be written (full, no master, an error of the disk). Then what was to be written
-- is missing, and whoever reads would take people for offline who are not.
local function must_be_writable()
  redis.call('SET', KEYS[1] .. ':writable', 1, 'PX', 60000)
end
