-- The part of the Redis protocol (RESP2) that the hot path needs, on one of nginx's own sockets.
--
-- Debian's lua-nginx-redis builds a table per word and copies each picture twice more; for a picture
-- of 20 KB that was a third of the worker's time (measured with `perf`, 2026-11).

local byte, match, sub = string.byte, string.match, string.sub
local concat = table.concat

local redis = {}

local IDLE_MS = 60000
local POOL_SIZE = 64
local SENTINEL_PORT = 26379
local DOLLAR, MINUS, STAR = byte("$"), byte("-"), byte("*")

local function unescape(text)
    return (string.gsub(text, "%%(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

local function split_place(authority, default_port)
    local host, port = match(authority, "^(%[.-%]):?(%d*)$")
    if not host then
        host, port = match(authority, "^(.-):?(%d*)$")
    end
    -- nginx's resolver asks name servers only, and not /etc/hosts.
    host = (host == "localhost" or host == "") and "127.0.0.1" or host
    return host, tonumber(port) or default_port
end

-- host[:port][,host[:port]...]/master[/db][?sentinel_username=...&sentinel_password=...]; nothing if it is not that.
local function read_sentinels(found, place, query)
    local places, master, db = match(place, "^([^/]+)/([%w._-]+)/?(%d*)$")
    if not places then
        return nil
    end
    found.sentinels, found.master, found.db = {}, master, tonumber(db) or 0
    for authority in string.gmatch(places, "[^,]+") do
        local host, port = split_place(authority, SENTINEL_PORT)
        found.sentinels[#found.sentinels + 1] = { host = host, port = port }
    end
    local user = match(query, "sentinel_username=([^&]*)")
    local password = match(query, "sentinel_password=([^&]*)")
    found.sentinel_user = unescape(user or "")
    found.sentinel_password = password and unescape(password)
    return found
end

-- redis://[user:password@]host[:port][/db], unix://[user:password@]/path[?db=n], or redis+sentinel:// as
-- imagestore/redisurl.py describes it; nothing for others.
function redis.parse_url(url)
    local scheme, rest = match(url or "", "^([%a+]+)://(.*)$")
    if scheme ~= "redis" and scheme ~= "unix" and scheme ~= "redis+sentinel" then
        return nil
    end
    local found = {}
    local login, behind = match(rest, "^([^@]*)@(.*)$")
    if login then
        local user, password = match(login, "^([^:]*):?(.*)$")
        found.user, found.password = unescape(user), unescape(password)
        rest = behind
    end
    local place, query = match(rest, "^([^?]*)%??(.*)$")
    if scheme == "redis+sentinel" then
        return read_sentinels(found, place, query)
    end
    found.db = tonumber(match(query, "db=(%d+)")) or 0
    if scheme == "unix" then
        found.host = "unix:" .. unescape(place)
        return found
    end
    local authority, db = match(place, "^([^/]*)/?(%d*)")
    found.host, found.port = split_place(authority, 6379)
    found.db = tonumber(db) or found.db
    return found
end

-- One command, as it goes over the wire.
function redis.command(...)
    local words = { ... }
    for i = 1, #words do
        words[i] = "$" .. #words[i] .. "\r\n" .. words[i]
    end
    return "*" .. #words .. "\r\n" .. concat(words, "\r\n") .. "\r\n"
end

local function greet(socket, address)
    local greetings = {}
    if address.password then
        local user = address.user ~= "" and address.user or "default"
        greetings[1] = redis.command("AUTH", user, address.password)
    end
    if address.db ~= 0 then
        greetings[#greetings + 1] = redis.command("SELECT", tostring(address.db))
    end
    if #greetings == 0 then
        return socket
    end
    local ok, reason = socket:send(greetings)
    for _ = 1, ok and #greetings or 0 do
        local line
        line, reason = socket:receive()
        if line ~= "+OK" then
            return nil, line or reason
        end
    end
    return ok and socket, reason
end

-- A connection, new or from the pool; nothing and a reason after `timeout_ms`.
function redis.connect(address, timeout_ms)
    if not address.host then
        return nil, "no Sentinel has named the master yet"
    end
    local socket = ngx.socket.tcp()
    socket:settimeout(timeout_ms)
    local ok, reason
    if address.port then
        ok, reason = socket:connect(address.host, address.port)
    else
        ok, reason = socket:connect(address.host)
    end
    if ok and socket:getreusedtimes() == 0 then
        return greet(socket, address)
    end
    return ok and socket, reason
end

-- Back to the pool. Only for a connection whose replies have all been read.
function redis.release(socket)
    socket:setkeepalive(IDLE_MS, POOL_SIZE)
end

-- A reply that is a text, false for none; or nothing and a reason. An array of two gives its first,
-- and true: its second is still to be read.
function redis.read_text(socket)
    local line, reason = socket:receive()
    if not line then
        return nil, reason
    end
    local kind = byte(line)
    if kind == MINUS then
        return nil, sub(line, 2)
    end
    if kind == STAR then
        local text
        text, reason = redis.read_text(socket)
        return text, text and true or reason
    end
    local size = kind == DOLLAR and tonumber(sub(line, 2))
    if not size then
        return nil, "not understood"
    end
    if size < 0 then
        return false
    end
    local text
    text, reason = socket:receive(size + 2)
    return text and sub(text, 1, size), reason
end

-- A reply that is a picture as imagestore/cachewords.py writes it: content type, ETag and bytes;
-- false for none; or nothing and a reason.
function redis.read_picture(socket)
    local line, reason = socket:receive()
    if not line or byte(line) ~= DOLLAR then
        return nil, reason or line
    end
    local size = tonumber(sub(line, 2))
    if size < 0 then
        return false
    end
    local content_type, etag, body
    content_type, reason = socket:receive()
    if content_type then
        etag, reason = socket:receive()
    end
    local rest = etag and size - #content_type - #etag - 2
    if rest and rest < 0 then
        return nil, "not understood"
    end
    if rest then
        body, reason = socket:receive(rest)
    end
    if not body or not socket:receive(2) then
        return nil, reason or "cut short"
    end
    return { content_type = content_type, etag = etag, body = body }
end

return redis
