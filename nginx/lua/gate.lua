-- Who may have what nginx answers itself: the rules of domains, and the signatures of URLs. Everything
-- that nginx does not answer is judged by the API (api/signatures.py).

local rules = require "rules"
local signature = require "signature"

local find = string.find

local gate = {}

-- What is demanded of a URL: nothing, a signature, or a word in the log if there is none.
gate.OPEN, gate.SIGNED, gate.WATCHED = 0, 2, 4

local OF_MODE = { off = gate.OPEN, enforce = gate.SIGNED, report = gate.WATCHED }

local modes, other_mode = {}, "off"
local variants, other_variants = {}, "any"

-- Changes with the rules, so that what was remembered under others is not believed: the memory of
-- nginx outlives a reload. A multiple of 8, so that the flags of a pointer have room below it.
gate.epoch = 0

-- Whether any domain demands anything.
gate.is_closed = false

local function keys_of_environment()
    local path = os.getenv("SIGNING_KEYS_FILE")
    local keys = os.getenv("SIGNING_KEYS")
    if path and path ~= "" and (not keys or keys == "") then
        local file = assert(io.open(path))
        keys = file:read("*a")
        file:close()
    end
    return keys or ""
end

-- Whether a rule of some domain closes it.
local function closes(named, otherwise, of_rule)
    local closed = of_rule(otherwise)
    for _, rule in pairs(named) do
        closed = of_rule(rule) or closed
    end
    return closed
end

-- Once, in the master process. The texts are those of the settings SIGNING and VARIANTS.
function gate.configure(signing_text, variants_text)
    modes, other_mode = rules.parse(signing_text, "off")
    variants, other_variants = rules.parse(variants_text, "any")
    gate.is_closed = closes(modes, other_mode, function(mode)
        return assert(OF_MODE[mode], "SIGNING has an unknown mode") > gate.OPEN
    end) or closes(variants, other_variants, function(rule)
        return rule == "signed"
    end)
    if signing_text .. variants_text ~= "" then
        gate.epoch = 8 * (1 + ngx.crc32_long(signing_text .. "|" .. variants_text) % 2 ^ 28)
    end
    if gate.is_closed then
        signature.configure(keys_of_environment())
    end
end

-- The domains with a rule of their own about renditions, each between blanks.
function gate.own_spellings()
    local domains = " "
    for domain in pairs(variants) do
        domains = domains .. domain .. " "
    end
    return domains
end

-- What is demanded of those who want a picture of `domain` in a rendition.
function gate.demand(domain, spelling)
    local rule = variants[domain] or other_variants
    if rule == "signed" and spelling ~= "" and not find(spelling, "^preset=[a-z0-9_-]+|?%a*$") then
        return gate.SIGNED
    end
    return OF_MODE[modes[domain] or other_mode]
end

-- What keeps the asker from what he asks for, if anything, and when his signature expires, if ever.
-- The signature is looked at once for each URL that the worker knows, its time always.
function gate.fault(question)
    if not question.is_judged then
        question.fault, question.expires = signature.fault(question.path, question.given, question.signed)
        question.is_judged, question.given, question.signed = true, nil, nil
    end
    if question.expires and question.expires <= ngx.time() then
        return "signature-expired"
    end
    return question.fault, question.expires
end

-- Whether a raw URI may have a signature.
function gate.is_signed(uri)
    return find(uri, "sig=", 1, true)
end

return gate
