#!lua
-- Write down what a spelling means, unless spellings are learnt under another recipe now. One at random
-- makes room when there are too many: anybody can write a rendition in thousands of ways.
-- KEYS: the spellings, the recipe.
-- ARGV: the spelling, the lesson, the recipe of the one who teaches, life in seconds, most spellings.
-- Gives 1 if it is known now, 0 under another recipe, -1 when none has been agreed on.
local agreed = redis.call("GET", KEYS[2])
if not agreed then
    return -1
end
if agreed ~= ARGV[3] then
    return 0
end
if redis.call("HEXISTS", KEYS[1], ARGV[1]) == 0 then
    while redis.call("HLEN", KEYS[1]) >= tonumber(ARGV[5]) do
        redis.call("HDEL", KEYS[1], redis.call("HRANDFIELD", KEYS[1]))
    end
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
redis.call("EXPIRE", KEYS[1], ARGV[4])
redis.call("EXPIRE", KEYS[2], ARGV[4])
return 1
