-- What is known of an image, as JSON, from its cached record. Redis is asked each time: who has changed an
-- image sees it at once.

local cache = require "cache"
local gate = require "gate"
local ids = require "ids"
local meter = require "meter"
local question = require "question"
local urls = require "urls"

local info = {}

-- The description, unless the API has to look: who may see it, or what it is.
local function lookup(uri)
    local url = urls.of(uri)
    if url.info == nil then
        url.info = not url.is_odd and question.parse_info(uri) or false
    end
    if not url.info then
        return nil
    end
    local domain, description = cache.lookup(url.info, "")
    if description and gate.demand(domain, "") == gate.OPEN then
        return description
    end
    return nil
end

-- Whether it is a plain request to read. Conditions that can fail are not nginx's business (conditions.lua).
local function is_plain(var)
    local method = ngx.req.get_method()
    return (method == "GET" or method == "HEAD") and not var.http_if_match and not var.http_if_unmodified_since
end

-- Content handler: answers, or hands over to the API.
function info.answer()
    local uri = ngx.var.request_uri
    local description = is_plain(ngx.var) and lookup(uri)
    if not description then
        ngx.var.cache_state = "miss"
        return ngx.exec("@api")
    end
    local header = ngx.header
    header["Content-Type"] = description.content_type
    header["ETag"] = description.etag
    header["Content-Length"] = #description.body
    header["Cache-Control"] = "no-cache"
    header["X-Cache"] = "redis"
    ngx.var.made_id = ids.next()
    ngx.print(description.body)
    meter.add(uri, ngx.status, "redis")
end

return info
