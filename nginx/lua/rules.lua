-- Settings that differ between domains, `photos=enforce, *=off`, as imagestore/domainrules.py reads them.

local gmatch, match = string.gmatch, string.match

local rules = {}

-- domain -> rule, and the rule of all others.
function rules.parse(text, otherwise)
    local named = {}
    for entry in gmatch(text, "[^%s,]+") do
        local domain, rule = match(entry, "^([^=]*)=(.*)$")
        assert(domain, "not a rule for a domain: " .. entry)
        named[domain] = rule
    end
    otherwise = named["*"] or otherwise
    named["*"] = nil
    return named, otherwise
end

return rules
