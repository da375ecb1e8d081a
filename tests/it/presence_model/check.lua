-- What must hold in a partition at any time: KEYS[1] its prefix. Answers what does not, and then who
-- is online; who is leaving has a minus.
local prefix = KEYS[1]
local wrong = {}
local function expect(holds, what)
  if not holds then
    wrong[#wrong + 1] = what
  end
end
local online = {}
for _, user in ipairs(redis.call('ZRANGE', prefix .. ':users', 0, -1)) do
  online[user] = true
  expect(redis.call('EXISTS', prefix .. ':user:' .. user) == 1, user .. ' has no connection')
  expect(not redis.call('ZSCORE', prefix .. ':leaving', user), user .. ' is here and leaves')
end
for _, key in ipairs(redis.call('KEYS', prefix .. ':user:*')) do
  local user = string.match(key, ':(%d+)$')
  expect(online[user], user .. ' has connections and is not here')
  local connections = redis.call('HGETALL', key)
  for i = 1, #connections, 2 do
    local holder = connections[i + 1]
    local held = redis.call('SISMEMBER', prefix .. ':held:' .. holder, user) == 1
    expect(held, user .. ' is not among those whom ' .. holder .. ' holds')
    expect(redis.call('ZSCORE', prefix .. ':leases', holder), holder .. ' holds without a lease')
  end
end
local leaving = redis.call('ZRANGE', prefix .. ':leaving', 0, -1)
expect(redis.call('HLEN', prefix .. ':left') == #leaving, 'leaving and left differ')
for _, user in ipairs(leaving) do
  online['-' .. user] = true
end
local answer = { table.concat(wrong, '; ') }
for user in pairs(online) do
  answer[#answer + 1] = user
end
return answer
