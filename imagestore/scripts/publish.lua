#!lua
-- Publish a record, unless a newer one or a tombstone is there.
-- KEYS: the record, then the pointers that shall lead to it.
-- ARGV: rev, life in seconds, id, then field and value in turn.
local there = redis.call("HMGET", KEYS[1], "rev", "state")
local rev, new = tonumber(there[1]), tonumber(ARGV[1])
if rev and (rev > new or (rev == new and there[2] == "gone")) then
    return 0
end
redis.call("HSET", KEYS[1], unpack(ARGV, 4))
redis.call("EXPIRE", KEYS[1], ARGV[2])
for i = 2, #KEYS do
    redis.call("SET", KEYS[i], ARGV[3], "EX", ARGV[2])
end
return 1
