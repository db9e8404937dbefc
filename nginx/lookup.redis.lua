#!lua flags=allow-oom
-- From a question to a picture in one round trip; runs inside Redis (imagestore/cachewords.py has the keys).
-- It only reads, and does not say so (no-writes): a Redis that refuses writes, since its disk is full, could
-- not be told of changes either. It refuses this script too, and the API answers from the database.
--
-- ARGV: kind (id, sum or key), value, spelling of the rendition ("" is the original, a line feed the
-- description, which is no picture and has no identity but its domain), and the
-- identity of a picture whose bytes the asker has, or fetches in the same round trip ("" is none), and
-- the domains in which spellings have a meaning of their own, each between blanks.
-- Gives nothing when only the API can tell, else the picture's identity, and its bytes unless the
-- asker has them or they are not in Redis. An identity ends in the image's domain, whose rules the
-- asker knows.

local call = redis.call

-- The key, the content hash and the name of the live record; nothing if it is not the one that is meant.
local function live(kind, value)
    if kind == "id" then
        local key = "record:" .. value
        local record = call("HMGET", key, "state", "sha256", "name")
        return record[1] == "live" and key, record[2], record[3]
    end
    local id = call("GET", kind .. ":" .. value)
    if not id then
        return nil
    end
    local key = "record:" .. id
    local record = call("HMGET", key, "state", "sha256", "name", kind == "key" and "name" or "md5sum")
    local meant = record[4] == value or (kind == "sum" and record[2] == value)
    return record[1] == "live" and meant and key, record[2], record[3]
end

-- The field of a spelling, with the identity that its watermark has now.
local function field_of(spelling)
    local lesson = call("HGET", "spellings", spelling)
    if not lesson then
        return nil
    end
    local field, watermark = string.match(lesson, "^([^\n]*)\n(.*)$")
    if watermark == "" then
        return field
    end
    local mark = live("key", "watermark/" .. watermark)
    return mark and field .. "#" .. call("HGET", mark, "mark")
end

local kind, value, spelling, known = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local record, sha256, name = live(kind, value)
if not record then
    return false
end
local domain = string.match(name, "^[^/]*")
if spelling == "\n" then
    local told = call("HMGET", record, "rev", "info")
    -- The ETag is that of imagestore/identity.py.
    local etag = '"i' .. string.match(record, "%d+$") .. "-" .. told[1] .. '"'
    return told[2] and { domain, "application/json\n" .. etag .. "\n" .. told[2] } or false
end
local field, identity = "original", nil
if spelling == "" then
    -- Size and type follow from the content, so they may be in its name.
    local facts = call("HMGET", record, "size", "type")
    identity = sha256 .. "/original " .. facts[1] .. " " .. facts[2] .. " " .. domain
else
    local is_own = string.find(ARGV[5], " " .. domain .. " ", 1, true)
    field = field_of(is_own and domain .. "/" .. spelling or spelling)
    if not field then
        return false
    end
    identity = sha256 .. "/" .. field .. " " .. domain
end
if identity == known then
    return identity
end
local picture = call("HGET", "picture:" .. sha256, field)
if picture then
    return { identity, picture }
end
return spelling == "" and identity or false
