#!lua flags=allow-oom
-- Take a record away: "barred" before a change is committed, "gone" after a delete.
-- It must work in a full Redis too (allow-oom), since stale answers are worse than a few bytes more.
-- KEYS: the record. ARGV: rev, state, life in seconds.
local there = redis.call("HMGET", KEYS[1], "rev", "state")
local rev, new = tonumber(there[1]), tonumber(ARGV[1])
if rev and (rev > new or (rev == new and ARGV[2] == "barred")) then
    return 0
end
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], "rev", ARGV[1], "state", ARGV[2])
redis.call("EXPIRE", KEYS[1], ARGV[3])
return 1
