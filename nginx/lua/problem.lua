-- The answers to errors that nginx itself makes, as api/errors.py has them (RFC 9457).

local format, match = string.format, string.match

local problem = {}

local PROBLEMS = {
    ["invalid-request"] = { 400, "The request cannot be understood", "the request line, a header or the framing is not valid HTTP" },
    ["forbidden"] = { 403, "This is not allowed", "this address may not ask for this" },
    ["signature-invalid"] = { 403, "The URL is not signed, or not rightly", "the signature is missing, or not of this URL by one of the keys" },
    ["signature-expired"] = { 403, "The URL's time is over", "the URL was valid until the time in its parameter expires" },
    ["not-found"] = { 404, "Nothing is there", "there is no such route" },
    ["method-not-allowed"] = { 405, "The method is not allowed here", "the method is not one of those in Allow" },
    ["request-timeout"] = { 408, "The request took too long to arrive", "send it faster" },
    ["precondition-failed"] = { 412, "A precondition does not hold", "If-Match names another ETag than this picture has" },
    ["payload-too-large"] = { 413, "The body is too large", "the body is over %s bytes" },
    ["uri-too-long"] = { 414, "The request line is too long", "the request line is over 8 KiB" },
    ["range-not-satisfiable"] = { 416, "The range is outside the picture", "Content-Range has the length in bytes" },
    ["rate-limited"] = { 429, "Too many requests", "too many requests or connections from this address" },
    ["headers-too-large"] = { 431, "The request headers are too large", "one is over 8 KiB, or all are over 32 KiB" },
    ["internal-error"] = { 500, "Something is wrong with this server", "an unexpected error; the log has it under this request id" },
    ["overloaded"] = { 503, "The server has too much to do", "no worker takes this request now" },
    ["storage-unavailable"] = { 503, "The storage does not answer", "the original cannot be read now" },
}

local BY_STATUS = {}
for name, entry in pairs(PROBLEMS) do
    BY_STATUS[entry[1]] = name
end
BY_STATUS[403] = "forbidden"
BY_STATUS[503] = "overloaded"

-- Headers that an answer which came to nothing may have left behind.
local LEFT_OVER = {
    "ETag", "Cache-Control", "Content-Disposition", "Content-Security-Policy", "Content-Length",
    "Cross-Origin-Resource-Policy", "Vary", "X-Cache", "X-Content-Type-Options", "X-Request-Id",
}

-- Once, in the master process.
function problem.configure(max_body)
    local entry = PROBLEMS["payload-too-large"]
    entry[3] = format(entry[3], max_body)
end

-- Content handler: the problem that the location names, or else the one of the status.
function problem.answer()
    local name = match(ngx.var.uri, "^/_problem/(.+)$") or BY_STATUS[ngx.status] or "invalid-request"
    if name == "remote" then
        -- Without any upstream it was a client that asked for an internal location.
        name = ngx.var.upstream_status and "storage-unavailable" or "not-found"
    end
    local status, title, detail = unpack(PROBLEMS[name])
    for _, header in ipairs(LEFT_OVER) do
        ngx.header[header] = nil
    end
    ngx.status = status
    ngx.header["Content-Type"] = "application/problem+json"
    local body = format('{"type": "/problems/%s", "title": "%s", "status": %d, "detail": "%s", "instance": "%s"}',
        name, title, status, detail, ngx.var.id_of_request)
    ngx.header["Content-Length"] = #body
    ngx.print(body)
end

return problem
