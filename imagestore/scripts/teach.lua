#!lua
-- Write down what a spelling means, unless spellings are learnt under another recipe now.
-- KEYS: the spelling, the recipe. ARGV: the lesson, the recipe of the one who teaches, life in seconds.
-- Gives 1 if it is known now, 0 under another recipe, -1 when none has been agreed on.
local agreed = redis.call("GET", KEYS[2])
if not agreed then
    return -1
end
if agreed ~= ARGV[2] then
    return 0
end
redis.call("SET", KEYS[1], ARGV[1], "EX", ARGV[3])
redis.call("EXPIRE", KEYS[2], ARGV[3])
return 1
