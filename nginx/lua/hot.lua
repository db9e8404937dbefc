-- The hot path: a cached picture, or the original of a cached record, without the API.
--
-- `pointers` leads from a URL to the identity of a picture, for a second at most, since records
-- change. `memory` leads from an identity to the bytes; those never change.

local cache = require "cache"
local conditions = require "conditions"
local gate = require "gate"
local ids = require "ids"
local line = require "line"
local memory = require "memory"
local meter = require "meter"
local original = require "original"
local question = require "question"
local urls = require "urls"

local find, match, sub = string.find, string.match, string.sub

local hot = {}

local pointers = ngx.shared.pointers

-- Flags of a pointer; besides them it has what the gate demands, and the gate's epoch.
local BY_NAME, BY_SUM = 0, 1

local A_YEAR_S = 31536000
local FOR_EVER = "public, max-age=31536000, immutable"

local settings
local short_lived

-- Once, in the master process.
function hot.configure(values)
    assert(type(values.record_memory_s) == "number", "RECORD_MEMORY_S is not a number")
    settings = values
    short_lived = "public, max-age=" .. values.max_age_s .. ", must-revalidate"
    memory.configure()
    line.configure(values.render_places, values.render_wait_s)
    original.configure(values.originals)
    gate.configure(values.signing, values.variants)
    cache.configure(values.script, gate.own_spellings())
end

local function to_api(location)
    ngx.var.cache_state = "miss"
    return ngx.exec(location or "@api")
end

-- `nil` for one header, a table for several.
local function accept_class()
    local accept = ngx.req.get_headers()["accept"] or ""
    return question.accept_class(type(accept) == "table" and table.concat(accept, ",") or accept)
end

-- No cache may answer a signed URL for longer than we do, which is until `expires`.
local function cache_control(for_ever, expires)
    local left = expires and expires - ngx.time()
    if left and left < (for_ever and A_YEAR_S or settings.max_age_s) then
        return "public, max-age=" .. left .. (for_ever and ", immutable" or ", must-revalidate")
    end
    return for_ever and FOR_EVER or short_lived
end

local function set_headers(identity, flags, state, negotiated, expires)
    local header = ngx.header
    -- A watermark may be replaced, whatever it lies on.
    local for_ever = flags % 2 == BY_SUM and not find(identity, "#", 1, true)
    header["Cache-Control"] = cache_control(for_ever, expires)
    header["X-Cache"] = state
    if negotiated and find(identity, "format=auto", 1, true) then
        header["Vary"] = "Accept"
    end
end

local function send(uri, identity, picture, flags, state, negotiated, expires)
    if conditions.fail(picture.etag) then
        return ngx.exec("/_problem/precondition-failed")
    end
    local header = ngx.header
    header["Content-Type"] = picture.content_type
    header["ETag"] = picture.etag
    header["Content-Length"] = #picture.body
    set_headers(identity, flags, state, negotiated, expires)
    ngx.var.made_id = ids.next()
    -- nginx itself makes it a 304, or leaves the body away for HEAD.
    ngx.print(picture.body)
    -- Here, since a log handler would cost a cached picture 8 % (measured 2026-11).
    meter.add(uri, ngx.status, state)
end

-- The stored file itself, if this machine has it whole.
local function send_file(identity, flags, state, expires)
    local sha256, size, content_type = match(identity, "^(%x+)/original (%d+) (%S+)")
    local location = sha256 and original.find(sha256, tonumber(size))
    if not location then
        return to_api()
    end
    local etag = '"' .. sub(sha256, 1, 32) .. '"'
    if conditions.fail(etag) then
        return ngx.exec("/_problem/precondition-failed")
    end
    local header = ngx.header
    header["Content-Type"] = content_type
    header["ETag"] = etag
    set_headers(identity, flags, state, false, expires)
    return ngx.exec(location)
end

-- Whoever asks for a picture under rules: the answer that he gets instead, if any, and when his
-- signature expires.
local function refused(wanted, demand)
    local fault, expires = gate.fault(wanted)
    if not fault then
        return nil, expires
    end
    ngx.var.signature_fault = fault
    local has_key = ngx.var.http_authorization
    if demand == gate.WATCHED then
        if not has_key then
            meter.add_unsigned("report", fault)
        end
        return nil
    end
    -- Who has a key needs no signature, and the API knows the keys.
    if has_key then
        ngx.var.cache_state = "miss"
        return "@api"
    end
    meter.add_unsigned("enforce", fault)
    return "/_problem/" .. fault
end

local function answer(uri, wanted, identity, picture, flags, state, negotiated)
    local expires
    local demand = flags % 8 - flags % 2
    if demand ~= gate.OPEN then
        local instead
        instead, expires = refused(wanted, demand)
        if instead then
            return ngx.exec(instead)
        end
    end
    -- Ranges of originals are nginx's business; a rendition is small enough to go out whole.
    local is_range = find(identity, "/original ", 65, true) and ngx.var.http_range
    if picture and not is_range then
        return send(uri, identity, picture, flags, state, negotiated, expires)
    end
    return send_file(identity, flags, state, expires)
end

-- Whether the API may have to make a picture for it.
local function is_rendition(uri, wanted)
    return find(uri, "/image/read?", 1, true) and not (wanted and wanted.spelling == "")
end

local function to_api_in_turn(has_waited)
    if has_waited or line.enter() then
        return to_api("@rendition")
    end
    return ngx.exec("@line")
end

local function ask(uri, wanted, key, class, identity, picture, has_waited)
    local known = picture and identity or ""
    local expected = not picture and identity or nil
    local found, fetched = cache.lookup(wanted, known, expected)
    if not found or not (fetched or found == known or find(found, "/original ", 65, true)) then
        if is_rendition(uri, wanted) then
            return to_api_in_turn(has_waited)
        end
        return to_api()
    end
    if has_waited then
        line.leave()
    end
    local flags = (wanted.kind == "sum" and BY_SUM or BY_NAME) + gate.epoch
    if gate.is_closed then
        flags = flags + gate.demand(match(found, "%S+$"), wanted.spelling)
    end
    if key and (found ~= identity or settings.record_memory_s > 0) then
        pointers:set(key, found, settings.record_memory_s, flags)
    end
    if fetched then
        memory.remember(found, fetched)
    end
    return answer(uri, wanted, found, fetched or (found == known and picture), flags, "redis", class)
end

local function look(has_waited)
    local method = ngx.req.get_method()
    if method ~= "GET" and method ~= "HEAD" then
        return ngx.exec("@api")
    end
    local uri = ngx.var.request_uri
    local url = urls.of(uri)
    if url.is_odd then
        return is_rendition(uri) and to_api_in_turn(has_waited) or to_api()
    end
    local class = url.is_negotiable and accept_class() or nil
    local asked = urls.asked(url, uri, class)
    local key = asked.key
    local identity, flags, is_stale
    if key then
        identity, flags, is_stale = pointers:get_stale(key)
    end
    flags = flags or BY_NAME
    local picture = identity and memory.recall(identity)
    if identity and not is_stale and settings.record_memory_s > 0 and flags - flags % 8 == gate.epoch then
        if picture or find(identity, "/original ", 65, true) then
            if has_waited then
                line.leave()
            end
            local wanted = flags % 8 > BY_SUM and urls.wanted(asked, uri, class)
            return answer(uri, wanted, identity, picture, flags, "memory", class)
        end
    end
    local wanted = urls.wanted(asked, uri, class)
    if not wanted then
        return is_rendition(uri) and to_api_in_turn(has_waited) or to_api()
    end
    return ask(uri, wanted, key, class, identity, picture, has_waited)
end

-- Content handler: answers, or hands over to the API.
function hot.answer()
    return look(false)
end

-- Content handler of what has to wait for its turn in the API. Then it looks again whether the picture is there
-- now: others may have waited for it too.
function hot.wait()
    local place, problem = line.wait()
    if not place then
        return ngx.exec("/_problem/" .. problem)
    end
    return look(true)
end

return hot
