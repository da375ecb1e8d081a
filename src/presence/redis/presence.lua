-- Each command changes or reads the keys of one instance at once: KEYS[1] the prefix of all keys, whose hash tag
-- keeps them on one node; ARGV the command and its arguments.
--
-- leases     ZSET  incarnation (`replica.generation`) -> when its lease ends
-- users:…    ZSET  who is online because of an incarnation: user -> the id of the user, which is the order
-- sockets:…  HASH  who of them has sockets: user -> "id,id,…". Of the others the grace runs; those with "" have
--                  perhaps never been announced online. An incarnation that has left has only these, and: left -> when.
--                  `background:` and a user: those of the user's sockets that nobody looks at. In a field of its
--                  own: replicas of the version before read a list of ids in the other one, and delete both
-- version          of the last transition
-- log        LIST  the last transitions, for a replica that has not heard them
-- writable         written by whoever reads, to see that it can be
--
-- Times are milliseconds of this server's clock.
local LEASES, VERSION, LOG = KEYS[1] .. ':leases', KEYS[1] .. ':version', KEYS[1] .. ':log'
local LOG_LENGTH = 16384

local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)
local living = redis.call('ZRANGEBYSCORE', LEASES, '(' .. now, '+inf')

local function users_of(incarnation)
  return KEYS[1] .. ':users:' .. incarnation
end

local function sockets_of(incarnation)
  return KEYS[1] .. ':sockets:' .. incarnation
end

-- Whether the lease of an incarnation stands.
local function is_current(incarnation)
  local ends = redis.call('ZSCORE', LEASES, incarnation)
  return ends and tonumber(ends) > now
end

-- How long it takes until the next lease ends: not above 0 if one has ended, a second if there is none.
local function until_lease_ends()
  local first = redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')
  return first[2] and first[2] - now or 1000
end

-- Whether a user is online at a living replica; `announced`: and that was announced.
local function is_online(user, announced)
  for _, incarnation in ipairs(living) do
    if redis.call('ZSCORE', users_of(incarnation), user)
      and not (announced and redis.call('HGET', sockets_of(incarnation), user) == '') then
      return true
    end
  end
  return false
end

-- For the incarnation that is the first argument of the command.
local function announce(user, online, at)
  local last = redis.call('GET', VERSION) or 0
  -- As text, since a number would lose its last digits.
  local version = string.format('%.0f', math.max(last + 1, micros))
  redis.call('SET', VERSION, version)
  local transition = string.format('%s %d %.0f %s %s', user, online, at, version, ARGV[2])
  redis.call('LPUSH', LOG, transition)
  redis.call('LTRIM', LOG, 0, LOG_LENGTH - 1)
  redis.call('PUBLISH', KEYS[1] .. ':transitions', transition)
end

-- Fails where nothing can be written (full, no master, an error of the disk). Then what was to be written
-- is missing, and whoever reads would take people for offline who are not.
local function must_be_writable()
  redis.call('SET', KEYS[1] .. ':writable', 1, 'PX', 60000)
end

local commands = {}

-- Begins a lease. Answers when the next lease ends.
function commands.begin(incarnation, lease)
  redis.call('ZADD', LEASES, now + lease, incarnation)
  return until_lease_ends()
end

-- Renews a lease. Answers whether it stood, since what is lost stays lost; and when the next lease ends.
function commands.renew(incarnation, lease)
  local stood = is_current(incarnation)
  if stood then
    redis.call('ZADD', LEASES, now + lease, incarnation)
  end
  return { stood and 1 or 0, until_lease_ends() }
end

-- Ends the leases of the other incarnations of the same replica.
function commands.end_lease(incarnation)
  local replica = string.match(incarnation, '^(.*%.)')
  for _, other in ipairs(living) do
    if other ~= incarnation and string.sub(other, 1, #replica) == replica then
      redis.call('ZADD', LEASES, now, other)
    end
  end
  return until_lease_ends()
end

-- Closes all sockets of an incarnation. Its lease ends after the grace. Those who have perhaps never been announced
-- stay so: another incarnation announces them if they come there.
function commands.close(incarnation, grace)
  if is_current(incarnation) then
    local entries = redis.call('HGETALL', sockets_of(incarnation))
    redis.call('DEL', sockets_of(incarnation))
    redis.call('HSET', sockets_of(incarnation), 'left', now)
    for i = 1, #entries, 2 do
      if entries[i + 1] == '' then
        redis.call('HSET', sockets_of(incarnation), entries[i], '')
      end
    end
    redis.call('ZADD', LEASES, now + grace, incarnation)
  end
  return 1
end

-- Writes what an incarnation has of users, and announces who comes or goes by it: (user, what)… `what` is the
-- user's sockets ("id,id,…", and behind a bar those that nobody looks at); nothing while the grace runs; or "-" and
-- the milliseconds since the last socket closed, when the grace is over. Answers whether the lease stands; nothing is
-- written if not.
function commands.write(incarnation, ...)
  if not is_current(incarnation) then
    return 0
  end
  local users, sockets, args = users_of(incarnation), sockets_of(incarnation), { ... }
  for i = 1, #args, 2 do
    local user, what, background = args[i], string.match(args[i + 1], '^([^|]*)|?(.*)$')
    local left = string.match(what, '^-(%d+)$')
    if left then
      local was_here = redis.call('ZREM', users, user) == 1
      redis.call('HDEL', sockets, user)
      if was_here and not is_online(user) then
        announce(user, 0, now - left)
      end
    else
      local was_announced = is_online(user, true)
      redis.call('ZADD', users, user, user)
      if what == '' and was_announced then
        redis.call('HDEL', sockets, user)
      else
        redis.call('HSET', sockets, user, what)
      end
      if what ~= '' and not was_announced then
        announce(user, 1, now)
      end
    end
    -- After the first write that needs memory: a script that has deleted something is not refused for want of it.
    if background == '' then
      redis.call('HDEL', sockets, 'background:' .. user)
    else
      redis.call('HSET', sockets, 'background:' .. user, background)
    end
  end
  return 1
end

-- Removes some users of an incarnation whose lease has ended, and announces who goes by it: the incarnation
-- that asks, the length of a lease, how many. Answers how many it were, and when the next lease ends.
function commands.reap(_, lease, count)
  local dead, ends = unpack(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'WITHSCORES', 'LIMIT', 0, 1))
  if not dead then
    return { 0, until_lease_ends() }
  end
  -- Without a farewell it was last seen when its lease began.
  local left = redis.call('HGET', sockets_of(dead), 'left') or ends - lease
  local users = redis.call('ZRANGE', users_of(dead), 0, count - 1)
  for _, user in ipairs(users) do
    redis.call('ZREM', users_of(dead), user)
    if not is_online(user) then
      announce(user, 0, left)
    end
  end
  if redis.call('EXISTS', users_of(dead)) == 0 then
    redis.call('DEL', sockets_of(dead))
    redis.call('ZREM', LEASES, dead)
  end
  return { #users, until_lease_ends() }
end

-- What living replicas have of users: user… Answers (user, sockets, how long the replica's lease still stands)…
-- The sockets are as `write` takes them.
function commands.read(...)
  must_be_writable()
  local answer = {}
  for _, incarnation in ipairs(living) do
    local lease = redis.call('ZSCORE', LEASES, incarnation) - now
    for _, user in ipairs({ ... }) do
      if redis.call('ZSCORE', users_of(incarnation), user) then
        local sockets = redis.call('HGET', sockets_of(incarnation), user) or ''
        local background = redis.call('HGET', sockets_of(incarnation), 'background:' .. user)
        answer[#answer + 1] = { user, background and sockets .. '|' .. background or sockets, lease }
      end
    end
  end
  return answer
end

-- The first users with sockets at each living replica, by id: those above `after`, how many. Answers as `read`.
function commands.page(after, count)
  must_be_writable()
  local answer, step = {}, tonumber(count)
  for _, incarnation in ipairs(living) do
    local wanted, from = #answer + step, after
    repeat
      local users = redis.call('ZRANGEBYSCORE', users_of(incarnation), '(' .. from, '+inf', 'LIMIT', 0, step)
      for _, user in ipairs(users) do
        local sockets = redis.call('HGET', sockets_of(incarnation), user) or ''
        if sockets ~= '' and #answer < wanted then
          answer[#answer + 1] = { user, sockets, 0 }
        end
        from = user
      end
    until #users < step or #answer == wanted
  end
  return answer
end

return commands[ARGV[1]](unpack(ARGV, 2))
