-- Ids of requests that nginx answers from a cache: unique, and no more. nginx's own $request_id asks OpenSSL
-- for random bytes, which takes a seventh of the instructions of such an answer.

local format = string.format

local ids = {}

local prefix
local count = 0

-- Once in each worker.
function ids.begin()
    local file = assert(io.open("/dev/urandom", "rb"))
    prefix = string.gsub(file:read(8), ".", function(c)
        return format("%02x", string.byte(c))
    end)
    file:close()
end

-- 32 hex digits, as $request_id has: those of the worker, and how many it gave before.
function ids.next()
    count = count + 1
    return format("%s%016x", prefix, count)
end

return ids
