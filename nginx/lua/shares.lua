-- How much of this nginx's memory the pictures of one original may take: somebody who asks for all
-- sizes of one picture pushes out his own, and no other's.
--
-- An original has SLOTS slots, each for a SLOTS-th part of its share. A picture takes as many as it
-- needs, one behind the other in a ring, and what had a slot before is forgotten. The counter is
-- the only thing that workers must agree on, and `incr` is atomic.

local shares = {}

local pictures, slots = ngx.shared.pictures, ngx.shared.shares

local SLOTS = 64
-- Of the whole memory.
local PART = 8

local slot_bytes

function shares.configure()
    slot_bytes = pictures:capacity() / PART / SLOTS
end

-- Make room for a picture of an original among those of the same original; false if it has no room.
function shares.make_room(sha256, identity, bytes)
    local needed = math.ceil(bytes / slot_bytes)
    local last = needed <= SLOTS and slots:incr(sha256, needed, 0)
    if not last then
        return false
    end
    for i = last - needed + 1, last do
        local slot = sha256 .. ":" .. i % SLOTS
        local before = slots:get(slot)
        if before and before ~= identity then
            pictures:delete(before)
        end
        slots:set(slot, identity)
    end
    return true
end

return shares
