#!lua
-- Publish a record, unless a newer one or a tombstone is there; with it perhaps its small base picture, which
-- pushes out that of an earlier upload when there are too many.
-- KEYS: the record, its small base picture, the keys of those by age, then the pointers that shall lead to it.
-- ARGV: rev, life in seconds, that of a base, id, the base or nothing, most bases, then field and value in turn.
local there = redis.call("HMGET", KEYS[1], "rev", "state")
local rev, new = tonumber(there[1]), tonumber(ARGV[1])
if rev and (rev > new or (rev == new and there[2] == "gone")) then
    return 0
end
redis.call("HSET", KEYS[1], unpack(ARGV, 7))
redis.call("EXPIRE", KEYS[1], ARGV[2])
if ARGV[5] ~= "" then
    redis.call("SET", KEYS[2], ARGV[5], "EX", ARGV[3])
    local count = redis.call("RPUSH", KEYS[3], KEYS[2])
    redis.call("EXPIRE", KEYS[3], ARGV[3])
    for _ = tonumber(ARGV[6]) + 1, count do
        redis.call("UNLINK", redis.call("LPOP", KEYS[3]))
    end
end
for i = 4, #KEYS do
    redis.call("SET", KEYS[i], ARGV[4], "EX", ARGV[2])
end
return 1
