-- What must hold at any time: KEYS[1] the prefix of all keys, ARGV[1] the time. Answers what does not, and then
-- who has sockets at a living replica; of whom else something is known has a question mark.
local prefix = KEYS[1]
local wrong = {}
local function expect(holds, what)
  if not holds then
    wrong[#wrong + 1] = what
  end
end
local online = {}
for _, key in ipairs(redis.call('KEYS', prefix .. 'users:*')) do
  local incarnation = string.sub(key, #prefix + #'users:' + 1)
  local ends = redis.call('ZSCORE', prefix .. 'leases', incarnation)
  expect(ends, incarnation .. ' has users without a lease')
  local is_living = ends and tonumber(ends) > tonumber(ARGV[1])
  for _, user in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    local sockets = redis.call('HGET', prefix .. 'sockets:' .. incarnation, user)
    online[((is_living and sockets and sockets ~= '') and '' or '?') .. user] = true
  end
end
for _, key in ipairs(redis.call('KEYS', prefix .. 'sockets:*')) do
  local incarnation = string.sub(key, #prefix + #'sockets:' + 1)
  expect(redis.call('ZSCORE', prefix .. 'leases', incarnation), incarnation .. ' has sockets without a lease')
  for _, user in ipairs(redis.call('HKEYS', key)) do
    local is_user = user == 'left' or redis.call('ZSCORE', prefix .. 'users:' .. incarnation, user)
    -- A dead one's sockets go with the last of its users.
    local ends = redis.call('ZSCORE', prefix .. 'leases', incarnation)
    local is_dead = ends and tonumber(ends) <= tonumber(ARGV[1])
    expect(is_user or is_dead, user .. ' has sockets at ' .. incarnation .. ' and is no user there')
  end
end
local answer = { table.concat(wrong, '; ') }
for user in pairs(online) do
  answer[#answer + 1] = user
end
return answer
