-- From a raw request URI to what Redis is asked. What is odd in any way is not asked: the API judges it.
-- imagestore/spelling.py cuts queries in the same way; the two must agree byte for byte.

local signature = require "signature"

local byte, char, find, gmatch, gsub, lower, match, sub =
    string.byte, string.char, string.find, string.gmatch, string.gsub, string.lower, string.match, string.sub
local concat = table.concat

local question = {}

local MAX_SPELLING_BYTES = 512
-- 255 characters of up to 4 bytes.
local MAX_DKEY_BYTES = 1020

-- First segments that are routes (imagestore/names.py), so that asking for them as domains is in vain.
local RESERVED = {}
for name in gmatch("audit console docs domains health iiif image images keys metrics overview problems rq signed-urls static tasks upload-tokens v1", "%S+") do
    RESERVED[name] = true
end

-- Without blanks around it. One pattern for both ends takes time with the square of the length, and
-- a header of 8 KB would hold up all that this nginx worker has to do.
local function strip(text)
    local first, last = find(text, "%S"), #text
    if not first then
        return ""
    end
    while find(text, "^%s", last) do
        last = last - 1
    end
    return sub(text, first, last)
end

-- The best picture type that an Accept header names, as Rendition.negotiated has it.
function question.accept_class(accept)
    local named = {}
    for element in gmatch(lower(accept), "[^,]+") do
        local weight
        local media_type = strip(match(element, "^[^;]*"))
        for parameter in gmatch(element, ";([^;]*)") do
            weight = weight or match(strip(parameter), "^q=%s*(.*)$")
        end
        if not weight or find(weight, "[^0.]") then
            named[media_type] = true
        end
    end
    return named["image/avif"] and "avif" or named["image/webp"] and "webp" or ""
end

-- Whether what a URL means may depend on the Accept header.
function question.is_negotiable(uri)
    return find(uri, "auto", 1, true) or find(uri, "preset=", 1, true)
end

-- id or sum, its value, and the spelling of the rendition.
local function of_query(elements, class)
    local kind, value
    local rest, n = {}, 0
    for i = 1, #elements do
        local element = elements[i]
        local name = sub(element, 1, 3) == "id=" and "id" or sub(element, 1, 4) == "sum=" and "sum"
        if name then
            if kind then
                return nil
            end
            kind, value = name, sub(element, #name + 2)
        else
            n = n + 1
            rest[n] = element
        end
    end
    local is_id = kind == "id" and #value <= 18 and find(value, "^[1-9]%d*$")
    local is_sum = kind == "sum" and (#value == 32 or #value == 64) and not find(value, "[^0-9a-f]")
    if not (is_id or is_sum) then
        return nil
    end
    local spelling = concat(rest, "&")
    if find(spelling, "^&*$") then
        return kind, value, ""
    end
    if question.is_negotiable(spelling) then
        spelling = spelling .. "|" .. class
    end
    if #spelling > MAX_SPELLING_BYTES then
        return nil
    end
    return kind, value, spelling
end

local function of_name(path)
    local domain, dkey = match(path, "^/([a-z0-9][a-z0-9._-]*)/(.+)$")
    if not domain or #domain > 16 or RESERVED[domain] or #dkey > 3 * MAX_DKEY_BYTES then
        return nil
    end
    -- Once, and a plus is a plus: this is a path.
    dkey = gsub(dkey, "%%(%x%x)", function(digits)
        return char(tonumber(digits, 16))
    end)
    if #dkey > MAX_DKEY_BYTES then
        return nil
    end
    return "key", domain .. "/" .. dkey, ""
end

-- `domain=&dkey=` in this or the other order.
local function of_names(elements)
    local first, second = elements[1], elements[2]
    if #elements ~= 2 or find(first .. second, "+", 1, true) then
        return nil
    end
    if sub(first, 1, 5) == "dkey=" then
        first, second = second, first
    end
    if sub(first, 1, 7) ~= "domain=" or sub(second, 1, 5) ~= "dkey=" then
        return nil
    end
    return of_name("/" .. sub(first, 8) .. "/" .. sub(second, 6))
end

-- The image whose description `uri` asks for, without a signature: as `question.parse`.
function question.parse_info(uri)
    local elements, given = signature.split(match(uri, "?(.*)$") or "")
    if not elements or given then
        return nil
    end
    local kind, value, spelling = of_query(elements, "")
    if not kind then
        kind, value, spelling = of_names(elements)
    end
    -- A line feed is in no URL, so no client can ask for this spelling.
    return spelling == "" and { kind = kind, value = value, spelling = "\n" }
end

-- What `uri` asks for: kind (id, sum, key), value and spelling; nothing if the API shall judge it.
-- Also what a signature is made of: the decoded path, its parameters, and all signed elements.
function question.parse(uri, class)
    if byte(uri, 2) == 118 and sub(uri, 1, 4) == "/v1/" then
        uri = sub(uri, 4)
    end
    local mark = find(uri, "?", 1, true)
    local path = mark and sub(uri, 1, mark - 1) or uri
    local elements, given, signed = signature.split(mark and sub(uri, mark + 1) or "")
    if not elements then
        return nil
    end
    local kind, value, spelling
    if path == "/image/read" then
        kind, value, spelling = of_query(elements, class)
    elseif #elements == 0 or not mark then
        kind, value, spelling = of_name(path)
        path = kind and "/" .. value
    end
    if not kind then
        return nil
    end
    return { kind = kind, value = value, spelling = spelling, path = path, given = given, signed = signed }
end

return question
