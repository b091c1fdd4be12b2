-- A bucket is kept as the moment, in microseconds, when it will be full; one that is full is not kept. For each key there are
-- two arguments: the time of a token, and of all that fit. The answer has two numbers for each: whether a token was there,
-- and in how long the bucket will be full.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answer = {}
for i, key in ipairs(KEYS) do
  local interval, filling = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local full = tonumber(redis.call('GET', key) or now)
  full = math.min(math.max(full, now), now + filling)
  local taken = 0
  if full + interval <= now + filling then
    taken = 1
    full = full + interval
    redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
  end
  answer[2 * i - 1] = taken
  answer[2 * i] = full - now
end
return answer
