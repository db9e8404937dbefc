-- Which Redis is the master, as Sentinels tell it.
--
-- Nobody waits for them: they are asked in the background, at the start and when Redis has failed, while
-- requests go to the API as they do whenever Redis is away. What one worker learns all take over.

local redis = require "redis"

local find, match = string.find, string.match

local sentinel = {}

-- For a connect, and for each answer.
local TIMEOUT_MS = 200
local LOOK_S = 1

-- Next to the breaker, which is forgotten by the same occasions.
local shared = ngx.shared.breaker

local turn = 0

-- Take over what is known of `address` by now; whether that is news to this worker.
function sentinel.follow(address)
    local known = address.sentinels and shared:get("master")
    if not known or known == address.known then
        return false
    end
    address.known = known
    address.host, address.port = match(known, "^(%S+) (%d+)$")
    address.port = tonumber(address.port)
    return true
end

local function named_by(place, address)
    local socket, reason = redis.connect({
        host = place.host,
        port = place.port,
        user = address.sentinel_user,
        password = address.sentinel_password,
        db = 0,
    }, TIMEOUT_MS)
    if not socket then
        return nil, reason
    end
    local line, host, port
    line, reason = socket:send(redis.command("SENTINEL", "get-master-addr-by-name", address.master))
    if line then
        line, reason = socket:receive()
    end
    if line == "*2" then
        host, reason = redis.read_text(socket)
        if host then
            port, reason = redis.read_text(socket)
        end
    end
    socket:close()
    if not port then
        return nil, line == "*-1" and "it knows no such master" or reason or line
    end
    -- Sentinels write an address of IPv6 without brackets, and nginx reads it with them.
    return (find(host, ":", 1, true) and "[" .. host .. "]" or host) .. " " .. port
end

-- Each time another one is first: one that is cut off from the others may name the old master for long.
local function ask(premature, address)
    local reasons = {}
    for i = 1, premature and 0 or #address.sentinels do
        local place = address.sentinels[(turn + i) % #address.sentinels + 1]
        local name, reason = named_by(place, address)
        if name then
            turn = turn + 1
            if name ~= shared:get("master") then
                shared:set("master", name)
                -- No need to wait for the end of the pause.
                shared:delete("open")
                shared:delete("trying")
                ngx.log(ngx.ERR, "the Sentinels say that the master is ", name)
            end
            sentinel.follow(address)
            return
        end
        reasons[i] = place.host .. ": " .. tostring(reason)
    end
    if not premature then
        ngx.log(ngx.ERR, "no Sentinel names the master; ", table.concat(reasons, ", "))
    end
end

-- Ask in the background.
function sentinel.ask(address)
    if address.sentinels then
        ngx.timer.at(0, ask, address)
    end
end

-- Once in each worker.
function sentinel.watch(address)
    if not address.sentinels then
        return
    end
    if not sentinel.follow(address) and ngx.worker.id() == 0 then
        sentinel.ask(address)
    end
    assert(ngx.timer.every(LOOK_S, function() sentinel.follow(address) end))
end

return sentinel
