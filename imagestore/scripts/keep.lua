#!lua
-- Keep one picture; pictures at random make room when those of one original are too many or too much.
-- KEYS: the pictures of an original; perhaps the lock that the picture was made under, which is ended.
-- ARGV: field, value, life in seconds, most fields, most bytes; the lock's token.
local room = tonumber(ARGV[5]) - #ARGV[2]
local fields = redis.call("HKEYS", KEYS[1])
local sizes, bytes, there = {}, 0, false
for i, field in ipairs(fields) do
    sizes[field] = redis.call("HSTRLEN", KEYS[1], field)
    bytes = bytes + sizes[field]
    there = there or field == ARGV[1]
end
if there then
    bytes = bytes - sizes[ARGV[1]]
end
local count = #fields
while count > 0 and (bytes > room or (not there and count >= tonumber(ARGV[4]))) do
    local field = redis.call("HRANDFIELD", KEYS[1])
    redis.call("HDEL", KEYS[1], field)
    count = count - 1
    if field == ARGV[1] then
        there = false
    else
        bytes = bytes - sizes[field]
    end
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
redis.call("EXPIRE", KEYS[1], ARGV[3])
if KEYS[2] and redis.call("GET", KEYS[2]) == ARGV[6] then
    redis.call("DEL", KEYS[2])
end
return 1
