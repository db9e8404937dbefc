-- What this worker knows of the URLs that it was asked for: to look one up takes a hundredth of the
-- time of taking it apart.

local gate = require "gate"
local question = require "question"

local find = string.find
local concat = table.concat

local urls = {}

local MAX_KEY_BYTES = 1024
local MAX_YOUNG = 1000

-- By raw URI, in two generations: when there are too many young ones, the old ones go. A crowd of
-- URLs that are asked for once pushes out no other that is in use.
local young, old, born = {}, {}, 0

-- A URL is ASCII (RFC 3986 §2): gunicorn refuses others, so the cache must not answer them.
local function study(uri)
    return { is_odd = find(uri, "[^\33-\126]") ~= nil, is_negotiable = question.is_negotiable(uri) ~= nil }
end

-- What is known of a raw URI: is_odd (only the API can tell what it means) and is_negotiable (its
-- meaning depends on the Accept header). `urls.asked` tells more; info.lua keeps its question beside them.
function urls.of(uri)
    local url = young[uri]
    if url then
        return url
    end
    url = old[uri] or study(uri)
    if #uri <= MAX_KEY_BYTES then
        if born >= MAX_YOUNG then
            young, old, born = {}, young, 0
        end
        young[uri] = url
        born = born + 1
    end
    return url
end

-- What a client of that class asks for by the URL: `key`, under which its answer is remembered, or
-- nothing where it is too long; and, once it was taken apart, `wanted` (false: only the API can tell).
function urls.asked(url, uri, class)
    local asked = url[class or 1]
    if asked then
        return asked
    end
    asked = { key = class and uri .. "|" .. class or uri }
    if gate.is_signed(uri) then
        local wanted = urls.wanted(asked, uri, class)
        -- All signed URLs of one picture have one answer.
        asked.key = wanted and concat({ wanted.kind, wanted.value, wanted.spelling }, "\n")
    end
    if asked.key and #asked.key > MAX_KEY_BYTES then
        asked.key = nil
    end
    url[class or 1] = asked
    return asked
end

-- The question (question.lua) that it is, or false.
function urls.wanted(asked, uri, class)
    if asked.wanted == nil then
        asked.wanted = question.parse(uri, class or "") or false
    end
    return asked.wanted
end

return urls
