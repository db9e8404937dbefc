-- What Redis has, as nginx asks it: one round trip, 200 ms at most, and a breaker.

local flight = require "flight"
local redis = require "redis"
local sentinel = require "sentinel"

local command = redis.command
local find, match = string.find, string.match

local cache = {}

local TIMEOUT_MS = 200
local PAUSE_S = 1

local breaker = ngx.shared.breaker
local address
local script, digest, own_spellings

local function redis_url()
    local path = os.getenv("REDIS_URL_FILE")
    local file = not os.getenv("REDIS_URL") and path and io.open(path)
    if not file then
        return os.getenv("REDIS_URL")
    end
    local url = match(file:read("*a"), "^%s*(.-)%s*$")
    file:close()
    return url
end

local function hex(text)
    return (string.gsub(text, ".", function(c)
        return string.format("%02x", string.byte(c))
    end))
end

-- Once, in the master process, before there are workers. `domains` with spellings of their own are each
-- between blanks.
function cache.configure(script_path, domains)
    own_spellings = domains
    address = redis.parse_url(redis_url())
    if not address then
        ngx.log(ngx.ERR, "REDIS_URL is missing or not redis://, unix:// or redis+sentinel://: pictures are not answered from Redis")
        return
    end
    local file = assert(io.open(script_path))
    script = file:read("*a")
    file:close()
    digest = hex(ngx.sha1_bin(script))
end

-- Once in each worker.
function cache.begin()
    if address then
        sentinel.watch(address)
    end
end

local function failed(reason)
    -- Another worker has heard of a new master already: the next request asks that one.
    if sentinel.follow(address) then
        breaker:delete("trying")
        return nil
    end
    -- `add` is true for one worker in a pause, so there is one line in a pause.
    if breaker:add("open", true, PAUSE_S) then
        ngx.log(ngx.ERR, "the cache is away: ", reason)
        sentinel.ask(address)
    end
    breaker:set("suspect", true)
    return nil
end

-- Whether to ask, and whether Redis is suspected to be away: then one request in a pause tries it.
local function allowed()
    if not breaker:get("suspect") then
        return true, false
    end
    return not breaker:get("open") and breaker:add("trying", true, PAUSE_S), true
end

local function back()
    breaker:delete("suspect")
    ngx.log(ngx.ERR, "the cache is back")
end

-- The answer of the script: identity (false for a miss) and picture, or nothing and a reason.
local function read_answer(socket)
    local identity, more = redis.read_text(socket)
    if identity and more == true then
        local picture, reason = redis.read_picture(socket)
        if not picture then
            return nil, reason
        end
        return identity, picture
    end
    if identity == nil then
        return nil, more or "no reason given"
    end
    return identity
end

local function is_unknown_script(reason)
    return find(reason, "NOSCRIPT", 1, true)
end

-- The answer to a request, which also fetches the bytes that are expected, in case they are still right: bytes
-- that pass through a script cost Redis twice as much (measured with 20 KB, Redis 7.0.15).
local function read(socket, expected)
    local identity, picture = read_answer(socket)
    -- An answer that did not come in time may still come, and must not be read as the next one.
    if not expected or (identity == nil and not is_unknown_script(picture)) then
        return identity, picture
    end
    local fetched, reason = redis.read_picture(socket)
    if fetched == nil then
        return nil, reason
    end
    if identity == expected then
        picture = fetched or nil
    end
    return identity, picture
end

-- The request as it goes over the wire; kept with the question, which the next client may ask too.
local function request_of(question, known, expected)
    if question.request and question.known == known and question.expected == expected then
        return question.request
    end
    local request = command("EVALSHA", digest, "0", question.kind, question.value, question.spelling, expected or known, own_spellings)
    if expected then
        local sha256, field = match(expected, "^(%x+)/([^ ]+)")
        request = request .. command("HGET", "picture:" .. sha256, field)
    end
    question.request, question.known, question.expected = request, known, expected
    return request
end

-- The answers to a list of seats (flight.lua), in one write and in turn; nothing and a reason at the first that fails.
local function ask(socket, seats)
    local requests = {}
    for i = 1, #seats do
        local seat = seats[i]
        requests[i] = request_of(seat.question, seat.known, seat.expected)
    end
    local ok, reason = socket:send(requests)
    if not ok then
        return nil, reason
    end
    local unknown = {}
    for i = 1, #seats do
        local seat = seats[i]
        local identity, picture = read(socket, seat.expected)
        if identity ~= nil then
            seat.identity, seat.picture = identity, picture
            flight.arrived(seat)
        elseif is_unknown_script(picture) then
            unknown[#unknown + 1] = seat
        else
            return nil, picture
        end
    end
    return unknown
end

-- Tell Redis the script, once for each seat that it was unknown to.
local function teach(socket, seats)
    for i = 1, #seats do
        local seat = seats[i]
        local question = seat.question
        local ok, reason = socket:send(command("EVAL", script, "0", question.kind, question.value, question.spelling, seat.known, own_spellings))
        local identity, picture
        if ok then
            identity, picture = read_answer(socket)
        end
        if identity == nil then
            return nil, picture or reason
        end
        seat.identity, seat.picture = identity, picture
    end
    return true
end

-- Ask for all seats of a flight; those that stay without an identity have no answer.
local function carry(seats)
    local socket, unknown, ok, reason
    socket, reason = redis.connect(address, TIMEOUT_MS)
    if not socket then
        return failed(reason)
    end
    unknown, reason = ask(socket, seats)
    if unknown then
        ok, reason = teach(socket, unknown)
    end
    if not ok then
        -- The connection may hold half an answer: it is not used again.
        socket:close()
        return failed(reason)
    end
    redis.release(socket)
    return true
end

flight.configure(function(seats)
    -- The flight before may have found that Redis is away.
    return not breaker:get("suspect") and carry(seats)
end)

-- Identity and picture (content_type, etag, body); nothing for a miss, and when Redis is away. Without
-- a picture when the identity is `known`, or is an original's that is not in Redis. `expected` is what
-- the identity was when it was asked last, if the picture is wanted.
function cache.lookup(question, known, expected)
    local is_allowed, is_suspect = allowed()
    if not address or not is_allowed then
        return nil
    end
    local seat
    if is_suspect then
        seat = flight.seat(question, known, expected)
        if carry({ seat }) then
            back()
        end
    else
        seat = flight.take(question, known, expected)
    end
    return seat.identity or nil, seat.picture
end

return cache
