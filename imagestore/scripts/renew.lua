#!lua flags=allow-oom
-- Renew a lease (life in milliseconds), or end it (life 0), if it is still the caller's.
-- KEYS: the lock. ARGV: the holder's token, life.
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return 0
end
if ARGV[2] == "0" then
    return redis.call("DEL", KEYS[1])
end
return redis.call("PEXPIRE", KEYS[1], ARGV[2])
