-- Stored originals: where they are, and what nginx must know before it sends one.

local conditions = require "conditions"
local line = require "line"

local sub = string.sub

local original = {}

local root

function original.configure(folder)
    root = folder
end

local function size_of(path)
    local file = io.open(path, "rb")
    if not file then
        return nil
    end
    local size = file:seek("end")
    file:close()
    return size
end

-- Originals that this worker has found whole, and when. Their files never change, but a disk may lose
-- them, so that each is looked at again after a second.
local found_at, found = {}, 0
local MAX_FOUND = 1000

-- The internal location of an original of `size` bytes; nothing if it is not here, or not whole.
function original.find(sha256, size)
    local path = "/" .. sub(sha256, 1, 2) .. "/" .. sub(sha256, 3, 4) .. "/" .. sha256
    local now = ngx.now()
    -- In the future is before the clock was set back.
    if math.abs(now - (found_at[path] or 0)) > 1 then
        if size_of(root .. path) ~= size then
            return nil
        end
        if found >= MAX_FOUND then
            found_at, found = {}, 0
        end
        found = found_at[path] and found or found + 1
        found_at[path] = now
    end
    return "/_found" .. path
end

-- Before nginx opens the file: the ETag of an answer of the API becomes nginx's own, by which it
-- judges If-None-Match and If-Range (etag off: it would take the file's time instead).
function original.prepare()
    -- The API has done its work.
    line.leave()
    local etag = ngx.var.upstream_http_etag
    if etag then
        ngx.header["ETag"] = etag
        if not size_of(root .. sub(ngx.var.uri, #"/_original" + 1)) then
            return ngx.exec("/_problem/storage-unavailable")
        end
    end
    if conditions.fail(etag) then
        return ngx.exec("/_problem/precondition-failed")
    end
end

return original
