-- What nginx counts, in the text format of Prometheus.
--
-- Each worker counts in a table of its own and adds it to the shared dictionary once a second: an
-- increment of a table costs no lock (docs/operations.md has what the hot path pays).

local line = require "line"

local format, match, sub = string.format, string.match, string.sub

local meter = {}

local shared = ngx.shared.counters

local FLUSH_S = 1
-- What a worker says of its line counts for so long: one that was killed says no more.
local NEWS_S = 3

-- Paths that are a route as they stand, and first segments behind which everything is one.
local ROUTES = {
    ["/"] = "/", ["/image/read"] = "/image/read", ["/image/info"] = "/image/info", ["/images"] = "/images",
    ["/image/upload"] = "/image/upload", ["/image/download"] = "/image/download", ["/tasks"] = "/tasks",
    ["/metrics"] = "/metrics", ["/overview"] = "/overview", ["/rq"] = "/rq",
}
local BELOW = {
    image = "/image/*", images = "/images/*", tasks = "/tasks/*", health = "/health/*", rq = "/rq/*",
    docs = "/docs/*", console = "/console/*", problems = "/problems/*",
}

-- Route -> cache -> status -> requests since the last flush.
local requests = {}
-- Key in the shared dictionary -> requests since the last flush.
local UNSIGNED = "unsigned\n"
local unsigned = {}

local REFUSED, WAITING = "refused", "waiting "
local has_waiting = false

-- Never what a client wrote: each new word would be a new line of the page.
local function route_of(uri)
    if sub(uri, 1, 12) == "/image/read?" then
        return "/image/read"
    end
    local path = match(uri, "^[^?]*")
    if sub(path, 1, 4) == "/v1/" then
        path = sub(path, 4)
    end
    local route = ROUTES[path]
    if route then
        return route
    end
    local first = match(path, "^/([^/]+)/.")
    return first and (BELOW[first] or "/{domain}/{dkey}") or "none"
end

-- Count an answer. `cache` is what X-Cache says, or nothing.
function meter.add(uri, status, cache)
    local route = route_of(uri)
    local caches = requests[route]
    if not caches then
        caches = {}
        requests[route] = caches
    end
    local statuses = caches[cache]
    if not statuses then
        statuses = {}
        caches[cache] = statuses
    end
    statuses[status] = (statuses[status] or 0) + 1
end

-- Count a request without a valid signature: `mode` is enforce (it was refused) or report.
function meter.add_unsigned(mode, problem)
    local key = UNSIGNED .. mode .. "\n" .. problem
    unsigned[key] = (unsigned[key] or 0) + 1
end

-- Log handler, of all locations but those that answer by Lua and count themselves.
function meter.count()
    local var = ngx.var
    meter.add(var.request_uri or "", ngx.status, var.sent_http_x_cache or "")
end

-- Where nobody waits this touches nothing that is shared.
local function flush_line()
    local waiting, refused = line.news()
    if refused > 0 then
        shared:incr(REFUSED, refused, 0)
    end
    if waiting > 0 or has_waiting then
        shared:set(WAITING .. ngx.worker.pid(), waiting, NEWS_S)
    end
    has_waiting = waiting > 0
end

local function flush()
    flush_line()
    for route, caches in pairs(requests) do
        for cache, statuses in pairs(caches) do
            for status, count in pairs(statuses) do
                shared:incr(route .. "\n" .. cache .. "\n" .. status, count, 0)
            end
        end
    end
    requests = {}
    for key, count in pairs(unsigned) do
        shared:incr(key, count, 0)
    end
    unsigned = {}
end

-- Once in each worker. At its end the timer comes a last time.
function meter.begin()
    assert(ngx.timer.every(FLUSH_S, flush))
end

local HEAD = [[
# HELP imagestore_nginx_requests_total Requests that nginx answered, by route, status and which cache had it
# TYPE imagestore_nginx_requests_total counter
]]

local UNSIGNED_HEAD = [[
# HELP imagestore_nginx_unsigned_total Requests whose signature nginx found missing, wrong or expired
# TYPE imagestore_nginx_unsigned_total counter
]]

local NOW = [[
# HELP imagestore_nginx_waiting Requests that wait in nginx for a place in the API (RENDER_PLACES)
# TYPE imagestore_nginx_waiting gauge
imagestore_nginx_waiting %d
# HELP imagestore_nginx_refused_total Requests that waited for a place until nginx refused them, or found the line full
# TYPE imagestore_nginx_refused_total counter
imagestore_nginx_refused_total %.0f
# HELP imagestore_nginx_connections Connections of clients, by what they do
# TYPE imagestore_nginx_connections gauge
imagestore_nginx_connections{state="active"} %d
imagestore_nginx_connections{state="reading"} %d
imagestore_nginx_connections{state="waiting"} %d
imagestore_nginx_connections{state="writing"} %d
]]

-- All counters of all workers as text, those of other workers up to a second old.
function meter.page()
    flush()
    local lines, unsigned_lines, waiting = {}, {}, 0
    for _, key in ipairs(shared:get_keys(0)) do
        local route, cache, status = match(key, "^(.*)\n(.*)\n(.*)$")
        if sub(key, 1, #UNSIGNED) == UNSIGNED then
            table.insert(unsigned_lines, format('imagestore_nginx_unsigned_total{mode="%s",problem="%s"} %.0f\n',
                cache, status, shared:get(key)))
        elseif sub(key, 1, #WAITING) == WAITING then
            -- It may be over just now.
            waiting = waiting + (shared:get(key) or 0)
        elseif route then
            table.insert(lines, format('imagestore_nginx_requests_total{route="%s",status="%s",cache="%s"} %.0f\n',
                route, status, cache, shared:get(key)))
        end
    end
    table.sort(lines)
    table.sort(unsigned_lines)
    local var = ngx.var
    return HEAD .. table.concat(lines) .. UNSIGNED_HEAD .. table.concat(unsigned_lines)
        .. format(NOW, waiting, shared:get(REFUSED) or 0, var.connections_active, var.connections_reading,
            var.connections_waiting, var.connections_writing)
end

-- Pictures that went out, by the cache that had them, as `memory=3 miss=1 redis=2`; for the API's overview.
function meter.pictures()
    flush()
    local sums = {}
    for _, key in ipairs(shared:get_keys(0)) do
        local route, cache, status = match(key, "^(.*)\n(.*)\n(.*)$")
        if (route == "/image/read" or route == "/{domain}/{dkey}") and cache ~= "" and match(status, "^[23]") then
            sums[cache] = (sums[cache] or 0) + shared:get(key)
        end
    end
    local words = {}
    for cache, sum in pairs(sums) do
        table.insert(words, format("%s=%.0f", cache, sum))
    end
    return table.concat(words, " ")
end

-- Content handler: nginx' own counters alone.
function meter.answer()
    ngx.header["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
    ngx.header["Cache-Control"] = "no-store"
    ngx.print(meter.page())
end

-- Filters: the same below the page of the API.
function meter.announce()
    if ngx.status == 200 then
        ngx.header["Content-Length"] = nil
    end
end

function meter.append()
    if ngx.status == 200 and ngx.arg[2] then
        ngx.arg[1] = (ngx.arg[1] or "") .. meter.page()
    end
end

return meter
