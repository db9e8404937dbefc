-- Questions to Redis travel together. While some are on their way, those that come up wait, and then all go in
-- one write; what several clients ask is asked once for all of them. Who finds nothing on its way waits for
-- nothing.
--
-- Nobody gets the answer to a question that left before he asked: he may know of a change since then.

local semaphore = require "ngx.semaphore"

local flight = {}

-- For the flight before: longer than a Redis that answers at all takes.
local PATIENCE_S = 0.4
-- More go each by itself: the last one has to wait for the pictures of all.
local MAX_SEATS = 64

local carry

-- The list of seats that is on its way, and the one that waits for it.
local under_way, boarding

-- `carrier` takes a list of seats to Redis: it sets `identity` and `picture` of those that are answered, and
-- calls `flight.arrived` as soon as they are.
function flight.configure(carrier)
    carry = carrier
end

-- A question with what its asker knows (cache.lookup); `waiting` others have the same.
function flight.seat(question, known, expected)
    return { question = question, known = known, expected = expected, waiting = 0 }
end

-- Those who wait for the answer of a seat go on.
function flight.arrived(seat)
    if seat.waiting > 0 then
        seat.landing:post(seat.waiting)
        seat.waiting = 0
    end
end

local function fly(seats)
    carry(seats)
    for i = 1, #seats do
        flight.arrived(seats[i])
    end
    -- Unless it was given up meanwhile.
    if under_way == seats then
        under_way = boarding
        if boarding then
            boarding.departure:post()
        end
    end
end

-- Be the first of the next flight, which is led by this request.
local function lead(seat)
    local seats = { seat, of = { [seat.question] = seat }, departure = semaphore.new() }
    boarding = seats
    local is_due = seats.departure:wait(PATIENCE_S) or under_way == seats
    boarding = nil
    if is_due then
        return fly(seats)
    end
    -- Whatever became of the flight before, the next one does not wait for it.
    under_way = nil
    for i = 1, #seats do
        flight.arrived(seats[i])
    end
end

-- A seat in the next flight; nothing if it is full.
local function board(question, known, expected)
    local seat = boarding.of[question]
    if seat and seat.known == known and seat.expected == expected then
        return seat
    end
    if #boarding == MAX_SEATS then
        return nil
    end
    seat = flight.seat(question, known, expected)
    boarding[#boarding + 1] = seat
    boarding.of[question] = seat
    return seat
end

-- The seat of a question after its flight; without `identity` if Redis did not answer in time.
function flight.take(question, known, expected)
    local seat = boarding and board(question, known, expected)
    if seat then
        seat.landing = seat.landing or semaphore.new()
        seat.waiting = seat.waiting + 1
        seat.landing:wait(2 * PATIENCE_S)
        return seat
    end
    seat = flight.seat(question, known, expected)
    if not under_way then
        under_way = { seat }
        fly(under_way)
    elseif not boarding then
        lead(seat)
    else
        carry({ seat })
    end
    return seat
end

return flight
