#!lua flags=allow-oom
-- Renew leases (life in milliseconds), or end them (life 0), those that are still the caller's.
-- KEYS: the locks. ARGV: the holder's token, life.
local ours = 0
for _, lock in ipairs(KEYS) do
    if redis.call("GET", lock) == ARGV[1] then
        ours = ours + 1
        if ARGV[2] == "0" then
            redis.call("DEL", lock)
        else
            redis.call("PEXPIRE", lock, ARGV[2])
        end
    end
end
return ours
