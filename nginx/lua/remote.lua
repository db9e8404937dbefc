-- Originals behind a presigned URL: ours to the client, the store's bytes, nothing else of the store's.

local line = require "line"

local remote = {}

-- Headers of the API's answer that go to the client; header -> nginx's variable.
local KEPT = {
    ["Content-Type"] = "upstream_http_content_type",
    ["ETag"] = "upstream_http_etag",
    ["Cache-Control"] = "upstream_http_cache_control",
    ["Content-Disposition"] = "upstream_http_content_disposition",
    ["Vary"] = "upstream_http_vary",
}

-- Headers of the store's answer that describe its bytes.
local DESCRIBING = { ["content-length"] = true, ["content-range"] = true, ["accept-ranges"] = true }

-- Before the store is asked: keep what the API said, since the store's answer takes its place.
function remote.prepare()
    -- The API has done its work.
    line.leave()
    local var, kept = ngx.var, {}
    for header, name in pairs(KEPT) do
        kept[header] = var[name]
    end
    ngx.ctx.kept = kept
    var.remote_url = var.upstream_http_x_original_url
    -- The store knows its own ETag only, so that If-Range is judged here (RFC 9110 §13.1.5).
    local condition = var.http_if_range
    if not condition or condition == kept["ETag"] then
        var.remote_range = var.http_range or ""
    end
end

-- When the store has answered 200 or 206.
function remote.finish()
    local kept = ngx.ctx.kept
    if not kept then
        return
    end
    for name in pairs(ngx.resp.get_headers(0)) do
        if not DESCRIBING[name] then
            ngx.header[name] = nil
        end
    end
    for name, value in pairs(kept) do
        ngx.header[name] = value
    end
end

return remote
