-- A key stores the time, in microseconds, at which its bucket is full; a full bucket has no key. Each key has two arguments: the
-- time of one token, and of a full bucket. The reply has two numbers for each key: 1 if a token was taken, else 0, and the time
-- until the bucket is full.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local reply = {}
for i, key in ipairs(KEYS) do
  local interval, fill_time = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local full = tonumber(redis.call('GET', key) or now)
  full = math.min(math.max(full, now), now + fill_time)
  local taken = 0
  if full + interval <= now + fill_time then
    taken = 1
    full = full + interval
    redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
  end
  reply[2 * i - 1] = taken
  reply[2 * i] = full - now
end
return reply
