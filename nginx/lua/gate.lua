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

-- Once, in the master process.
function gate.configure(signing)
    modes, other_mode = rules.parse(signing, "off")
    local demands = { OF_MODE[other_mode] }
    for _, mode in pairs(modes) do
        demands[#demands + 1] = OF_MODE[mode]
        assert(OF_MODE[mode], "SIGNING has an unknown mode")
    end
    gate.is_closed = math.max(unpack(demands)) > gate.OPEN
    if gate.is_closed then
        gate.epoch = 8 * (1 + ngx.crc32_long(signing) % 2 ^ 28)
        signature.configure(keys_of_environment())
    end
end

-- What is demanded of those who want a picture of `domain`.
function gate.demand(domain)
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
