#!lua flags=allow-oom
-- Follow a pointer to its record, and check that the record is live and still the one that is meant.
-- Not no-writes, for the reason that record.lua has.
-- KEYS: the pointer. ARGV: what is meant, then the fields of which one must say so.
local id = redis.call("GET", KEYS[1])
if not id then
    return false
end
local record = redis.call("HMGET", "record:" .. id, "state", "info", unpack(ARGV, 2))
if record[1] ~= "live" then
    return false
end
for i = 3, #record do
    if record[i] == ARGV[1] then
        return record[2]
    end
end
return false
