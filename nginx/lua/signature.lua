-- The signature of a URL, as imagestore/signing.py has it.
--
-- lua-nginx-module has HMAC-SHA1 alone. OpenSSL is in nginx's process already, so its HMAC is called
-- there.

local bit = require "bit"
local ffi = require "ffi"

local byte, find, gmatch, match, sub = string.byte, string.find, string.gmatch, string.match, string.sub
local concat = table.concat

ffi.cdef[[
typedef struct hmac_ctx_st HMAC_CTX;
const void *EVP_sha256(void);
HMAC_CTX *HMAC_CTX_new(void);
int HMAC_Init_ex(HMAC_CTX *context, const void *key, int length, const void *md, void *engine);
int HMAC_Update(HMAC_CTX *context, const unsigned char *text, size_t length);
int HMAC_Final(HMAC_CTX *context, unsigned char *digest, unsigned int *length);
]]

local C = ffi.C

local signature = {}

local KEPT_BYTES = 24

local NAMES = { expires = true, kid = true, sig = true }

-- A context for each key id; to start one again takes a quarter of the time of a new one.
local contexts = {}
local digest = ffi.new("unsigned char[64]")

-- The bytes of base64, as base64url has them.
local OF_URL = {}
for i = 0, 255 do
    OF_URL[i] = i
end
OF_URL[byte("+")], OF_URL[byte("/")] = byte("-"), byte("_")

-- Once, in the master process: `id=secret` separated by blanks or commas.
function signature.configure(keys)
    contexts = {}
    for entry in gmatch(keys, "[^%s,]+") do
        local id, secret = match(entry, "^([^=]*)=(.*)$")
        assert(id, "SIGNING_KEYS is not id=secret")
        local context = C.HMAC_CTX_new()
        assert(context ~= nil and C.HMAC_Init_ex(context, secret, #secret, C.EVP_sha256(), nil) == 1, "no HMAC-SHA256")
        contexts[id] = context
    end
    assert(next(contexts), "SIGNING demands signatures, but SIGNING_KEYS has no key")
end

-- In base64; nothing if OpenSSL fails.
local function hmac(context, text)
    local done = C.HMAC_Init_ex(context, nil, 0, nil, nil) == 1
        and C.HMAC_Update(context, text, #text) == 1
        and C.HMAC_Final(context, digest, nil) == 1
    return done and ngx.encode_base64(ffi.string(digest, KEPT_BYTES)) or nil
end

-- Whether a text of base64url is one of base64, in a time that does not tell where they differ.
local function equal(expected, given)
    if not expected or #expected ~= #given then
        return false
    end
    local difference = 0
    for i = 1, #expected do
        difference = bit.bor(difference, bit.bxor(OF_URL[byte(expected, i)], byte(given, i)))
    end
    return difference == 0
end

-- No route has so many parameters; of more, a stranger would make us sort for long.
local MAX_ELEMENTS = 40

-- table.sort is not compiled, and these are few.
local function sort(texts)
    for i = 2, #texts do
        local text, j = texts[i], i - 1
        while j > 0 and texts[j] > text do
            texts[j + 1] = texts[j]
            j = j - 1
        end
        texts[j + 1] = text
    end
end

-- The elements of a raw query: those that are not a signature's, those that are, by name, and all that
-- are signed. Nothing if one of a signature's is repeated, or if there are too many: the API judges those.
function signature.split(query)
    local rest, given, signed = {}, nil, {}
    local start = 1
    repeat
        local stop = find(query, "&", start, true)
        local element = sub(query, start, (stop or 0) - 1)
        local sign = find(element, "=", 1, true)
        local name = sign and sub(element, 1, sign - 1) or element
        if NAMES[name] then
            given = given or {}
            if given[name] then
                return nil
            end
            given[name] = sign and sub(element, sign + 1) or ""
        else
            rest[#rest + 1] = element
        end
        if name ~= "sig" then
            signed[#signed + 1] = element
            if #signed > MAX_ELEMENTS then
                return nil
            end
        end
        start = (stop or 0) + 1
    until not stop
    return rest, given, signed
end

-- What is wrong with the signature of a URL, if anything, and the second in which it expires, if any.
-- `path` is decoded, `given` the signature's parameters, `signed` all signed elements of the query.
function signature.fault(path, given, signed)
    local context = given and given.sig and contexts[given.kid]
    if not context then
        return "signature-invalid"
    end
    sort(signed)
    if not equal(hmac(context, path .. "\n" .. concat(signed, "&")), given.sig) then
        return "signature-invalid"
    end
    if not given.expires then
        return nil
    end
    if not find(given.expires, "^[1-9]%d*$") or #given.expires > 12 then
        return "signature-invalid"
    end
    return nil, tonumber(given.expires)
end

return signature
