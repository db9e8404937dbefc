-- Pictures in this nginx's memory: a dictionary that all workers share, and in each worker, unpacked, those
-- that it sends most. Pictures never change, so neither has anything to forget.
--
-- From the dictionary a picture is copied twice before nginx copies it to send it.

local shares = require "shares"

local find, sub = string.find, string.sub

local memory = {}

local pictures = ngx.shared.pictures

local MAX_YOUNG_BYTES = 4 * 1024 * 1024
-- What one picture may take of it.
local PART = 8

-- By identity, in two generations: when the young ones are too many bytes, the old ones go.
local young, old, young_bytes = {}, {}, 0

-- Once, in the master process.
function memory.configure()
    -- At the default of 200 % a small heap is searched again for each megabyte of pictures that were sent
    -- once; more than 300 % would let one that is full of pictures grow to a hundred megabytes.
    collectgarbage("setpause", 300)
    shares.configure()
    -- A dictionary this small means that there shall be none.
    memory.is_on = pictures:capacity() >= 1024 * 1024
end

local function keep(identity, picture)
    local bytes = #picture.body
    if bytes > MAX_YOUNG_BYTES / PART then
        return
    end
    if young_bytes + bytes > MAX_YOUNG_BYTES then
        young, old, young_bytes = {}, young, 0
    end
    young[identity] = picture
    young_bytes = young_bytes + bytes
end

-- Content type and ETag are a line each, then come the bytes.
local function unpacked(value)
    local first = find(value, "\n", 1, true)
    local second = find(value, "\n", first + 1, true)
    return {
        content_type = sub(value, 1, first - 1),
        etag = sub(value, first + 1, second - 1),
        body = sub(value, second + 1),
    }
end

-- The picture (content_type, etag, body) of an identity, or nothing.
function memory.recall(identity)
    local picture = young[identity]
    if picture or not memory.is_on then
        return picture
    end
    picture = old[identity]
    if not picture then
        local value = pictures:get(identity)
        if not value then
            return nil
        end
        picture = unpacked(value)
    end
    keep(identity, picture)
    return picture
end

function memory.remember(identity, picture)
    -- Those who asked together (flight.lua) got one table.
    if not memory.is_on or picture.is_remembered then
        return
    end
    picture.is_remembered = true
    local value = picture.content_type .. "\n" .. picture.etag .. "\n" .. picture.body
    if shares.make_room(sub(identity, 1, 64), identity, #value) then
        pictures:set(identity, value)
    end
end

return memory
