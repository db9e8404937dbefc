-- Conditions of a request that nginx must not judge itself.
--
-- nginx begins the answer to a failed condition in the middle of a header filter; with Lua at work in
-- the same request its workers crash then, some requests later (nginx 1.22.1, lua 0.10.23). So the two
-- conditions that can fail are judged here and taken away; If-None-Match and If-Range stay with nginx.

local find, gmatch = string.find, string.gmatch

local conditions = {}

local function lists(condition, etag)
    if find(condition, "^%s*%*%s*$") then
        return true
    end
    for weak, listed in gmatch(condition, '(W?/?)("[^"]*")') do
        if weak == "" and listed == etag then
            return true
        end
    end
    return false
end

-- Whether If-Match (strong comparison, RFC 9110 §13.1.1) forbids to answer with `etag`.
-- If-Unmodified-Since is ignored: our pictures have no date (§13.1.4).
function conditions.fail(etag)
    local var = ngx.var
    if var.http_if_unmodified_since then
        ngx.req.clear_header("If-Unmodified-Since")
    end
    local condition = var.http_if_match
    if not condition then
        return false
    end
    ngx.req.clear_header("If-Match")
    return not lists(condition, etag)
end

return conditions
