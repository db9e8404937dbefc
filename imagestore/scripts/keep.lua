#!lua
-- Keep one picture; pictures at random make room when there are too many of one original.
-- KEYS: the pictures of an original. ARGV: field, value, life in seconds, most fields.
if redis.call("HEXISTS", KEYS[1], ARGV[1]) == 0 then
    while redis.call("HLEN", KEYS[1]) >= tonumber(ARGV[4]) do
        redis.call("HDEL", KEYS[1], redis.call("HRANDFIELD", KEYS[1]))
    end
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
redis.call("EXPIRE", KEYS[1], ARGV[3])
return 1
